/* What must be known of OpenBLAS before it is used.
 *
 * It picks its kernels by the CPU's family, or as OPENBLAS_CORETYPE says, and does not ask whether
 * the instructions they use are there: on a virtual CPU that claims to be an Opteron without
 * 3DNow!, its first product raises SIGILL. So a trial product is run at the very start, and if it
 * faults the program is executed again with the plainest kernels there are.
 *
 * And it tries for ever to map a buffer that the limit on the address space forbids. */
#include <cblas.h>
#include <setjmp.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/log.h"
#include "base/reexec.h"
#include "base/size.h"
#include "kernel/openblas/common.h"

static const char core_variable[] = "OPENBLAS_CORETYPE", plainest_core[] = "Prescott";

/* Of one thread, in address space: OpenBLAS's buffer; a stack, a workspace and some rest. */
enum { BUFFER_BYTES = 128 << 20, OTHER_BYTES = 16 << 20 };

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
    static float a[M * K], b[K * N], c[M * N];
    blas_multiply_add(M, N, K, a, K, b, N, c, N);
    blas_multiply_add(1, N, K, a, K, b, N, c, N);
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

int kernel_blas_start(char *const *argv, struct error *err)
{
    struct error none;
    reexec_with_one_blas_thread(argv);
    /* Who has no room for a trial has none for OpenBLAS, and hears of it when it is needed. */
    if (kernel_blas_room(1, &none) != ERR_OK || trial_passes())
        return ERR_OK;
    const char *core = openblas_get_corename(), *asked = getenv(core_variable);
    if (!asked || strcmp(asked, plainest_core) != 0) {
        log_warning(
            "this CPU lacks instructions of OpenBLAS's %s kernels: starting again with %s=%s", core,
            core_variable, plainest_core);
        reexec_with(core_variable, plainest_core, argv);
    }
    return error_set(err, ERR_CPU,
                     "this CPU lacks instructions of OpenBLAS's %s kernels; set %s=%s in the "
                     "environment, or run on another machine",
                     core, core_variable, plainest_core);
}

int kernel_blas_room(int threads, struct error *err)
{
    size_t bytes;
    void *room = MAP_FAILED;
    if (size_mul((size_t)threads, BUFFER_BYTES + OTHER_BYTES, &bytes))
        room = mmap(NULL, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (room == MAP_FAILED)
        return error_set(err, ERR_NO_MEMORY,
                         "OpenBLAS needs %d MiB of address space for each of %d thread(s), and "
                         "less is left: raise the limit (ulimit -v, RLIMIT_AS, LimitAS=) or lower "
                         "the number of threads",
                         (BUFFER_BYTES + OTHER_BYTES) >> 20, threads);
    munmap(room, bytes);
    return ERR_OK;
}
