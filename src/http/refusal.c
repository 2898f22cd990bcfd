#include "http/refusal.h"

#include <stdio.h>
#include <sys/socket.h>

#include "base/log.h"

void refusal_log(const char *id, const char *client, const char *option)
{
    const struct log_field fields[] = {
        {.key = "id", .text = id},
        {.key = "client", .text = client},
        {.key = "status", .number = 503},
        {.key = "limit", .text = option},
    };
    log_event(LOG_LEVEL_WARNING, "connection turned away", fields,
              sizeof fields / sizeof fields[0]);
}

void refusal_send(int fd, const char *id, const char *option)
{
    char body[512], text[1024];
    int n = snprintf(body, sizeof body,
                     "{\"error\":{\"code\":\"overloaded\",\"message\":\"too many connections are "
                     "open already (%s); try again later\",\"status\":503},\"request_id\":\"%s\"}",
                     option, id);
    n = snprintf(text, sizeof text,
                 "HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\n"
                 "Content-Type: application/json\r\nContent-Length: %d\r\nRetry-After: 1\r\n"
                 "X-Request-Id: %s\r\n\r\n%s",
                 n, id, body);
    ssize_t sent = send(fd, text, (size_t)n, MSG_NOSIGNAL | MSG_DONTWAIT);
    (void)sent; /* a fresh socket takes it whole, or the client is gone already */
}
