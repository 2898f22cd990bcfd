#include "model/labels.h"

#include <sys/stat.h>

#include "tests/model/folder.h"
#include "tests/suite.h"

static int parse(struct label_list *list, const char *text, struct error *err)
{
    *list = (struct label_list){0};
    return labels_parse(list, text, strlen(text), err);
}

START_TEST(lines_become_labels)
{
    static const char *const texts[] = {"cat\ndog, big\n\xe7\x8c\xab\n",
                                        "cat\ndog, big\n\xe7\x8c\xab",
                                        "cat\r\ndog, big\r\n\xe7\x8c\xab\r\n"};
    struct label_list list;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        ck_assert_int_eq(parse(&list, texts[i], NULL), ERR_OK);
        ck_assert_uint_eq(list.count, 3);
        ck_assert_str_eq(list.names[1], "dog, big");
        ck_assert_str_eq(list.names[2], "\xe7\x8c\xab");
        label_list_destroy(&list);
    }
    ck_assert_int_eq(parse(&list, "", NULL), ERR_OK);
    ck_assert_uint_eq(list.count, 0);
    label_list_destroy(&list);
}
END_TEST

START_TEST(bad_lines_are_named)
{
    static const char *const texts[] = {"cat\n\ndog\n",    "cat\n\r\n",          "cat\n\xff\n",
                                        "cat\na\tb\n",     "cat\n\x7f\n",        "cat\na\rb\n",
                                        "cat\n\xc0\x80\n", "cat\n\xed\xa0\x80\n"};
    struct label_list list;
    struct error err;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        ck_assert_int_eq(parse(&list, texts[i], &err), ERR_MODEL_INVALID);
        ck_assert_ptr_nonnull(strstr(err.message, "line 2"));
        label_list_destroy(&list);
    }
    list = (struct label_list){0};
    ck_assert_int_eq(labels_parse(&list, "cat\na\0b\n", 8, &err), ERR_MODEL_INVALID);
    label_list_destroy(&list);
}
END_TEST

START_TEST(a_label_has_a_greatest_length)
{
    char text[LABEL_MAX + 1];
    struct label_list list = {0};
    memset(text, 'x', sizeof text);
    ck_assert_int_eq(label_list_add(&list, text, LABEL_MAX, NULL), ERR_OK);
    ck_assert_int_eq(label_list_add(&list, text, LABEL_MAX + 1, NULL), ERR_MODEL_INVALID);
    ck_assert_uint_eq(list.count, 1);
    ck_assert_uint_eq(strlen(list.names[0]), LABEL_MAX);
    label_list_destroy(&list);
}
END_TEST

START_TEST(labels_txt_of_the_folder_is_used)
{
    char folder[FOLDER_PATH];
    struct label_list list = {0};
    struct error err;
    folder_make(folder);
    folder_put_text(folder, "labels.txt", "one\ntwo\nthree\n");
    ck_assert_int_eq(labels_find(&list, folder, 3, &err), ERR_OK);
    ck_assert_str_eq(list.names[2], "three");
    label_list_destroy(&list);
    ck_assert_int_eq(labels_find(&list, folder, 4, &err), ERR_MODEL_INVALID);
    ck_assert_ptr_nonnull(strstr(err.message, "labels.txt has 3 labels for 4 classes"));
    label_list_destroy(&list);
    ck_assert_int_eq(labels_find(&list, folder, 2, &err), ERR_MODEL_INVALID);
    label_list_destroy(&list);
    folder_remove(folder);
}
END_TEST

START_TEST(labels_that_are_no_file_are_refused)
{
    char folder[FOLDER_PATH];
    struct label_list list = {0};
    folder_make(folder);
    ck_assert_int_eq(mkfifo(folder_file(folder, "labels.txt"), 0600), 0);
    ck_assert_int_eq(labels_find(&list, folder, 3, NULL), ERR_IO);
    label_list_destroy(&list);
    folder_remove(folder);
}
END_TEST

START_TEST(a_thousand_classes_are_imagenets)
{
    char path[1024];
    struct label_list list = {0};
    snprintf(path, sizeof path, "%s/models/labels", getenv("top_srcdir"));
    ck_assert_int_eq(labels_find(&list, path, 1000, NULL), ERR_OK);
    ck_assert_uint_eq(list.count, 1000);
    ck_assert_str_eq(list.names[0], "tench");
    ck_assert_str_eq(list.names[65], "sea snake");
    ck_assert_str_eq(list.names[999], "toilet tissue");
    label_list_destroy(&list);
}
END_TEST

START_TEST(other_classes_are_numbered)
{
    char folder[FOLDER_PATH];
    struct label_list list = {0};
    folder_make(folder);
    ck_assert_int_eq(labels_find(&list, folder, 999, NULL), ERR_OK);
    ck_assert_uint_eq(list.count, 999);
    ck_assert_str_eq(list.names[0], "class 0");
    ck_assert_str_eq(list.names[998], "class 998");
    label_list_destroy(&list);
    folder_remove(folder);
}
END_TEST

TEST_MAIN("model/labels", 10, lines_become_labels, bad_lines_are_named,
          a_label_has_a_greatest_length, labels_txt_of_the_folder_is_used,
          labels_that_are_no_file_are_refused, a_thousand_classes_are_imagenets,
          other_classes_are_numbered)
