/* classify FILE...: what is in some JPEGs, one line each. */
#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>

#include "resnextd_client.h"

/* The bytes of a file, to be freed; NULL, with the reason on standard error. */
static void *read_file(const char *path, size_t *length)
{
    FILE *f = fopen(path, "rb");
    char *bytes = NULL;
    long size;
    /* A folder can be opened, but not be read. */
    if (f && (fgetc(f) != EOF || !ferror(f)) && fseek(f, 0, SEEK_END) == 0 &&
        (size = ftell(f)) >= 0 && fseek(f, 0, SEEK_SET) == 0) {
        bytes = malloc((size_t)size + 1);
        *length = bytes ? fread(bytes, 1, (size_t)size, f) : 0;
    }
    if (!bytes || ferror(f)) {
        perror(path);
        free(bytes);
        bytes = NULL;
    }
    if (f)
        fclose(f);
    return bytes;
}

static int classify(struct resnextd_client *client, const char *path)
{
    size_t length = 0;
    void *jpeg = read_file(path, &length);
    if (!jpeg)
        return -1;
    struct resnextd_answer answer;
    int code = resnextd_classify(client, jpeg, length, 0, NULL, &answer);
    printf("%s:", path);
    for (size_t i = 0; i < answer.prediction_count; i++)
        printf("%s %s %.4f", i ? "," : "", answer.predictions[i].label,
               answer.predictions[i].score);
    printf(code == 0 ? "\n" : " %s (%s)\n", answer.message, answer.error_code);
    resnextd_answer_free(&answer);
    free(jpeg);
    return code;
}

int main(int argc, char **argv)
{
    const char *url = getenv("RESNEXTD_URL");
    const struct resnextd_settings settings = {
        .url = url ? url : "http://127.0.0.1:8080",
        .api_key = getenv("RESNEXTD_API_KEY"),
        .ca_file = getenv("CURL_CA_BUNDLE"),
        .retries = 5,
    };
    curl_global_init(CURL_GLOBAL_DEFAULT);
    struct resnextd_client *client = resnextd_client_open(&settings);
    if (argc < 2 || !client) {
        fprintf(stderr, client ? "Usage: classify FILE...\n"
                                 "RESNEXTD_URL is the server, RESNEXTD_API_KEY the key for it, "
                                 "CURL_CA_BUNDLE a file of authorities.\n"
                               : "RESNEXTD_URL is no address\n");
        resnextd_client_close(client);
        return 2;
    }
    int failed = 0;
    for (int i = 1; i < argc; i++)
        failed |= classify(client, argv[i]) != 0;
    resnextd_client_close(client);
    curl_global_cleanup();
    return failed;
}
