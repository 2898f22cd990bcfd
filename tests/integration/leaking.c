/* For LD_PRELOAD: a daemon that goes wrong slowly. With each answer LEAK_BYTES of memory are lost;
 * of LEAK_EVERY answers one loses a descriptor, and of WRONG_EVERY bodies with a score one has a
 * wrong digit. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
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

struct MHD_Response *MHD_create_response_from_buffer(size_t size, void *buffer, int mode)
{
    struct MHD_Response *(*real)(size_t, void *, int) =
        dlsym(RTLD_NEXT, "MHD_create_response_from_buffer");
    long every = setting("WRONG_EVERY");
    char *score = every > 0 && size > 0 ? memmem(buffer, size, "\"score\":0.", 10) : NULL;
    if (score && atomic_fetch_add(&bodies, 1) % every == every - 1)
        score[10] = score[10] == '9' ? '0' : (char)(score[10] + 1);
    return real(size, buffer, mode);
}
