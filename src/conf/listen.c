#include "conf/listen.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

#include "base/number.h"

enum { NO_MODE = -1, BAD_MODE = -2 };

/* The permissions that the text ends in, as in "/path:660". */
static int parse_mode(const char *text)
{
    const char *colon = strrchr(text, ':');
    size_t digits = colon ? strspn(colon + 1, "0123456789") : 0;
    if (digits == 0 || colon[1 + digits] != '\0')
        return NO_MODE;
    long mode = strspn(colon + 1, "01234567") == digits ? strtol(colon + 1, NULL, 8) : BAD_MODE;
    return digits >= 3 && digits <= 4 && mode <= 0777 ? (int)mode : BAD_MODE;
}

static int parse_unix(const char *path, struct listen_address *out, struct error *err)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    out->mode = parse_mode(path);
    size_t length = out->mode < 0 ? strlen(path) : (size_t)(strrchr(path, ':') - path);
    if (out->mode == BAD_MODE)
        return error_set(err, ERR_CONFIG, "\"unix:%.100s\": the mode must be 000 to 777, octal",
                         path);
    if (path[0] != '/' || path[length - 1] == '/')
        return error_set(err, ERR_CONFIG, "\"unix:%.100s\": the path must be absolute, as in %s",
                         path, "unix:/run/resnextd/http");
    if (length >= sizeof address.sun_path)
        return error_set(err, ERR_CONFIG, "\"unix:%.100s\": the path has %zu bytes; at most %zu",
                         path, length, sizeof address.sun_path - 1);
    memcpy(address.sun_path, path, length);
    out->kind = LISTEN_UNIX;
    out->length = sizeof address;
    memcpy(&out->address, &address, sizeof address);
    return ERR_OK;
}

/* 0..65535 in plain digits, or -1. */
static int parse_port(const char *text)
{
    size_t length = strlen(text);
    int64_t port = number_parse(text, length);
    return length <= 5 && port <= 65535 ? (int)port : -1;
}

static bool set_tcp(struct listen_address *out, int family, const char *host, in_port_t port)
{
    struct sockaddr_in ipv4 = {.sin_family = AF_INET, .sin_port = port};
    struct sockaddr_in6 ipv6 = {.sin6_family = AF_INET6, .sin6_port = port};
    bool is_ipv4 = family == AF_INET;
    out->length = is_ipv4 ? sizeof ipv4 : sizeof ipv6;
    if (inet_pton(family, host, is_ipv4 ? (void *)&ipv4.sin_addr : &ipv6.sin6_addr) != 1)
        return false;
    memcpy(&out->address, is_ipv4 ? (void *)&ipv4 : &ipv6, out->length);
    return true;
}

static int parse_tcp(const char *text, struct listen_address *out, struct error *err)
{
    char host[INET6_ADDRSTRLEN];
    const char *colon = strrchr(text, ':');
    if (!colon)
        return error_set(err, ERR_CONFIG,
                         "\"%.100s\" is none of ADDR:PORT, [ADDR]:PORT, unix:PATH, systemd", text);
    int port = parse_port(colon + 1);
    if (port < 0)
        return error_set(err, ERR_CONFIG, "\"%.100s\": the port must be 0 to 65535", text);
    bool bracketed = text[0] == '[' && colon > text + 1 && colon[-1] == ']';
    const char *begin = text + bracketed;
    size_t length = (size_t)(colon - begin) - bracketed;
    host[0] = '\0';
    if (length < sizeof host) {
        memcpy(host, begin, length);
        host[length] = '\0';
    }
    if (!set_tcp(out, bracketed ? AF_INET6 : AF_INET, host, htons((uint16_t)port)))
        return error_set(err, ERR_CONFIG,
                         "\"%.100s\": the address must be numeric, as in 127.0.0.1:8080, "
                         "0.0.0.0:8080 or [::1]:8080",
                         text);
    out->kind = LISTEN_TCP;
    return ERR_OK;
}

int conf_parse_listen(const char *text, struct listen_address *out, struct error *err)
{
    *out = (struct listen_address){.mode = -1};
    if (strcmp(text, "systemd") == 0) {
        out->kind = LISTEN_SYSTEMD;
        return ERR_OK;
    }
    if (strncmp(text, "unix:", 5) == 0)
        return parse_unix(text + 5, out, err);
    return parse_tcp(text, out, err);
}

bool conf_listen_is_same(const char *a, const char *b)
{
    struct listen_address x, y;
    if (conf_parse_listen(a, &x, NULL) != ERR_OK || conf_parse_listen(b, &y, NULL) != ERR_OK)
        return false;
    bool is_any_port = x.kind == LISTEN_TCP && parse_port(strrchr(a, ':') + 1) == 0;
    return x.kind != LISTEN_SYSTEMD && !is_any_port && x.length == y.length &&
           memcmp(&x.address, &y.address, x.length) == 0;
}
