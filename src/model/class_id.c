#include "model/class_id.h"

#include <stdlib.h>
#include <string.h>

int class_id_parse(const char *text)
{
    enum { MAX_DIGITS = 9 };
    size_t digits = strspn(text, "0123456789");
    return digits > 0 && digits <= MAX_DIGITS && text[digits] == '\0' ? atoi(text) : -1;
}

int class_id_of_key(const char *key)
{
    return key[0] == '0' && key[1] != '\0' ? -1 : class_id_parse(key);
}

json_int_t class_id_take(const json_t *id)
{
    if (json_is_string(id))
        return class_id_of_key(json_string_value(id));
    return json_is_integer(id) ? json_integer_value(id) : -1;
}
