#include "http/connections/client.h"

#include <arpa/inet.h>
#include <string.h>

enum { NETWORK_BYTES = 8 };

void client_describe(struct client *client, const struct sockaddr *address)
{
    struct in6_addr *source = &client->source;
    *client = (struct client){.text = "unix"};
    if (address->sa_family == AF_INET) {
        const struct sockaddr_in *in = (const struct sockaddr_in *)(const void *)address;
        source->s6_addr[10] = source->s6_addr[11] = 0xff;
        memcpy(&source->s6_addr[12], &in->sin_addr, 4);
        inet_ntop(AF_INET, &in->sin_addr, client->text, sizeof client->text);
    } else if (address->sa_family == AF_INET6) {
        const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)(const void *)address;
        inet_ntop(AF_INET6, &in6->sin6_addr, client->text, sizeof client->text);
        *source = in6->sin6_addr;
        if (IN6_IS_ADDR_V4MAPPED(source))
            return;
        memset(&source->s6_addr[NETWORK_BYTES], 0, sizeof source->s6_addr - NETWORK_BYTES);
        source->s6_addr[15] = 1;
    }
}
