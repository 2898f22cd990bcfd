#include "conf/conf.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/check.h"
#include "base/log.h"
#include "base/number.h"
#include "conf/arguments.h"
#include "conf/file.h"
#include "conf/listen.h"
#include "conf/models.h"
#include "conf/options.h"

static const char default_file[] = SYSCONFDIR "/resnextd/resnextd.conf";

/* Whether systemd handed sockets to this very process. */
static bool has_sockets(void)
{
    const char *pid = getenv("LISTEN_PID"), *count = getenv("LISTEN_FDS");
    return pid && count && number_parse(pid, strlen(pid)) == getpid() &&
           number_parse(count, strlen(count)) > 0;
}

/* A service that systemd starts for a socket listens there by default. */
static int set_defaults(struct conf *conf, struct error *err)
{
    int code = conf_set_defaults(conf, err);
    if (code != ERR_OK || !has_sockets())
        return code;
    conf_list_clear(&conf->listen);
    return conf_set_text(conf, &conf_options[CONF_OPTION_listen], CONF_FILE, "systemd", err);
}

static int read_sources(struct conf *conf, const char *file, struct error *err)
{
    conf->file = strdup(file ? file : default_file);
    if (!conf->file)
        return error_set(err, ERR_NO_MEMORY, "no memory for the configuration");
    int code = conf_read_file(conf, conf->file, !file, err);
    if (code == ERR_OK)
        code = conf_read_environment(conf, environ, err);
    return code;
}

static bool has_ending(const char *text, const char *ending)
{
    size_t length = strlen(text), n = strlen(ending);
    return length >= n && strcmp(text + length - n, ending) == 0;
}

/* Whether this is "*" or an origin as browsers send it: lower case, and no port that is the
 * scheme's default. It becomes a header. */
static bool is_origin(const char *text)
{
    size_t scheme = strspn(text, "abcdefghijklmnopqrstuvwxyz");
    if (strcmp(text, "*") == 0)
        return true;
    if (scheme == 0 || strncmp(text + scheme, "://", 3) != 0)
        return false;
    const char *host = text + scheme + 3;
    bool is_default_port = (strncmp(text, "https:", 6) == 0 && has_ending(host, ":443")) ||
                           (strncmp(text, "http:", 5) == 0 && has_ending(host, ":80"));
    return *host && host[strspn(host, "abcdefghijklmnopqrstuvwxyz0123456789.-_:[]")] == '\0' &&
           !is_default_port;
}

static int check_listeners(const struct conf *conf, struct error *err)
{
    for (size_t i = 0; i < conf->listen.count; i++)
        for (size_t j = 0; j < conf->admin_listen.count; j++) {
            const char *service = conf->listen.items[i], *admin = conf->admin_listen.items[j];
            if (conf_listen_is_same(service, admin))
                return error_set(err, ERR_CONFIG,
                                 "listen has \"%.100s\" and admin_listen \"%.100s\"; give "
                                 "admin_listen another port or path",
                                 service, admin);
        }
    return ERR_OK;
}

/* Checks that involve several options, or that the type of an option does not make. */
static int check_together(const struct conf *conf, struct error *err)
{
    if (!conf->tls_cert != !conf->tls_key)
        return error_set(err, ERR_CONFIG, "%s is set without %s; TLS needs both",
                         conf->tls_cert ? "tls_cert" : "tls_key",
                         conf->tls_cert ? "tls_key" : "tls_cert");
    if (conf->cors_origin && !is_origin(conf->cors_origin))
        return error_set(
            err, ERR_CONFIG,
            "cors_origin is \"%.100s\"; it must be * or an origin as browsers send it, "
            "in lower case and without the scheme's own port, as in "
            "https://photos.example",
            conf->cors_origin);
    return check_listeners(conf, err);
}

int conf_load(struct conf *conf, enum conf_action *action, int argc, char *const *argv,
              struct error *err)
{
    struct conf_request request;
    *conf = (struct conf){0};
    *action = CONF_USAGE;
    int code = conf_scan_arguments(&request, argc, argv, err);
    if (code != ERR_OK)
        return code;
    *action = request.action;
    code = set_defaults(conf, err);
    if (request.action == CONF_RUN || request.action == CONF_CHECK ||
        request.action == CONF_PRINT) {
        if (code == ERR_OK)
            code = read_sources(conf, request.file, err);
        if (code == ERR_OK && (code = conf_read_arguments(conf, argc, argv, err)) == ERR_CONFIG)
            *action = CONF_USAGE;
    }
    if (code == ERR_OK)
        code = check_together(conf, err);
    if (code == ERR_OK)
        code = conf_models_complete(conf, err);
    return code;
}

void conf_free(struct conf *conf)
{
    for (size_t i = 0; i < CONF_OPTION_COUNT; i++)
        if (conf_options[i].type == CONF_TEXT_LIST)
            conf_list_clear(conf_value(conf, &conf_options[i], CONF_TEXT_LIST));
        else if (conf_options[i].type == CONF_TEXT)
            free(*(char **)conf_value(conf, &conf_options[i], CONF_TEXT));
    conf_models_clear(conf);
    free(conf->file);
}

static bool lists_differ(const struct text_list *a, const struct text_list *b)
{
    bool differ = a->count != b->count;
    for (size_t i = 0; !differ && i < a->count; i++)
        differ = strcmp(a->items[i], b->items[i]) != 0;
    return differ;
}

/* Options that need a restart for every change are INTEGERs and TEXT_LISTs. */
static bool values_differ(const struct conf_option *option, const void *a, const void *b)
{
    CHECK(option->type == CONF_INTEGER || option->type == CONF_TEXT_LIST);
    return option->type == CONF_INTEGER ? *(const int64_t *)a != *(const int64_t *)b
                                        : lists_differ(a, b);
}

int conf_check_reload(const struct conf *running, const struct conf *next, struct error *err)
{
    if (running->has_settings && !next->has_settings)
        return error_set(err, ERR_CONFIG,
                         "%s is gone or empty; put it back, or restart to go on without it",
                         running->file);
    if (running->api_keys && !next->api_keys)
        return error_set(err, ERR_CONFIG,
                         "api_keys is not set any more, and everybody could use the service; set "
                         "it, or restart if that is meant");
    return ERR_OK;
}

/* The change that takes effect only at a restart; NULL: there is none. */
static const char *restart_reason(const struct conf_option *option, const void *running,
                                  const void *wanted)
{
    if (option->when == CONF_WHEN_RESTART)
        return values_differ(option, running, wanted) ? "has changed" : NULL;
    bool was_set = option->when == CONF_WHEN_RELOAD_IF_SET && *(char *const *)running;
    bool is_set = option->when == CONF_WHEN_RELOAD_IF_SET && *(char *const *)wanted;
    return was_set == is_set ? NULL : is_set ? "is set now" : "is not set now";
}

struct conf_keys conf_report_restart_only(const struct conf *running, const struct conf *wanted)
{
    struct conf_keys keys = {0};
    for (size_t i = 0; i < CONF_OPTION_COUNT; i++) {
        const struct conf_option *option = &conf_options[i];
        const char *reason = restart_reason(option, (const char *)running + option->offset,
                                            (const char *)wanted + option->offset);
        if (!reason)
            continue;
        log_warning("%s %s, which takes effect only at a restart", option->key, reason);
        keys.items[keys.count++] = option->key;
    }
    return keys;
}
