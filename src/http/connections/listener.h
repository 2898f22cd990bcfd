/* The sockets that we listen on. Opened before the models are loaded, so that a wrong address is
 * found out at once, and clients that come early wait in the backlog. Main thread. */
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

/* Opens the addresses (conf/listen.h); `systemd` is every stream socket that systemd handed over
 * under the name "admin" (FileDescriptorName=), if `admin` is true, or else under another. A socket
 * file that nobody listens on any more is replaced. ERR_CONFIG names the address and the reason.
 * Harmless to close after a failure. */
int listener_open(struct listener *listener, const struct text_list *addresses, bool admin,
                  struct error *err);

/* Closes what is open and removes the socket files. What systemd handed over stays open there. */
void listener_close(struct listener *listener);

#endif
