#include "http/auth.h"

#include <string.h>
#include <strings.h>

/* The key that a request shows, or NULL. Authorization of another scheme is somebody else's, as of
 * a proxy in front. */
static const char *shown_key(const struct exchange *x)
{
    static const char scheme[] = "Bearer ";
    const char *authorization = exchange_header(x, "Authorization");
    if (!authorization || strncasecmp(authorization, scheme, sizeof scheme - 1) != 0)
        return exchange_header(x, "X-API-Key");
    const char *key = authorization + sizeof scheme - 1;
    return key + strspn(key, " ");
}

int auth_check(struct exchange *x, struct error *err)
{
    const struct key_list *keys = edition_keys(x->edition);
    if (!keys)
        return ERR_OK;
    const char *shown = shown_key(x);
    x->key = shown ? keys_find(keys, shown) : NULL;
    if (x->key)
        return ERR_OK;
    return error_set(err, ERR_UNAUTHORIZED,
                     shown ? "this key is not known; ask the administrator for one"
                           : "a key is needed: Authorization: Bearer KEY, or X-API-Key: KEY");
}
