#include "serve/answer.h"

#include <endian.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FIRST_CAPACITY = 1024, ASKS_EVERY = 1024 };

void answer_begin(struct answer *answer, struct bodies *bodies)
{
    *answer = (struct answer){.bodies = bodies, .status = 200, .type = "application/json"};
}

void answer_adopt(struct answer *answer, struct bodies *bodies, char *bytes, size_t length)
{
    answer_begin(answer, bodies);
    answer->bytes = bytes;
    answer->length = answer->capacity = length;
    bodies_count(bodies, length);
}

bool answer_goes_on(struct answer *a)
{
    bool asks = a->failure == ERR_OK && a->go_on && a->questions++ % ASKS_EVERY == 0;
    if (asks && !a->go_on(a->arg))
        a->failure = ERR_DEADLINE;
    return a->failure == ERR_OK;
}

static bool reserve(struct answer *a, size_t more)
{
    if (answer_goes_on(a))
        a->failure = bodies_resize(a->bodies, &a->bytes, &a->capacity, a->length + more,
                                   FIRST_CAPACITY, SIZE_MAX);
    return a->failure == ERR_OK;
}

void answer_put(struct answer *answer, const void *bytes, size_t length)
{
    if (length == 0 || !reserve(answer, length))
        return;
    memcpy(answer->bytes + answer->length, bytes, length);
    answer->length += length;
}

void answer_text(struct answer *answer, const char *text)
{
    answer_put(answer, text, strlen(text));
}

void answer_float(struct answer *answer, float number)
{
    uint32_t bits;
    memcpy(&bits, &number, sizeof bits);
    bits = htole32(bits);
    answer_put(answer, &bits, sizeof bits);
}

void answer_printf(struct answer *answer, const char *format, ...)
{
    char text[256];
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    if (length < (int)sizeof text) {
        answer_put(answer, text, (size_t)length);
    } else if (reserve(answer, (size_t)length + 1)) {
        va_start(arguments, format);
        vsnprintf(answer->bytes + answer->length, (size_t)length + 1, format, arguments);
        va_end(arguments);
        answer->length += (size_t)length;
    }
}

int answer_end(struct answer *answer, struct error *err)
{
    answer->go_on = NULL;
    if (answer->failure == ERR_OVERLOADED)
        return error_set(err, ERR_OVERLOADED,
                         "the answer does not fit beside the bodies that are in memory "
                         "(max_body_bytes, queue_limit); try again later, or ask for less");
    if (answer->failure == ERR_DEADLINE)
        return error_set(err, ERR_DEADLINE, "the answer was given up");
    if (answer->failure != ERR_OK)
        return error_set(err, ERR_NO_MEMORY, "no memory for the answer; try again later");
    bool is_large = answer->capacity > BODIES_SMALL && answer->length < answer->capacity;
    char *bytes = is_large ? realloc(answer->bytes, answer->length) : NULL;
    if (bytes) {
        bodies_return(answer->bodies, answer->capacity - answer->length);
        answer->bytes = bytes;
        answer->capacity = answer->length;
    }
    return ERR_OK;
}

void answer_free(struct answer *answer)
{
    if (answer->capacity > 0)
        bodies_return(answer->bodies, answer->capacity);
    free(answer->bytes);
    *answer = (struct answer){0};
}
