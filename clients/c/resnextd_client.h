/* A client of resnextd on libcurl and jansson: two files to copy into a program.
 *
 * A client keeps its connection. One thread at a time may use it; threads that want to ask at the
 * same time have one each. Call curl_global_init before the first thread. */
#ifndef RESNEXTD_CLIENT_H
#define RESNEXTD_CLIENT_H

#include <stddef.h>

struct resnextd_client;

struct resnextd_settings {
    const char *url;     /* "http://HOST:PORT", "https://HOST:PORT" or "unix:PATH" */
    const char *api_key; /* NULL: none */
    const char
        *ca_file;    /* PEM: who signed the certificate of an https server; NULL: the system's */
    long timeout_ms; /* for each call, waiting for a busy server included; 0: 60000 */
    int retries;     /* how often a server that answers 503 is asked again */
};

struct resnextd_prediction {
    int class_id;
    double score; /* 0 to 1: this class's share; with sigmoids, its own probability */
    char *label;  /* UTF-8 */
};

/* What came back. `status` is HTTP's, or 0 if there was no answer in time. With 200 there are
 * predictions, best first; otherwise `error_code` (the server's, or "unreachable", "bad_answer",
 * "out_of_memory") and `message` say why not. */
struct resnextd_answer {
    long status;
    struct resnextd_prediction *predictions;
    size_t prediction_count;
    char error_code[64];
    char message[512];
};

/* NULL without memory or with an url that is none. The strings are copied. */
struct resnextd_client *resnextd_client_open(const struct resnextd_settings *settings);

/* NULL is fine. */
void resnextd_client_close(struct resnextd_client *client);

/* Classifies a JPEG. At most `top_k` classes are named; `top_k` 0 and `model` NULL stand for the
 * server's defaults. Returns 0 if the status is 200, else -1. `answer` is filled in either case and
 * freed by resnextd_answer_free. */
int resnextd_classify(struct resnextd_client *client, const void *jpeg, size_t length, int top_k,
                      const char *model, struct resnextd_answer *answer);

/* Frees what the answer points to. Harmless twice. */
void resnextd_answer_free(struct resnextd_answer *answer);

#endif
