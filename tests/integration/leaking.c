/* For LD_PRELOAD: a daemon that goes wrong slowly. With each answer LEAK_BYTES of memory are lost;
 * of LEAK_EVERY answers one loses a descriptor, and from the WRONG_FROM-th body with a score on
 * each has a wrong digit. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

struct MHD_Connection;
struct MHD_Response;

static atomic_long answers, bodies;

static long setting(const char *name)
{
    const char *text = getenv(name);
    return text ? atol(text) : 0;
}

int MHD_queue_response(struct MHD_Connection *connection, unsigned status,
                       struct MHD_Response *response)
{
    int (*real)(struct MHD_Connection *, unsigned, struct MHD_Response *) =
        dlsym(RTLD_NEXT, "MHD_queue_response");
    long bytes = setting("LEAK_BYTES"), every = setting("LEAK_EVERY");
    if (bytes > 0)
        memset(malloc((size_t)bytes), 1, (size_t)bytes);
    if (every > 0 && atomic_fetch_add(&answers, 1) % every == every - 1)
        (void)!dup(2);
    return real(connection, status, response);
}

typedef ssize_t reader(void *, uint64_t, char *, size_t);

static reader *_Atomic real_reader;

static ssize_t read_wrong(void *body, uint64_t position, char *out, size_t space)
{
    ssize_t n = real_reader(body, position, out, space);
    long from = setting("WRONG_FROM");
    char *score = from > 0 && n > 0 ? memmem(out, (size_t)n, "\"score\":0.", 10) : NULL;
    if (score && atomic_fetch_add(&bodies, 1) + 1 >= from)
        score[10] = score[10] == '9' ? '0' : (char)(score[10] + 1);
    return n;
}

struct MHD_Response *MHD_create_response_from_callback(uint64_t size, size_t block, reader *read,
                                                       void *body, void (*done)(void *))
{
    struct MHD_Response *(*real)(uint64_t, size_t, reader *, void *, void (*)(void *)) =
        dlsym(RTLD_NEXT, "MHD_create_response_from_callback");
    real_reader = read;
    return real(size, block, read_wrong, body, done);
}
