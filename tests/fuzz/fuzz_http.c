/* What a client may send, to the whole service: bytes on a connection. After them the service must
 * still be alive, which also waits until it has dealt with them. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/check.h"
#include "base/log.h"
#include "http/http.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { PATIENCE_MS = 5 };

static struct conf conf;
static struct http *http;
static struct server *server;
static struct sockaddr_un address = {.sun_family = AF_UNIX};

static void end(void)
{
    http_drain(http, 0);
    server_halt(server);
    http_close(http);
    server_stop(server);
    conf_free(&conf);
}

static void need(int code, const struct error *err)
{
    if (code == ERR_OK)
        return;
    fprintf(stderr, "cannot start: %s\n", err->message);
    abort();
}

static void begin(void)
{
    char model[1024], listen[128];
    const char *top = getenv("top_srcdir");
    snprintf(address.sun_path, sizeof address.sun_path, "/tmp/resnextd-fuzz-%ld", (long)getpid());
    snprintf(listen, sizeof listen, "unix:%s", address.sun_path);
    snprintf(model, sizeof model, "%s/models/resnext29-cifar10", top ? top : ".");
    char *argv[] = {"fuzz",        "--listen",        listen, "--model", model,
                    "--workers=1", "--cors-origin=*", NULL};
    enum conf_action action;
    struct error err;
    struct server_settings settings = {.conf = &conf};
    settings.endpoints = http_endpoints(&settings.endpoint_count);
    signal(SIGPIPE, SIG_IGN);
    log_configure(LOG_LEVEL_ERROR, LOG_FORMAT_TEXT);
    need(conf_load(&conf, &action, 7, argv, &err), &err);
    need(http_open(&http, &conf, &err), &err);
    need(server_start(&server, &settings, &err), &err);
    need(http_start(http, server, NULL, 0, &err), &err);
    atexit(end);
}

static int connected(void)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK(fd >= 0 && connect(fd, (const struct sockaddr *)&address, sizeof address) == 0);
    return fd;
}

/* libFuzzer's timer interrupts whoever waits. */
static ssize_t receive(int fd, char *buffer, size_t size)
{
    return TEMP_FAILURE_RETRY(recv(fd, buffer, size, 0));
}

static bool is_busy(void)
{
    struct server_load load;
    server_load(server, &load);
    return load.queue_depth > 0 || load.workers_busy > 0;
}

/* Nothing is computed for who has left: what workers have in hand is waited for. */
static void say(const uint8_t *data, size_t size)
{
    char answer[4096];
    int fd = connected();
    struct pollfd ready = {.fd = fd, .events = POLLIN};
    ssize_t sent = send(fd, data, size, MSG_NOSIGNAL);
    while (sent > 0 && poll(&ready, 1, PATIENCE_MS) <= 0 && is_busy())
        continue;
    if (ready.revents)
        receive(fd, answer, sizeof answer);
    close(fd);
}

static void check_alive(void)
{
    static const char question[] = "GET /livez HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    char answer[4096] = "";
    int fd = connected();
    CHECK(send(fd, question, sizeof question - 1, MSG_NOSIGNAL) == sizeof question - 1);
    CHECK(receive(fd, answer, sizeof answer - 1) > 0);
    CHECK(strstr(answer, " 200 "));
    while (receive(fd, answer, sizeof answer) > 0)
        continue;
    close(fd);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (!http)
        begin();
    say(data, size);
    check_alive();
    return 0;
}
