#include "http/connections/listener.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include "base/log.h"
#include "conf/listen.h"

enum { BACKLOG = 4096 };

static int add_fd(struct listener *l, int fd, struct error *err)
{
    int *fds = realloc(l->fds, (l->count + 1) * sizeof *fds);
    if (!fds) {
        close(fd);
        return error_set(err, ERR_NO_MEMORY, "no memory for a listening socket");
    }
    l->fds = fds;
    l->fds[l->count++] = fd;
    return ERR_OK;
}

/* What may be done about it. */
static const char *advice(int reason, bool is_local, bool admin)
{
    switch (reason) {
    case EACCES:
        return is_local ? ""
                        : "; choose a port from 1024 on, or grant CAP_NET_BIND_SERVICE, or let "
                          "systemd listen (resnextd.socket)";
    case EADDRINUSE:
        return is_local ? "; a program listens there, or it is not a socket: choose another path"
               : admin  ? "; a program (ss -ltnp names it) or another option listens there: "
                          "choose another port with --admin-listen, or admin_listen in the file"
                        : "; a program (ss -ltnp names it) or another option listens there: "
                          "choose another port with --listen, or listen in the file";
    case EADDRNOTAVAIL:
        return "; choose an address of this machine";
    case ENOENT:
        return "; create its folder first";
    default:
        return "";
    }
}

static int cannot_listen(struct error *err, const char *address, const char *why, const char *hint)
{
    return error_set(err, ERR_CONFIG, "cannot listen on %s: %s%s", address, why, hint);
}

/* The umask makes the permissions right from the first moment; a chmod(2) would be late. There are
 * no other threads yet that make files. */
static int bind_with_mode(int fd, const struct listen_address *parsed)
{
    const struct sockaddr *address = (const struct sockaddr *)&parsed->address;
    if (parsed->mode < 0)
        return bind(fd, address, parsed->length);
    mode_t before = umask(0777 & ~(mode_t)parsed->mode);
    int code = bind(fd, address, parsed->length), reason = errno;
    umask(before);
    errno = reason;
    return code;
}

static int bound_socket(const struct listen_address *parsed)
{
    int one = 1, family = parsed->address.ss_family;
    int fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -1;
    if (family != AF_UNIX)
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (family == AF_INET6) /* 0.0.0.0 and [::] stand side by side */
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof one);
    if (bind_with_mode(fd, parsed) == 0 && listen(fd, BACKLOG) == 0)
        return fd;
    int reason = errno;
    close(fd);
    errno = reason;
    return -1;
}

/* A socket file is left over if it refuses connections. One whose backlog is full would have us
 * wait until its owner accepts. */
static bool is_left_over(const struct sockaddr_un *address)
{
    struct stat status;
    if (lstat(address->sun_path, &status) != 0 || !S_ISSOCK(status.st_mode))
        return false;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return false;
    bool refused = connect(fd, (const struct sockaddr *)address, sizeof *address) != 0 &&
                   errno == ECONNREFUSED;
    close(fd);
    return refused;
}

static int open_address(struct listener *l, const char *text, const struct listen_address *parsed,
                        bool admin, struct error *err)
{
    const struct sockaddr *address = (const struct sockaddr *)&parsed->address;
    const struct sockaddr_un *local = parsed->kind == LISTEN_UNIX ? (const void *)address : NULL;
    int fd = bound_socket(parsed), reason = errno;
    if (fd < 0 && reason == EADDRINUSE && local && is_left_over(local)) {
        unlink(local->sun_path);
        fd = bound_socket(parsed);
        reason = errno;
    }
    if (fd < 0)
        return cannot_listen(err, text, strerror(reason), advice(reason, local, admin));
    int code = add_fd(l, fd, err);
    return code != ERR_OK || !local ? code : conf_list_append(&l->unix_paths, local->sun_path, err);
}

static int add_systemd_socket(struct listener *l, int fd, struct error *err)
{
    if (sd_is_socket(fd, AF_UNSPEC, SOCK_STREAM, 1) <= 0)
        return cannot_listen(err, "systemd", "the socket from systemd is not a listening stream socket", "");
    if (fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK) != 0)
        return cannot_listen(err, "systemd", strerror(errno), "");
    return add_fd(l, fd, err);
}

static int open_systemd(struct listener *l, bool admin, struct error *err)
{
    char **names = NULL;
    int count = sd_listen_fds_with_names(0, &names), code = ERR_OK;
    size_t before = l->count;
    for (int i = 0; i < count; i++) {
        bool is_admin = names && names[i] && strcmp(names[i], "admin") == 0;
        if (code == ERR_OK && is_admin == admin)
            code = add_systemd_socket(l, SD_LISTEN_FDS_START + i, err);
        if (names)
            free(names[i]);
    }
    free(names);
    const char *why = admin ? "systemd handed over no socket with FileDescriptorName=admin"
                            : "systemd handed over no sockets; start resnextd.socket, not this";
    return code == ERR_OK && l->count == before ? cannot_listen(err, "systemd", why, "") : code;
}

static void log_address(int fd)
{
    struct sockaddr_storage address;
    socklen_t length = sizeof address;
    char host[NI_MAXHOST], port[NI_MAXSERV];
    if (getsockname(fd, (struct sockaddr *)&address, &length) != 0)
        return;
    if (address.ss_family == AF_UNIX)
        log_info("listening on unix:%s", ((const struct sockaddr_un *)&address)->sun_path);
    else if (getnameinfo((const struct sockaddr *)&address, length, host, sizeof host, port,
                         sizeof port, NI_NUMERICHOST | NI_NUMERICSERV) == 0)
        log_info(address.ss_family == AF_INET6 ? "listening on [%s]:%s" : "listening on %s:%s",
                 host, port);
}

int listener_open(struct listener *listener, const struct text_list *addresses, bool admin,
                  struct error *err)
{
    *listener = (struct listener){0};
    for (size_t i = 0; i < addresses->count; i++) {
        const char *text = addresses->items[i];
        struct listen_address parsed;
        int code = conf_parse_listen(text, &parsed, err);
        if (code == ERR_OK)
            code = parsed.kind == LISTEN_SYSTEMD
                       ? open_systemd(listener, admin, err)
                       : open_address(listener, text, &parsed, admin, err);
        if (code != ERR_OK)
            return code;
    }
    if (listener->count == 0)
        return error_set(err, ERR_CONFIG, "listen is empty: name at least one address");
    for (size_t i = 0; i < listener->count; i++)
        log_address(listener->fds[i]);
    return ERR_OK;
}

void listener_close(struct listener *listener)
{
    /* Files first: one whose socket is closed is free to be taken by a successor, whose file it
     * would be then. */
    for (size_t i = 0; i < listener->unix_paths.count; i++)
        unlink(listener->unix_paths.items[i]);
    for (size_t i = 0; i < listener->count; i++)
        close(listener->fds[i]);
    conf_list_clear(&listener->unix_paths);
    free(listener->fds);
    *listener = (struct listener){0};
}
