/* Parsed addresses to listen on. */
#ifndef RESNEXT_CONF_LISTEN_H
#define RESNEXT_CONF_LISTEN_H

#include <stdbool.h>
#include <sys/socket.h>

#include "base/error.h"

enum listen_kind {
    LISTEN_TCP,
    LISTEN_UNIX,
    LISTEN_SYSTEMD, /* the sockets that systemd hands over; no address */
};

/* `address` is ready for bind(2). */
struct listen_address {
    enum listen_kind kind;
    struct sockaddr_storage address;
    socklen_t length;
    int mode; /* permissions of a socket file; -1: as the umask leaves them */
};

/* Parses "ADDR:PORT" (IPv4), "[ADDR]:PORT" (IPv6), "unix:PATH" (absolute), "unix:PATH:MODE" (three
 * or four octal digits) or "systemd". Port 0 lets the kernel choose. Names are not looked up.
 * ERR_CONFIG says what would be right. */
int conf_parse_listen(const char *text, struct listen_address *out, struct error *err);

/* Whether two valid texts name the same socket; "systemd" and port 0 match nothing. */
bool conf_listen_is_same(const char *a, const char *b);

#endif
