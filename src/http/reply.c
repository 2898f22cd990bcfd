#include "http/reply.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "http/answer_json.h"
#include "http/connections/refusal.h"
#include "http/cors.h"
#include "http/response.h"

static bool add_headers(struct exchange *x, struct MHD_Response *response, int status,
                        const char *content_type)
{
    bool closes = x->closes || server_draining(x->context->server);
    char inference[32], retry[32];
    snprintf(inference, sizeof inference, "%zu", x->inference_header);
    if (status == 503)
        snprintf(retry, sizeof retry, "%d", server_retry_after_s(x->context->server));
    return response_add(response, "X-Request-Id", x->id) &&
           response_add(response, "X-Content-Type-Options", "nosniff") &&
           cors_add_headers(x, response) && response_add(response, "Content-Type", content_type) &&
           response_add(response, "Connection", closes ? "close" : NULL) &&
           response_add(response, "Inference-Header-Content-Length",
                        x->inference_header > 0 ? inference : NULL) &&
           response_add(response, "Retry-After", status == 503 ? retry : NULL) &&
           response_add(response, "WWW-Authenticate",
                        status == 401 ? "Bearer realm=\"resnextd\"" : NULL) &&
           response_add(response, "Allow", status == 405 ? x->allow : NULL);
}

/* Queues a response and gives it up. */
static enum MHD_Result queue(struct exchange *x, int status, const char *content_type,
                             struct MHD_Response *response, size_t length)
{
    if (!response)
        return MHD_NO;
    enum MHD_Result result = MHD_NO;
    if (add_headers(x, response, status, content_type))
        result = MHD_queue_response(x->connection, (unsigned)status, response);
    MHD_destroy_response(response);
    if (result != MHD_YES)
        return MHD_NO;
    upload_free(&x->upload);
    /* An answer to the headers alone leaves the body unread. */
    peer_replying(x->peer, x->phase == EXCHANGE_HEADERS && x->head.has_body);
    x->phase = EXCHANGE_ANSWERED;
    x->status = status;
    x->length = strcmp(x->method, "HEAD") == 0 || status == 304 ? 0 : length;
    return MHD_YES;
}

static enum MHD_Result reply_out_of_memory(struct exchange *x)
{
    char text[REFUSAL_BODY_MAX];
    struct error err;
    error_set(&err, ERR_NO_MEMORY, "%s", error_text(ERR_NO_MEMORY));
    size_t length = x->plain_errors
                        ? (size_t)snprintf(text, sizeof text, "{\"error\":\"%s\"}", err.message)
                        : refusal_body(text, x->id, &err);
    /* Not response_create, which needs more memory. */
    return queue(x, error_status(err.code), "application/json",
                 MHD_create_response_from_buffer(length, text, MHD_RESPMEM_MUST_COPY), length);
}

enum MHD_Result reply_text(struct exchange *x, int status, const char *content_type, char *text,
                           size_t length)
{
    if (!text)
        return reply_out_of_memory(x);
    struct answer answer;
    answer_adopt(&answer, server_bodies(x->context->server), text, length);
    answer.status = status;
    answer.type = content_type;
    return reply_answer(x, &answer);
}

enum MHD_Result reply_answer(struct exchange *x, struct answer *answer)
{
    const struct answer a = *answer;
    struct MHD_Response *response = response_create(x, a.bytes, a.length, answer);
    *answer = (struct answer){0};
    x->inference_header = a.json_length;
    return response ? queue(x, a.status, a.type, response, a.length) : reply_out_of_memory(x);
}

enum MHD_Result reply_constant(struct exchange *x, int status, const char *content_type,
                               const unsigned char *bytes, size_t length,
                               const struct reply_header *headers)
{
    struct MHD_Response *response = response_create(x, bytes, length, NULL);
    bool ok = response != NULL;
    for (; ok && headers->name; headers++)
        ok = response_add(response, headers->name, headers->value);
    if (ok)
        return queue(x, status, content_type, response, length);
    if (response)
        MHD_destroy_response(response);
    return reply_out_of_memory(x);
}

enum MHD_Result reply_json(struct exchange *x, int status, json_t *body)
{
    char *text =
        body ? json_dumps(body, JSON_COMPACT | JSON_REAL_PRECISION(ANSWER_JSON_DIGITS)) : NULL;
    json_decref(body);
    return reply_text(x, status, "application/json", text, text ? strlen(text) : 0);
}

json_t *reply_append(json_t *list, json_t *item)
{
    if (json_array_append_new(list, item) == 0)
        return list;
    json_decref(list);
    return NULL;
}

json_t *reply_model_names(const struct generation *generation)
{
    json_t *names = json_array();
    for (size_t i = 0; i < generation_model_count(generation); i++)
        names = reply_append(names, json_string(generation_model(generation, i)->name));
    return names;
}

enum MHD_Result reply_error(struct exchange *x, const struct error *err)
{
    struct answer a;
    answer_begin(&a, server_bodies(x->context->server));
    a.status = error_status(err->code);
    answer_text(&a, "{\"error\":");
    if (x->plain_errors) {
        answer_json_text(&a, err->message);
    } else {
        answer_json_error(&a, err);
        answer_text(&a, ",\"request_id\":");
        answer_json_text(&a, x->id);
    }
    answer_text(&a, "}");
    if (answer_end(&a, NULL) == ERR_OK)
        return reply_answer(x, &a);
    answer_free(&a);
    return reply_out_of_memory(x);
}

static void count_refusal(const struct exchange *x, int code)
{
    struct metrics *metrics = server_metrics(x->context->server);
    if (x->is_shortened && (code == ERR_DEADLINE || code == ERR_NO_TIME))
        metrics_add(metrics, COUNTER_rejected, REASON_CLIENT_DEADLINE, 0, 0, 1);
    else
        metrics_reject(metrics, code);
}

enum MHD_Result reply_refusal(struct exchange *x, const struct error *err, bool later)
{
    peer_refused(x->peer);
    if (!peer_timed_out(x->peer))
        count_refusal(x, err->code);
    if (!later)
        return reply_error(x, err);
    x->refusal = *err;
    return MHD_YES;
}

enum MHD_Result reply_unfinished(struct exchange *x, int outcome)
{
    struct error err;
    if (outcome == ERR_CLIENT_GONE)
        return MHD_NO; /* closes the connection */
    error_set(&err, (enum error_code)outcome, error_text(outcome), clock_ns_to_ms(x->timeout_ns));
    return reply_refusal(x, &err, false);
}

enum MHD_Result reply_nothing(struct exchange *x)
{
    return queue(x, 204, NULL, response_create(x, NULL, 0, NULL), 0);
}
