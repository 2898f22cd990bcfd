#include "base/reexec.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "base/log.h"

static const char threads_variable[] = "OPENBLAS_NUM_THREADS";
/* Holds the process id of who set it: children that inherit it are not mistaken. */
static const char marker[] = "RESNEXT_REEXECUTED";

struct pid_text {
    char text[24];
};

static struct pid_text own_pid(void)
{
    struct pid_text pid;
    snprintf(pid.text, sizeof pid.text, "%ld", (long)getpid());
    return pid;
}

static bool take_marker(void)
{
    const char *value = getenv(marker);
    bool mine = value && strcmp(value, own_pid().text) == 0;
    unsetenv(marker);
    return mine;
}

void reexec_with(const char *variable, const char *value, char *const *argv)
{
    if (setenv(variable, value, 1) == 0 && setenv(marker, own_pid().text, 1) == 0)
        execv("/proc/self/exe", argv);
    unsetenv(marker);
}

void reexec_with_one_blas_thread(char *const *argv)
{
    bool again = take_marker();
    if (again) /* the kernel now calls the program "exe" */
        prctl(PR_SET_NAME, program_invocation_short_name);
    const char *threads = getenv(threads_variable);
    if (threads && strcmp(threads, "1") == 0)
        return;
    if (!again)
        reexec_with(threads_variable, "1", argv);
    log_warning("cannot restart with %s=1: OpenBLAS may use more threads than it should; set it in "
                "the environment",
                threads_variable);
}
