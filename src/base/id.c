#include "base/id.h"

#include <ctype.h>
#include <string.h>
#include <sys/random.h>

#include "base/check.h"
#include "base/number.h"

void id_generate(char id[ID_SIZE])
{
    unsigned char bytes[16];
    /* Up to 256 bytes are never cut short, and interrupted only before the pool is ready. */
    CHECK(getrandom(bytes, sizeof bytes, 0) == (ssize_t)sizeof bytes);
    hex_print(id, bytes, sizeof bytes);
}

bool id_is_sane(const char *id)
{
    size_t n = 0;
    for (; id[n]; n++)
        if (n == ID_MAX || !(isalnum((unsigned char)id[n]) || strchr("._-", id[n])))
            return false;
    return n > 0;
}

bool id_is_traceparent(const char *text)
{
    static const char form[] = "xx-xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx-xxxxxxxxxxxxxxxx-xx";
    enum { TRACE_ID = 3, TRACE_ID_DIGITS = 32, PARENT_ID = 36, PARENT_ID_DIGITS = 16 };
    for (size_t i = 0; i < TRACEPARENT_LENGTH; i++) {
        bool digit = isdigit((unsigned char)text[i]) || (text[i] >= 'a' && text[i] <= 'f');
        if (form[i] == 'x' ? !digit : text[i] != form[i])
            return false;
    }
    bool is_first_version = strncmp(text, "00", 2) == 0,
         is_no_version = strncmp(text, "ff", 2) == 0;
    char next = text[TRACEPARENT_LENGTH];
    return !is_no_version && (next == '\0' || (next == '-' && !is_first_version)) &&
           strspn(text + TRACE_ID, "0") < TRACE_ID_DIGITS &&
           strspn(text + PARENT_ID, "0") < PARENT_ID_DIGITS;
}
