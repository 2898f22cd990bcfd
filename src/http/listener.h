/* The sockets that we listen on. Opened before the models are loaded, so that a wrong address is
 * found out at once, and clients that come early wait in the backlog. Main thread. */
#ifndef RESNEXT_HTTP_LISTENER_H
#define RESNEXT_HTTP_LISTENER_H

#include <stddef.h>

#include "base/error.h"
#include "conf/conf.h"

struct listener {
    int *fds; /* non-blocking, close on exec */
    size_t count;
    char **unix_paths; /* made by us, to be removed in the end */
    size_t unix_path_count;
};

/* Opens `ADDR:PORT` (ADDR may be a name, an IPv6 address in brackets, or * for every address),
 * `unix:PATH` and `systemd` (all stream sockets that systemd handed over). A socket file that
 * nobody listens on any more is replaced. ERR_CONFIG names the address and the reason. Harmless to
 * close after a failure. */
int listener_open(struct listener *listener, const struct text_list *addresses, struct error *err);

/* Closes what is open and removes the socket files. What systemd handed over stays open there. */
void listener_close(struct listener *listener);

#endif
