#include "resnextd_client.h"

#include <curl/curl.h>
#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { DEFAULT_TIMEOUT_MS = 60000, MAX_ANSWER_BYTES = 16 << 20 };

struct resnextd_client {
    CURL *curl;
    struct curl_slist *headers;
    char *base; /* the url without a slash at its end */
    long timeout_ms;
    int retries;
};

struct body {
    char *bytes;
    size_t length;
};

static long now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (long)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static void sleep_ms(long ms)
{
    struct timespec t = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};
    nanosleep(&t, NULL);
}

__attribute__((format(printf, 3, 4))) static int fail(struct resnextd_answer *answer,
                                                      const char *code, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(answer->message, sizeof answer->message, format, args);
    va_end(args);
    snprintf(answer->error_code, sizeof answer->error_code, "%s", code);
    return -1;
}

/* --- the connection --- */

static char *format_text(const char *format, const char *text)
{
    size_t size = strlen(format) + strlen(text) + 1;
    char *s = malloc(size);
    if (s)
        snprintf(s, size, format, text); /* NOLINT: the formats are ours */
    return s;
}

static int add_header(struct resnextd_client *c, const char *line)
{
    struct curl_slist *list = line ? curl_slist_append(c->headers, line) : NULL;
    if (list)
        c->headers = list;
    return list ? 0 : -1;
}

static int set_address(struct resnextd_client *c, const char *url)
{
    if (strncmp(url, "unix:", 5) == 0) {
        c->base = strdup("http://localhost");
        return c->base && curl_easy_setopt(c->curl, CURLOPT_UNIX_SOCKET_PATH, url + 5) == CURLE_OK
                   ? 0
                   : -1;
    }
    if (strncmp(url, "http://", 7) != 0 && strncmp(url, "https://", 8) != 0)
        return -1;
    c->base = strdup(url);
    size_t length = c->base ? strlen(c->base) : 0;
    if (length > 0 && c->base[length - 1] == '/')
        c->base[length - 1] = '\0';
    return c->base ? 0 : -1;
}

static int set_key(struct resnextd_client *c, const char *key)
{
    char *line = format_text("Authorization: Bearer %s", key);
    int code = add_header(c, line);
    free(line);
    return code;
}

struct resnextd_client *resnextd_client_open(const struct resnextd_settings *settings)
{
    struct resnextd_client *c = calloc(1, sizeof *c);
    if (!c)
        return NULL;
    c->timeout_ms = settings->timeout_ms > 0 ? settings->timeout_ms : DEFAULT_TIMEOUT_MS;
    c->retries = settings->retries;
    c->curl = curl_easy_init();
    /* No "Expect: 100-continue": it costs a round trip, and a refusal closes the connection. */
    if (!c->curl || set_address(c, settings->url) != 0 ||
        add_header(c, "Content-Type: image/jpeg") != 0 || add_header(c, "Expect:") != 0 ||
        (settings->api_key && set_key(c, settings->api_key) != 0) ||
        (settings->ca_file &&
         curl_easy_setopt(c->curl, CURLOPT_CAINFO, settings->ca_file) != CURLE_OK)) {
        resnextd_client_close(c);
        return NULL;
    }
    return c;
}

void resnextd_client_close(struct resnextd_client *client)
{
    if (!client)
        return;
    curl_easy_cleanup(client->curl);
    curl_slist_free_all(client->headers);
    free(client->base);
    free(client);
}

static size_t append(char *bytes, size_t size, size_t count, void *arg)
{
    struct body *b = arg;
    size_t more = size * count;
    if (more > MAX_ANSWER_BYTES - b->length)
        return 0;
    char *grown = realloc(b->bytes, b->length + more + 1);
    if (!grown)
        return 0;
    memcpy(grown + b->length, bytes, more);
    b->bytes = grown;
    b->length += more;
    return more;
}

/* --- the answer --- */

static int read_error(const json_t *root, struct resnextd_answer *answer)
{
    const char *code, *message;
    if (json_unpack((json_t *)root, "{s:{s:s, s:s}}", "error", "code", &code, "message",
                    &message) != 0)
        return fail(answer, "bad_answer", "HTTP status %ld", answer->status);
    return fail(answer, code, "%s", message);
}

static int read_predictions(const json_t *root, struct resnextd_answer *answer)
{
    const json_t *list = json_object_get(root, "predictions"), *one;
    size_t i, count = json_array_size(list);
    answer->predictions = calloc(count ? count : 1, sizeof *answer->predictions);
    if (!answer->predictions)
        return fail(answer, "out_of_memory", "no memory for the answer");
    json_array_foreach(list, i, one)
    {
        struct resnextd_prediction *p = &answer->predictions[i];
        const char *label;
        if (json_unpack((json_t *)one, "{s:i, s:F, s:s}", "class_id", &p->class_id, "score",
                        &p->score, "label", &label) != 0)
            return fail(answer, "bad_answer", "a prediction is not as it should be");
        p->label = strdup(label);
        if (!p->label)
            return fail(answer, "out_of_memory", "no memory for the answer");
        answer->prediction_count++;
    }
    return count > 0 ? 0 : fail(answer, "bad_answer", "the answer has no predictions");
}

static int read_answer(const struct body *body, struct resnextd_answer *answer)
{
    json_t *root = json_loadb(body->bytes ? body->bytes : "", body->length,
                              JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, NULL);
    int code = answer->status == 200 ? read_predictions(root, answer) : read_error(root, answer);
    json_decref(root);
    return code;
}

void resnextd_answer_free(struct resnextd_answer *answer)
{
    for (size_t i = 0; i < answer->prediction_count; i++)
        free(answer->predictions[i].label);
    free(answer->predictions);
    answer->predictions = NULL;
    answer->prediction_count = 0;
}

/* --- the call --- */

/* BASE/classify?top_k=…&model=…; to be freed. */
static char *make_url(struct resnextd_client *c, int top_k, const char *model)
{
    char *name = curl_easy_escape(c->curl, model ? model : "", 0);
    if (!name)
        return NULL;
    size_t size = strlen(c->base) + strlen(name) + 64;
    char *url = malloc(size);
    if (url) {
        int n = snprintf(url, size, "%s/classify?", c->base);
        if (top_k > 0)
            n += snprintf(url + n, size - (size_t)n, "top_k=%d&", top_k);
        if (model)
            snprintf(url + n, size - (size_t)n, "model=%s", name);
    }
    curl_free(name);
    return url;
}

/* Asks once; `*again_ms` is when to ask again, -1 never. */
static int ask(struct resnextd_client *c, long left_ms, struct resnextd_answer *answer,
               long *again_ms)
{
    struct body body = {0};
    curl_off_t after = 0;
    *again_ms = -1;
    answer->status = 0;
    answer->error_code[0] = answer->message[0] = '\0';
    curl_easy_setopt(c->curl, CURLOPT_TIMEOUT_MS, left_ms);
    curl_easy_setopt(c->curl, CURLOPT_WRITEDATA, &body);
    CURLcode failed = curl_easy_perform(c->curl);
    int code;
    if (failed != CURLE_OK) {
        code = fail(answer, "unreachable", "%s: %s", c->base, curl_easy_strerror(failed));
    } else {
        curl_easy_getinfo(c->curl, CURLINFO_RESPONSE_CODE, &answer->status);
        curl_easy_getinfo(c->curl, CURLINFO_RETRY_AFTER, &after);
        code = read_answer(&body, answer);
        if (answer->status == 503)
            *again_ms = after > 0 && after < 3600 ? (long)after * 1000 : 1000;
    }
    free(body.bytes);
    return code;
}

int resnextd_classify(struct resnextd_client *client, const void *jpeg, size_t length, int top_k,
                      const char *model, struct resnextd_answer *answer)
{
    memset(answer, 0, sizeof *answer);
    char *url = make_url(client, top_k, model);
    if (!url)
        return fail(answer, "out_of_memory", "no memory for the request");
    curl_easy_setopt(client->curl, CURLOPT_URL, url);
    curl_easy_setopt(client->curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(client->curl, CURLOPT_HTTPHEADER, client->headers);
    curl_easy_setopt(client->curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)length);
    curl_easy_setopt(client->curl, CURLOPT_POSTFIELDS, jpeg);
    curl_easy_setopt(client->curl, CURLOPT_WRITEFUNCTION, append);
    long end = now_ms() + client->timeout_ms, again_ms;
    int code = ask(client, client->timeout_ms, answer, &again_ms);
    for (int tries = client->retries; tries > 0 && again_ms >= 0; tries--) {
        if (now_ms() + again_ms >= end)
            break;
        sleep_ms(again_ms);
        long left_ms = end - now_ms();
        code =
            ask(client, left_ms > 0 ? left_ms : 1 /* 0 is no limit to curl */, answer, &again_ms);
    }
    free(url);
    return code;
}
