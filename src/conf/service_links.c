#include "conf/service_links.h"

#include <regex.h>
#include <stddef.h>

#define PROTOCOL "(tcp|udp|sctp)"

/* A variable is a link if its key and its value match one row. Docker also has ranges of ports, as
 * in X_PORT_N_TCP_START and X_PORT_N_TCP_PORT_END. */
static const struct {
    const char *key, *value;
} forms[] = {
    {"(^|_)service_host$", "^"},
    {"(^|_)service_port(_|$)", "^"},
    {"(^|_)port_[0-9]+_" PROTOCOL "(_|$)", "^"},
    {"(^|_)port$", "^" PROTOCOL "://"},
    {"(^|_)name$", "^/.*/"},
    {"(^|_)env_.", "^"},
};

static bool matches(const char *text, const char *pattern)
{
    regex_t compiled;
    if (regcomp(&compiled, pattern, REG_EXTENDED | REG_NOSUB) != 0)
        return false;
    bool found = regexec(&compiled, text, 0, NULL, 0) == 0;
    regfree(&compiled);
    return found;
}

bool conf_is_service_link(const char *key, const char *value)
{
    for (size_t i = 0; i < sizeof forms / sizeof forms[0]; i++)
        if (matches(key, forms[i].key) && matches(value, forms[i].value))
            return true;
    return false;
}
