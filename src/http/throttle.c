#include "http/throttle.h"

#include <time.h>

#include "base/clock.h"

/* Of a CPU, beside those that no worker needs, all HTTP threads together use 1 / SHARE for what is
 * no work, BURST_NS in advance, and 1 / LATER_SHARE for refusals that can wait. */
enum { SHARE = 8, LATER_SHARE = 32, MEAN_OF = 64 };

static const int64_t BURST_NS = 200000000, STEP_NS = 1000000, SLEEP_MOST_NS = 10000000,
                     LATER_MOST_NS = 2000000000, WINDOW_NS = 20000000;

/* A thread's own: its use of the CPU when last seen, what a request takes of it on average, until
 * when its share is spent, when the next refusal that can wait is due, and how many uploads began
 * in this window and have not ended. */
static _Thread_local struct {
    int64_t cpu_ns, request_ns, spent_ns, later_ns, window_ns;
    size_t uploads;
} own;

static bool is_crowded(struct server *server, int *spare_cpus)
{
    struct server_load load;
    server_load(server, &load);
    *spare_cpus = load.spare_cpus;
    return load.queue_depth > 0 && load.queue_depth >= load.queue_limit / 2 &&
           load.workers_busy >= load.workers;
}

static int64_t price_ns(int threads, int share, int spare_cpus)
{
    return own.request_ns * threads * share / (1 + share * spare_cpus);
}

void throttle_measure(void)
{
    struct timespec t = {0};
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    int64_t cpu_ns = (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
    own.request_ns += (cpu_ns - own.cpu_ns - own.request_ns) / MEAN_OF;
    own.cpu_ns = cpu_ns;
}

void throttle_pay(struct server *server, int threads)
{
    int spare_cpus;
    int64_t now = clock_monotonic_ns(), end = now + SLEEP_MOST_NS;
    if (own.spent_ns < now - BURST_NS)
        own.spent_ns = now - BURST_NS;
    while (is_crowded(server, &spare_cpus) && now < own.spent_ns && now < end) {
        int64_t left = (own.spent_ns < end ? own.spent_ns : end) - now;
        nanosleep(&(const struct timespec){.tv_nsec = left < STEP_NS ? left : STEP_NS}, NULL);
        now = clock_monotonic_ns();
    }
    own.spent_ns += price_ns(threads, SHARE, spare_cpus);
}

int64_t throttle_later_ns(struct server *server, int threads)
{
    struct server_load load;
    int64_t now = clock_monotonic_ns(), at = own.later_ns > now ? own.later_ns : now;
    server_load(server, &load);
    if (load.spare_cpus >= threads)
        return 0;
    if (at - now > LATER_MOST_NS)
        return LATER_MOST_NS;
    own.later_ns = at + price_ns(threads, LATER_SHARE, load.spare_cpus);
    return at - now;
}

bool throttle_is_full(struct server *server, int threads)
{
    struct server_load load;
    server_load(server, &load);
    return load.queue_depth + own.uploads * (size_t)threads >= load.queue_limit;
}

int64_t throttle_upload_begins(void)
{
    int64_t now = clock_monotonic_ns();
    if (now - own.window_ns > WINDOW_NS) {
        own.window_ns = now;
        own.uploads = 0;
    }
    own.uploads++;
    return now;
}

void throttle_upload_ends(int64_t begin_ns)
{
    if (begin_ns >= own.window_ns && own.uploads > 0)
        own.uploads--;
}
