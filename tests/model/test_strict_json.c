#include "model/strict_json.h"

#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/suite.h"

/* What the library holds, in malloc's blocks. */
static size_t held, max_held;

static void *count_malloc(size_t size)
{
    char *block = malloc(size);
    held += block ? malloc_usable_size(block) + sizeof(size_t) : 0;
    max_held = held > max_held ? held : max_held;
    return block;
}

static void count_free(void *block)
{
    held -= block ? malloc_usable_size(block) + sizeof(size_t) : 0;
    free(block);
}

/* {"a": [VALUE, VALUE, ...]}, or {"0": VALUE, "1": VALUE, ...}; to be freed. */
static char *repeat(const char *value, bool in_object, size_t count)
{
    char *text = malloc(count * (strlen(value) + 32) + 32), *at = text;
    ck_assert_ptr_nonnull(text);
    at = stpcpy(at, in_object ? "{" : "{\"a\":[");
    for (size_t i = 0; i < count; i++) {
        at = stpcpy(at, i ? "," : "");
        if (in_object)
            at += sprintf(at, "\"%zu\":", i);
        at = stpcpy(at, value);
    }
    strcpy(at, in_object ? "}" : "]}");
    return text;
}

static int parse(const char *text, struct error *err)
{
    json_t *object = NULL;
    held = max_held = 0;
    int code = strict_json_object(text, strlen(text), &object, err);
    json_decref(object);
    ck_assert_uint_eq(held, 0);
    return code;
}

/* By turns in an array and in an object. */
static const char *const values[] = {
    "{}",
    "[]",
    "1",
    "-1.5e3",
    "null",
    "true",
    "\"\"",
    "[1]",
    "{\"a\":0}",
    "[[],[]]",
    "\"a name, another\"",
    "\"\\\"\\\\\"",
};

#ifdef __SANITIZE_ADDRESS__ /* whose malloc is not the one that counts */
enum { KINDS = 2 };
#else
enum { KINDS = sizeof values / sizeof values[0] };
#endif

/* The most of them that are read, by powers of two: tables of one more have just been copied to
 * larger ones. */
START_TEST(what_is_read_takes_64_mib_and_twice_the_text_at_most)
{
    const char *value = values[_i];
    bool in_object = _i % 2, refused = true;
    size_t count = 1 << 22;
    while (refused) {
        count /= 2;
        char *text = repeat(value, in_object, count + 1);
        struct error err;
        int code = parse(text, &err);
        refused = code != ERR_OK;
        if (refused) {
            ck_assert_int_eq(code, ERR_MODEL_INVALID);
            ck_assert_ptr_nonnull(strstr(err.message, "so many values"));
            ck_assert_uint_eq(max_held, 0);
        }
        ck_assert_uint_le(max_held, (64 << 20) + 2 * strlen(text));
        free(text);
    }
    ck_assert_uint_gt(count, 50000);
}
END_TEST

START_TEST(the_names_of_the_most_classes_are_read)
{
    enum { CLASSES = 1 << 17, LONGEST = 128 };
    char *text = malloc((size_t)CLASSES * 2 * LONGEST), *at = text;
    struct error err;
    ck_assert_ptr_nonnull(text);
    at += sprintf(at, "{\"id2label\": {");
    for (int i = 0; i < CLASSES; i++)
        at += sprintf(at, "%s\n    \"%d\": \"a name, another name %d\"", i ? "," : "", i, i);
    at += sprintf(at, "},\n\"label2id\": {");
    for (int i = 0; i < CLASSES; i++)
        at += sprintf(at, "%s\n    \"a name, another name %d\": %d", i ? "," : "", i, i);
    sprintf(at, "}}");
    ck_assert_msg(parse(text, &err) == ERR_OK, "%s", err.message);
    free(text);
}
END_TEST

START_TEST(brackets_and_quotes_in_strings_do_not_count)
{
    char *text = repeat("\"{[\\\"{[{[{[{[{[{[{[{[{[,,,,:\"", false, 100000);
    ck_assert_int_eq(parse(text, NULL), ERR_OK);
    free(text);
}
END_TEST

static void add_cases(TCase *cases)
{
    json_set_alloc_funcs(count_malloc, count_free);
    tcase_add_loop_test(cases, what_is_read_takes_64_mib_and_twice_the_text_at_most, 0, KINDS);
    tcase_add_test(cases, the_names_of_the_most_classes_are_read);
    tcase_add_test(cases, brackets_and_quotes_in_strings_do_not_count);
}

int main(void)
{
    return suite_run("model/strict_json", add_cases, 60);
}
