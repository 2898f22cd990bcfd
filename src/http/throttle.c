#include "http/throttle.h"

#include <time.h>

#include "base/clock.h"

/* All HTTP threads together use 1 / SHARE of one CPU, beside the CPUs that no worker needs, for new
 * clients' requests that can wait, and as much for those of clients that are back. */
enum { SHARE = 32, MEAN_OF = 64 };

static const int64_t WAIT_MAX_NS = 2000000000, WINDOW_NS = 20000000;

/* Each thread's own: its CPU time when last measured, the mean CPU time of a request, the next turn
 * of each kind, when the workers were last seen busy, and how many uploads began in this window and
 * have not ended. */
static _Thread_local struct {
    int64_t cpu_ns, request_ns, turn_ns[2], busy_ns, window_ns;
    size_t uploads;
} own;

void throttle_measure(void)
{
    struct timespec t = {0};
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    int64_t cpu_ns = (int64_t)t.tv_sec * NS_PER_S + t.tv_nsec;
    own.request_ns += (cpu_ns - own.cpu_ns - own.request_ns) / MEAN_OF;
    own.cpu_ns = cpu_ns;
}

int64_t throttle_turn_ns(struct server *server, int threads, bool is_back)
{
    struct server_load load;
    int64_t now = clock_monotonic_ns(), *turn = &own.turn_ns[is_back];
    server_load(server, &load);
    if (load.queue_depth > 0 || load.workers_busy >= load.workers)
        own.busy_ns = now;
    if (now - own.busy_ns > WINDOW_NS || load.spare_cpus >= threads)
        return 0;
    int64_t wait = *turn > now ? *turn - now : 0;
    if (wait > WAIT_MAX_NS)
        return WAIT_MAX_NS;
    *turn = now + wait + own.request_ns * threads * SHARE / (1 + SHARE * load.spare_cpus);
    return wait;
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
