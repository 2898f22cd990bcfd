#include "model/class_id.h"

#include <string.h>

#include "base/number.h"

int class_id_parse(const char *text)
{
    enum { MAX_DIGITS = 9 };
    size_t length = strlen(text);
    return length <= MAX_DIGITS ? (int)number_parse(text, length) : -1;
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
