/* What must be known of OpenBLAS before it is used.
 *
 * It is at work before main: as it is loaded it starts its threads, and 0.3.29 maps a first buffer.
 * How many threads it reads in OPENBLAS_NUM_THREADS, so the only way to have none is to be executed
 * with that set to 1. And it tries for ever to map a buffer that a limit forbids. Both are seen to
 * in .preinit_array, which the loader runs before any library's constructor, the C library's
 * included.
 *
 * It picks its kernels by the CPU's family and model, or as OPENBLAS_CORETYPE says, and does not
 * ask which instructions are there. An Intel CPU that it does not know, as 0.3.21 does not know
 * Emerald Rapids, it takes for a Prescott; and on a virtual CPU that claims to be an Opteron
 * without 3DNow!, its first product raises SIGILL. So once it is loaded, and before main, its
 * choice is looked at and a product tried; where either is bad the program is executed again with
 * another core. */
#include <alloca.h>
#include <cblas.h>
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "base/log.h"
#include "base/size.h"
#include "kernel/openblas/openblas.h"

/* Of one thread, in address space: OpenBLAS's buffer; a stack, a workspace and some rest. */
enum { BUFFER_BYTES = 128 << 20, OTHER_BYTES = 16 << 20 };

/* Twice as many as Debian's OpenBLAS is built for, each with a buffer; a few hundred more, and it
 * ends the program. */
enum { MAX_THREADS = 256 };

static const char program[] = "/proc/self/exe";
static const char one_thread[] = "OPENBLAS_NUM_THREADS=1";
static const char core_variable[] = "OPENBLAS_CORETYPE", plainest_core[] = "Prescott";
/* Set beside it where the user did not choose the core. */
static const char own_choice[] = "RESNEXT_CHOSE_OPENBLAS_CORETYPE";

static char library[64];

static sigjmp_buf before_trial;

static void leave_trial(int number)
{
    (void)number;
    siglongjmp(before_trial, 1);
}

/* Odd sizes, so that the kernels' edges are tried as well. */
static void run_trial(void)
{
    enum { M = 67, N = 45, K = 70 };
    static float a[K * M], b[K * N], c[M * N];
    blas_multiply(M, N, K, a, b, N, false, c, N);
    blas_multiply(M, N, K, a, b, N, true, c, N);
}

/* Whether OpenBLAS's kernels run on this CPU. */
static bool trial_passes(void)
{
    struct sigaction action = {.sa_handler = leave_trial}, old;
    bool passes = false;
    sigaction(SIGILL, &action, &old);
    if (sigsetjmp(before_trial, 1) == 0) {
        run_trial();
        passes = true;
    }
    sigaction(SIGILL, &old, NULL);
    return passes;
}

/* Writable, as OpenBLAS's buffers are: RLIMIT_DATA and strict overcommit count no others. */
int blas_check_memory(int threads, struct error *err)
{
    size_t bytes;
    void *probe = MAP_FAILED;
    if (threads > MAX_THREADS)
        return error_set(err, ERR_NO_MEMORY,
                         "OpenBLAS has room for %d threads at a time, not for %d: lower the number "
                         "of threads, or compute in int8 or bf16",
                         MAX_THREADS, threads);
    if (size_mul((size_t)threads, BUFFER_BYTES + OTHER_BYTES, &bytes))
        probe = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (probe == MAP_FAILED)
        return error_set(err, ERR_NO_MEMORY,
                         "OpenBLAS needs %d MiB of address space for each of %d thread(s), and "
                         "less is left: raise the limit (ulimit -v and ulimit -d, LimitAS= and "
                         "LimitDATA=, or vm.overcommit_memory) or lower the number of threads",
                         (BUFFER_BYTES + OTHER_BYTES) >> 20, threads);
    munmap(probe, bytes);
    return ERR_OK;
}

static bool names_one_thread(const char *variable)
{
    return strncmp(variable, one_thread, sizeof one_thread - sizeof "1") == 0;
}

/* Returns if nothing is to be changed, or if that is impossible. There are no setenv and no getenv
 * yet. */
static void limit_threads(char **argv, char **environment)
{
    size_t count = 0, at = 0;
    while (environment[count])
        count++;
    while (at < count && !names_one_thread(environment[at]))
        at++;
    if (at < count && strcmp(environment[at], one_thread) == 0)
        return;
    const char **changed = alloca((count + 2) * sizeof *changed);
    memcpy(changed, environment, count * sizeof *changed);
    changed[at] = one_thread;
    changed[at < count ? count : count + 1] = NULL;
    execve(program, argv, (char *const *)changed);
}

_Noreturn static void give_up(int argc, char **argv, const char *message)
{
    dprintf(STDERR_FILENO, "%s: %s\n", argc > 0 ? basename(argv[0]) : "", message);
    _exit(1);
}

static void before_constructors(int argc, char **argv, char **environment)
{
    struct error err;
    limit_threads(argv, environment);
    if (blas_check_memory(1, &err) != ERR_OK)
        give_up(argc, argv, err.message);
}

__attribute__((section(".preinit_array"),
               used)) static void (*const preinit)(int, char **, char **) = before_constructors;

const char *blas_library(void)
{
    return library;
}

const char *blas_better_core(const char *core, struct cpu_features cpu, const char *asked)
{
    /* Not Zen, whose products are Haswell's, but which clears their results number by number. */
    static const char *const for_avx2[] = {"Haswell", "Excavator", "SkylakeX", "Cooperlake",
                                           "Sapphirerapids"};
    for (size_t i = 0; i < sizeof for_avx2 / sizeof for_avx2[0]; i++)
        if (strcasecmp(core, for_avx2[i]) == 0)
            return NULL;
    if (asked || !cpu.avx2)
        return NULL;
    return cpu.avx512 ? "SkylakeX" : "Haswell";
}

/* Returns if that is impossible. */
static void start_again(char **argv, const char *core)
{
    if (setenv(core_variable, core, 1) == 0 && setenv(own_choice, "", 1) == 0)
        execv(program, argv);
}

/* OpenBLAS has read it by now. Nobody else is to take it for the user's. */
static void forget_own_choice(void)
{
    if (!getenv(own_choice))
        return;
    unsetenv(core_variable);
    unsetenv(own_choice);
}

static void warn_of_threads(void)
{
    const char *threads = getenv("OPENBLAS_NUM_THREADS");
    if (!threads || strcmp(threads, "1") != 0)
        log_warning("cannot restart with %s: OpenBLAS may use more threads than it should; set it "
                    "in the environment",
                    one_thread);
}

/* A process without memory for a trial has none for OpenBLAS, and is told when it is needed. */
static void demand_trial(int argc, char **argv, const char *core, const char *asked)
{
    struct error err;
    if (blas_check_memory(1, NULL) != ERR_OK || trial_passes())
        return;
    if (!asked || strcmp(asked, plainest_core) != 0) {
        log_warning(
            "this CPU lacks instructions of OpenBLAS's %s kernels: starting again with %s=%s", core,
            core_variable, plainest_core);
        start_again(argv, plainest_core);
    }
    error_set(&err, ERR_CPU,
              "this CPU lacks instructions of OpenBLAS's %s kernels; set %s=%s in the environment, "
              "or run on another machine",
              core, core_variable, plainest_core);
    give_up(argc, argv, err.message);
}

__attribute__((constructor)) static void before_main(int argc, char **argv, char **environment)
{
    (void)environment;
    const char *core = openblas_get_corename(), *asked = getenv(core_variable);
    /* The kernel calls what was executed again "exe". */
    prctl(PR_SET_NAME, program_invocation_short_name);
    warn_of_threads();
    const char *better = blas_better_core(core, cpu_features(), asked);
    if (better)
        start_again(argv, better);
    forget_own_choice();
    demand_trial(argc, argv, core, asked);
    snprintf(library, sizeof library, "OpenBLAS %s", core);
}
