#include "base/reexec.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "base/log.h"

static const char variable[] = "OPENBLAS_NUM_THREADS";
/* Holds the process id of who set it: children that inherit it are not mistaken. */
static const char marker[] = "RESNEXT_REEXECUTED";

static bool take_marker(const char *pid)
{
    const char *value = getenv(marker);
    bool mine = value && strcmp(value, pid) == 0;
    unsetenv(marker);
    return mine;
}

void reexec_with_one_blas_thread(char *const *argv)
{
    char pid[24];
    snprintf(pid, sizeof pid, "%ld", (long)getpid());
    bool again = take_marker(pid);
    if (again) /* the kernel now calls the program "exe" */
        prctl(PR_SET_NAME, program_invocation_short_name);
    const char *threads = getenv(variable);
    if (threads && strcmp(threads, "1") == 0)
        return;
    if (!again && setenv(variable, "1", 1) == 0 && setenv(marker, pid, 1) == 0) {
        execv("/proc/self/exe", argv);
        unsetenv(marker);
    }
    log_warning("cannot restart with %s=1: OpenBLAS may use more threads than it should; set it in "
                "the environment",
                variable);
}
