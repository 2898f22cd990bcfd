#include "model/class_id.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

json_int_t class_id_parse(const char *text)
{
    enum { MOST_DIGITS = 6 };
    size_t digits = strspn(text, "0123456789");
    bool plain = digits > 0 && digits <= MOST_DIGITS && !text[digits];
    return plain && (text[0] != '0' || digits == 1) ? atoi(text) : -1;
}

json_int_t class_id_take(const json_t *id)
{
    if (json_is_string(id))
        return class_id_parse(json_string_value(id));
    return json_is_integer(id) ? json_integer_value(id) : -1;
}
