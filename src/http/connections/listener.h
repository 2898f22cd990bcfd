/* The listening sockets. They are opened before the models are loaded, so that a wrong address is
 * found at once, and clients that connect early wait in the backlog. Main thread. */
#ifndef RESNEXT_HTTP_CONNECTIONS_LISTENER_H
#define RESNEXT_HTTP_CONNECTIONS_LISTENER_H

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"
#include "conf/conf.h"

struct listener {
    int *fds; /* non-blocking, close on exec */
    size_t count;
    struct text_list unix_paths; /* made by us, to be removed in the end */
};

/* Opens the addresses (conf/listen.h). "systemd" stands for every stream socket that systemd handed
 * over: with `admin` those named "admin" (FileDescriptorName=), else all others. A socket file on
 * which nobody listens any more is replaced. ERR_CONFIG names the address and the reason. To be
 * closed also after a failure. */
int listener_open(struct listener *listener, const struct text_list *addresses, bool admin,
                  struct error *err);

/* Closes the sockets and removes the socket files. Sockets from systemd stay open in systemd. */
void listener_close(struct listener *listener);

#endif
