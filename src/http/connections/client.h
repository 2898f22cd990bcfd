/* The client that a connection comes from. */
#ifndef RESNEXT_HTTP_CONNECTIONS_CLIENT_H
#define RESNEXT_HTTP_CONNECTIONS_CLIENT_H

#include <netinet/in.h>
#include <sys/socket.h>

enum { CLIENT_TEXT_MAX = INET6_ADDRSTRLEN };

struct client {
    /* The same for all addresses that limits treat as one client: an IPv4 address, mapped; a /64 of
     * IPv6, as its address 1, since the owner of one address there can have them all; zero for Unix
     * sockets. */
    struct in6_addr source;
    char text[CLIENT_TEXT_MAX]; /* "192.0.2.1", "2001:db8::1" or "unix" */
};

void client_describe(struct client *client, const struct sockaddr *address);

#endif
