#include "http/connections/refusal.h"

#include <microhttpd.h>
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
    log_event(LOG_LEVEL_WARNING, "connection refused", fields,
              sizeof fields / sizeof fields[0]);
}

size_t refusal_body(char body[REFUSAL_BODY_MAX], const char *id, const struct error *err)
{
    return (size_t)snprintf(body, REFUSAL_BODY_MAX,
                            "{\"error\":{\"code\":\"%s\",\"message\":\"%s\",\"status\":%d},"
                            "\"request_id\":\"%s\"}",
                            error_json_code(err->code), err->message, error_status(err->code), id);
}

void refusal_send(int fd, gnutls_session_t tls, const char *id, const struct error *err)
{
    char body[REFUSAL_BODY_MAX], text[1536];
    int status = error_status(err->code);
    size_t length = refusal_body(body, id, err);
    int n = snprintf(text, sizeof text,
                     "HTTP/1.1 %d %s\r\nConnection: close\r\nContent-Type: application/json\r\n"
                     "Content-Length: %zu\r\n%sX-Content-Type-Options: nosniff\r\n"
                     "X-Request-Id: %s\r\n\r\n%s",
                     status, MHD_get_reason_phrase_for((unsigned)status), length,
                     status == 503 ? "Retry-After: 1\r\n" : "", id, body);
    ssize_t sent = tls ? gnutls_record_send(tls, text, (size_t)n)
                       : send(fd, text, (size_t)n, MSG_NOSIGNAL | MSG_DONTWAIT);
    (void)sent; /* a socket with nothing to send takes it whole, or the client is gone already */
    shutdown(fd, SHUT_WR);
}
