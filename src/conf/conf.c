#include "conf/conf.h"

#include <stdlib.h>
#include <unistd.h>

#include "conf/arguments.h"
#include "conf/file.h"
#include "conf/models.h"
#include "conf/options.h"

static const char default_file[] = SYSCONFDIR "/resnextd/resnextd.conf";

/* Whether systemd handed sockets to this very process. */
static bool has_sockets(void)
{
    const char *pid = getenv("LISTEN_PID"), *count = getenv("LISTEN_FDS");
    return pid && count && atol(pid) == getpid() && atol(count) > 0;
}

/* A service that systemd starts for a socket listens there without being told so. */
static int set_defaults(struct conf *conf, struct error *err)
{
    int rc = conf_set_defaults(conf, err);
    if (rc != ERR_OK || !has_sockets())
        return rc;
    conf_list_clear(&conf->listen);
    return conf_set_text(conf, &conf_options[CONF_OPTION_listen], "systemd", err);
}

static int read_sources(struct conf *conf, const char *file, int argc, char *const *argv,
                        struct error *err)
{
    int rc = conf_read_file(conf, file ? file : default_file, !file, err);
    if (rc == ERR_OK)
        rc = conf_read_environment(conf, environ, err);
    if (rc == ERR_OK)
        rc = conf_read_arguments(conf, argc, argv, err);
    return rc;
}

int conf_load(struct conf *conf, enum conf_action *action, int argc, char *const *argv,
              struct error *err)
{
    struct conf_request request;
    *conf = (struct conf){0};
    *action = CONF_RUN;
    int rc = set_defaults(conf, err);
    if (rc == ERR_OK)
        rc = conf_scan_arguments(&request, argc, argv, err);
    if (rc != ERR_OK)
        return rc;
    *action = request.action;
    if (request.action != CONF_HELP && request.action != CONF_VERSION)
        rc = read_sources(conf, request.file, argc, argv, err);
    if (rc == ERR_OK)
        rc = conf_models_complete(conf, err);
    return rc;
}

void conf_free(struct conf *conf)
{
    for (size_t i = 0; i < CONF_OPTION_COUNT; i++)
        if (conf_options[i].type == CONF_TEXT_LIST)
            conf_list_clear(conf_list_of(conf, &conf_options[i]));
    conf_models_clear(conf);
}
