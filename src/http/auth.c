#include "http/auth.h"

#include <string.h>
#include <strings.h>

/* Of a request's headers, which may hold several: a proxy adds credentials of its own. */
struct credentials {
    const struct key_list *keys;
    const struct key *found; /* NULL: none of those seen */
    bool any;                /* something like a key was shown */
};

/* The key that a header shows, or NULL. Authorization of another scheme is somebody else's. */
static const char *shown_key(const char *name, const char *value)
{
    static const char scheme[] = "Bearer ";
    if (strcasecmp(name, "X-API-Key") == 0)
        return value;
    if (strcasecmp(name, "Authorization") != 0 ||
        strncasecmp(value, scheme, sizeof scheme - 1) != 0)
        return NULL;
    const char *key = value + sizeof scheme - 1;
    return key + strspn(key, " ");
}

static enum MHD_Result note_header(void *arg, enum MHD_ValueKind kind, const char *name,
                                   const char *value)
{
    (void)kind;
    struct credentials *c = arg;
    const char *shown = value ? shown_key(name, value) : NULL;
    const struct key *key = shown ? keys_find(c->keys, shown) : NULL;
    c->any = c->any || shown;
    c->found = key ? key : c->found;
    return MHD_YES;
}

int auth_check(struct exchange *x, struct error *err)
{
    struct credentials c = {.keys = generation_keys(x->generation)};
    if (!c.keys)
        return ERR_OK;
    MHD_get_connection_values(x->connection, MHD_HEADER_KIND, note_header, &c);
    x->key = c.found;
    if (x->key)
        return ERR_OK;
    return error_set(err, ERR_UNAUTHORIZED,
                     c.any ? "this key is not known; ask the administrator for one"
                           : "a key is needed: Authorization: Bearer KEY, or X-API-Key: KEY");
}
