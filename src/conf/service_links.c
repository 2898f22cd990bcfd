#include "conf/service_links.h"

#include <string.h>

/* What follows the first `word` between underscores; NULL if there is none. */
static const char *after_word(const char *key, const char *word)
{
    size_t length = strlen(word);
    for (const char *at = key; (at = strstr(at, word)); at++)
        if ((at == key || at[-1] == '_') && (at[length] == '_' || at[length] == '\0'))
            return at + length;
    return NULL;
}

static bool ends_with_word(const char *key, const char *word)
{
    size_t all = strlen(key), length = strlen(word);
    return all >= length && strcmp(key + all - length, word) == 0 &&
           (all == length || key[all - length - 1] == '_');
}

/* What follows the protocol that a text begins with, as in "tcp://10.0.0.1:80"; NULL if there is
 * none. */
static const char *after_protocol(const char *text)
{
    static const char *const protocols[] = {"tcp", "udp", "sctp"};
    for (size_t i = 0; i < sizeof protocols / sizeof protocols[0]; i++)
        if (strncmp(text, protocols[i], strlen(protocols[i])) == 0)
            return text + strlen(protocols[i]);
    return NULL;
}

/* _N_TCP, _N_TCP_PROTO, _N_TCP_PORT, _N_TCP_ADDR, which follow "port"; Docker has ranges too, as in
 * _N_TCP_START and _N_TCP_PORT_END. */
static bool is_numbered_port(const char *rest)
{
    size_t digits = rest[0] == '_' ? strspn(rest + 1, "0123456789") : 0;
    if (digits == 0 || rest[1 + digits] != '_')
        return false;
    const char *end = after_protocol(rest + 1 + digits + 1);
    return end && (*end == '_' || *end == '\0');
}

static bool has_numbered_port(const char *key)
{
    for (const char *rest = key; (rest = after_word(rest, "port"));)
        if (is_numbered_port(rest))
            return true;
    return false;
}

bool conf_is_service_link(const char *key, const char *value)
{
    const char *env = after_word(key, "env");
    if (ends_with_word(key, "service_host") || after_word(key, "service_port") ||
        has_numbered_port(key) || (env && env[0] == '_' && env[1]))
        return true;
    if (ends_with_word(key, "port")) {
        const char *rest = after_protocol(value);
        return rest && strncmp(rest, "://", 3) == 0;
    }
    return ends_with_word(key, "name") && value[0] == '/' && strchr(value + 1, '/');
}
