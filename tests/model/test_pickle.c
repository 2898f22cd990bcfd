#include "model/pickle.h"

#include <string.h>

#include "tests/suite.h"

static int read_text(struct pickle *out, const char *bytes, size_t length, struct error *err)
{
    return pickle_read(out, (const unsigned char *)bytes, length, err);
}

/* Of a string literal with NULs. */
#define READ(out, bytes, err) read_text(out, bytes, sizeof(bytes) - 1, err)

START_TEST(numbers_are_read)
{
    static const struct {
        const char *bytes;
        size_t length;
        int64_t value;
    } cases[] = {
        {"\x80\x02K\xff.", 5, 255},
        {"\x80\x02M\x01\x02.", 6, 513},
        {"\x80\x02J\xfe\xff\xff\xff.", 8, -2},
        {"\x80\x02\x8a\x00.", 5, 0},
        {"\x80\x02\x8a\x01\x80.", 6, -128},
        {"\x80\x02\x8a\x02\x80\x00.", 7, 128},
        {"\x80\x02\x8a\x08\x00\x00\x00\x00\x00\x00\x00\x80.", 13, INT64_MIN},
        {"\x80\x02\x8b\x01\x00\x00\x00\x07.", 9, 7},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct pickle p;
        ck_assert_int_eq(read_text(&p, cases[i].bytes, cases[i].length, NULL), ERR_OK);
        ck_assert_int_eq(p.root->kind, PICKLE_INT);
        ck_assert_int_eq(p.root->integer, cases[i].value);
        ck_assert_uint_eq(p.length, cases[i].length);
        pickle_destroy(&p);
    }
}
END_TEST

START_TEST(floats_and_long_integers_are_read)
{
    struct pickle p;
    ck_assert_int_eq(READ(&p, "\x80\x02G\xbf\xf8\x00\x00\x00\x00\x00\x00.", NULL), ERR_OK);
    ck_assert_int_eq(p.root->kind, PICKLE_FLOAT);
    ck_assert(p.root->real == -1.5);
    pickle_destroy(&p);
    ck_assert_int_eq(READ(&p,
                          "\x80\x02\x8a\x09"
                          "123456789.",
                          NULL),
                     ERR_OK);
    ck_assert(pickle_is_text(p.root, "123456789"));
    pickle_destroy(&p);
}
END_TEST

/* {"a": (1, "b", None), "a": [True]}: the second counts. */
START_TEST(containers_are_read)
{
    struct pickle p;
    ck_assert_int_eq(READ(&p,
                          "\x80\x02}q\x00(X\x01\x00\x00\x00"
                          "aK\x01U\x01"
                          "bN\x87"
                          "\x8c\x01"
                          "a](\x88"
                          "eu.",
                          NULL),
                     ERR_OK);
    ck_assert(pickle_is_mapping(p.root));
    const struct pickle_value *list = pickle_get(p.root, "a");
    ck_assert_ptr_nonnull(list);
    ck_assert_int_eq(list->kind, PICKLE_LIST);
    ck_assert_int_eq(pickle_item(list, 0)->kind, PICKLE_BOOL);
    ck_assert_int_eq(pickle_item(list, 0)->integer, 1);
    ck_assert_ptr_null(pickle_item(list, 1));
    const struct pickle_value *tuple = p.root->first->next->value;
    size_t one = 0;
    ck_assert(pickle_size(pickle_item(tuple, 0), &one));
    ck_assert_uint_eq(one, 1);
    ck_assert(pickle_is_text(pickle_item(tuple, 1), "b"));
    ck_assert(!pickle_size(pickle_item(tuple, 1), &one));
    ck_assert_ptr_null(pickle_get(p.root, "b"));
    ck_assert_ptr_null(pickle_get(NULL, "a"));
    pickle_destroy(&p);
}
END_TEST

/* argparse.Namespace(lr=1), by NEWOBJ and BUILD; memo and STACK_GLOBAL of protocol 4. */
START_TEST(objects_are_notes)
{
    struct pickle p;
    ck_assert_int_eq(READ(&p,
                          "\x80\x04\x95\x00\x00\x00\x00\x00\x00\x00\x00\x8c\x08"
                          "argparse\x94"
                          "\x8c\x09Namespace\x93)\x81\x94}\x8c\x02lrK\x01sb.",
                          NULL),
                     ERR_OK);
    ck_assert_int_eq(p.root->kind, PICKLE_OBJECT);
    ck_assert_int_eq(p.root->global->role, PICKLE_NAMESPACE);
    ck_assert_str_eq(p.root->global->name, "argparse.Namespace");
    ck_assert_int_eq(p.root->arguments->kind, PICKLE_TUPLE);
    ck_assert_int_eq(pickle_get(p.root->state, "lr")->integer, 1);
    ck_assert(!pickle_is_mapping(p.root));
    pickle_destroy(&p);
}
END_TEST

START_TEST(persistent_values_are_listed)
{
    struct pickle p;
    ck_assert_int_eq(READ(&p, "\x80\x02](K\x01QK\x02Qe.", NULL), ERR_OK);
    ck_assert_int_eq(p.persistent->value->kind, PICKLE_PERSISTENT);
    ck_assert_int_eq(p.persistent->value->id->integer, 1);
    ck_assert_int_eq(p.persistent->next->value->id->integer, 2);
    ck_assert_ptr_null(p.persistent->next->next);
    pickle_destroy(&p);
}
END_TEST

START_TEST(a_list_may_hold_itself)
{
    struct pickle p;
    ck_assert_int_eq(READ(&p,
                          "\x80\x02]q\x00h\x00"
                          "a.",
                          NULL),
                     ERR_OK);
    ck_assert_ptr_eq(pickle_item(p.root, 0), p.root);
    pickle_destroy(&p);
}
END_TEST

static const struct {
    const char *bytes;
    size_t length;
    enum error_code code;
    const char *says;
} bad[] = {
#define BAD(bytes, code, says)                                                                     \
    {                                                                                              \
        bytes, sizeof(bytes) - 1, code, says                                                       \
    }
    BAD("", ERR_MODEL_INVALID, "ends too early"),
    BAD("\x80", ERR_MODEL_INVALID, "ends too early"),
    BAD("\x80\x01N.", ERR_MODEL_UNSUPPORTED, "protocol 1"),
    BAD("\x80\x06N.", ERR_MODEL_UNSUPPORTED, "protocol 6"),
    BAD("\x80\x02.", ERR_MODEL_INVALID, "one value"),
    BAD("\x80\x02N(.", ERR_MODEL_INVALID, "one value"),
    BAD("\x80\x02"
        "0.",
        ERR_MODEL_INVALID, "stack is empty"),
    BAD("\x80\x02N(0.", ERR_MODEL_INVALID, "stack is empty"),
    BAD("\x80\x02N(a.", ERR_MODEL_INVALID, "stack is empty"),
    BAD("\x80\x02Nt.", ERR_MODEL_INVALID, "no mark"),
    BAD("\x80\x02(Nu.", ERR_MODEL_INVALID, "stack is empty"),
    BAD("\x80\x02}(Nu.", ERR_MODEL_INVALID, "no value"),
    BAD("\x80\x02](NNu.", ERR_MODEL_INVALID, "no container"),
    BAD("\x80\x02)Na.", ERR_MODEL_INVALID, "no container"),
    BAD("\x80\x02"
        "ccollections\nOrderedDict\n)RNa.",
        ERR_MODEL_INVALID, "no container"),
    BAD("\x80\x02h\x00.", ERR_MODEL_INVALID, "does not have"),
    BAD("\x80\x02Nq\x07h\x06.", ERR_MODEL_INVALID, "does not have"),
    BAD("\x80\x02Nr\xff\xff\xff\xff.", ERR_MODEL_INVALID, "too many"),
    BAD("\x80\x02X\xff\xff\xff\xff"
        "a.",
        ERR_MODEL_INVALID, "ends too early"),
    BAD("\x80\x04\x8d\xff\xff\xff\xff\xff\xff\xff\xff.", ERR_MODEL_INVALID, "ends too early"),
    BAD("\x80\x02\x8b\xff\xff\xff\xff.", ERR_MODEL_INVALID, "ends too early"),
    BAD("\x80\x02N)R.", ERR_MODEL_INVALID, "no global"),
    BAD("\x80\x02"
        "ccollections\nOrderedDict\n]R.",
        ERR_MODEL_INVALID, "no global"),
    BAD("\x80\x02}}b.", ERR_MODEL_INVALID, "no object"),
    BAD("\x80\x02"
        "cos",
        ERR_MODEL_INVALID, "ends too early"),
    BAD("\x80\x02"
        "cos\nsystem\n.",
        ERR_MODEL_UNSUPPORTED, "os.system"),
    BAD("\x80\x02"
        "c__builtin__\neval\n.",
        ERR_MODEL_UNSUPPORTED, "builtins.eval"),
    BAD("\x80\x02"
        "ccollections.OrderedDict\n\n.",
        ERR_MODEL_UNSUPPORTED, "OrderedDict"),
    BAD("\x80\x04\x8c\x02os\x8c\x06system\x93.", ERR_MODEL_UNSUPPORTED, "os.system"),
    BAD("\x80\x04NN\x93.", ERR_MODEL_INVALID, "no text"),
    BAD("\x80\x02"
        "ctorch._utils\n_rebuild_qtensor\n.",
        ERR_MODEL_UNSUPPORTED, "quantized"),
    BAD("\x80\x02"
        "ctorch._utils\n_rebuild_tensor_v3\n.",
        ERR_MODEL_UNSUPPORTED, "float8"),
    BAD("\x80\x02"
        "ctorch\nComplexFloatStorage\n.",
        ERR_MODEL_UNSUPPORTED, "complex"),
    BAD("\x80\x02(ios\nsystem\n.", ERR_MODEL_UNSUPPORTED, "opcode 0x69"),
    BAD("\x80\x02\x82\x01.", ERR_MODEL_UNSUPPORTED, "opcode 0x82"),
    BAD("\x80\x02P0\n.", ERR_MODEL_UNSUPPORTED, "opcode 0x50"),
};

START_TEST(bad_pickles_are_refused)
{
    struct pickle p;
    struct error err;
    ck_assert_int_eq(read_text(&p, bad[_i].bytes, bad[_i].length, &err), bad[_i].code);
    ck_assert_msg(strstr(err.message, bad[_i].says), "%s: %s", bad[_i].says, err.message);
}
END_TEST

/* Each opcode makes little; many of them are limited in number. */
START_TEST(endless_pickles_are_refused)
{
    static const char opcodes[] = "N](}";
    enum { LENGTH = 3 * PICKLE_MAX_VALUES };
    struct error err;
    struct pickle p;
    char *bytes = malloc(LENGTH);
    memset(bytes, opcodes[_i], LENGTH);
    ck_assert_int_eq(read_text(&p, bytes, LENGTH, &err), ERR_MODEL_INVALID);
    ck_assert_msg(strstr(err.message, "too"), "%s", err.message);
    free(bytes);
}
END_TEST

static void add_cases(TCase *cases)
{
    tcase_add_test(cases, numbers_are_read);
    tcase_add_test(cases, floats_and_long_integers_are_read);
    tcase_add_test(cases, containers_are_read);
    tcase_add_test(cases, objects_are_notes);
    tcase_add_test(cases, persistent_values_are_listed);
    tcase_add_test(cases, a_list_may_hold_itself);
    tcase_add_loop_test(cases, bad_pickles_are_refused, 0, sizeof bad / sizeof bad[0]);
    tcase_add_loop_test(cases, endless_pickles_are_refused, 0, 4);
}

int main(void)
{
    return suite_run("model/pickle", add_cases, 30);
}
