#include "http/throttle.h"

#include <time.h>

#include "base/clock.h"

/* All HTTP threads together may use 1 / SHARE of a CPU, and those that no worker needs; GRACE_NS
 * may be used at once. */
enum { SHARE = 8 };

static const int64_t GRACE_NS = 1000000, SLEEP_MOST_NS = 10000000, WINDOW_NS = 200000000;

static bool is_crowded(const struct server_load *load)
{
    return load->queue_depth > 0 && load->queue_depth >= load->queue_limit / 2 &&
           load->workers_busy >= load->workers;
}

static int64_t own_cpu_ns(void)
{
    struct timespec t = {0};
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

void throttle(struct server *server, int threads)
{
    static _Thread_local int64_t since_ns, cpu_since_ns; /* of the window; 0: there is none */
    struct server_load load;
    server_load(server, &load);
    if (!is_crowded(&load)) {
        since_ns = 0;
        return;
    }
    int64_t now = clock_monotonic_ns(), cpu = own_cpu_ns();
    if (since_ns == 0 || now - since_ns > WINDOW_NS) {
        since_ns = now;
        cpu_since_ns = cpu;
        return;
    }
    int64_t used = (cpu - cpu_since_ns - GRACE_NS) * threads;
    int64_t due = used * SHARE / (1 + SHARE * load.spare_cpus) - (now - since_ns);
    if (due <= 0)
        return;
    const struct timespec pause = {.tv_nsec = due < SLEEP_MOST_NS ? due : SLEEP_MOST_NS};
    nanosleep(&pause, NULL);
}
