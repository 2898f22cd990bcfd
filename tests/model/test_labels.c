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
    for (size_t i = 0; i < 3; i++) {
        static const char *const ends[] = {"\n", "\r\n\r\n", "\n \t\n\n"};
        char text[64];
        snprintf(text, sizeof text, "%s%s", texts[0], ends[i]);
        ck_assert_int_eq(parse(&list, text, NULL), ERR_OK);
        ck_assert_uint_eq(list.count, 3);
        label_list_destroy(&list);
    }
    ck_assert_int_eq(parse(&list, "", NULL), ERR_OK);
    ck_assert_uint_eq(list.count, 0);
    label_list_destroy(&list);
}
END_TEST

START_TEST(bad_lines_are_named)
{
    static const char *const texts[] = {"cat\n\ndog\n",    "cat\n\r\nx\n",        "cat\n\xff\n",
                                        "cat\na\tb\n",     "cat\n\x7f\n",         "cat\na\rb\n",
                                        "cat\n\xc0\x80\n", "cat\n\xed\xa0\x80\n", "cat\n \t \nx\n",
                                        "cat\n\xc2\x85x\n"};
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
    ck_assert_int_eq(labels_parse(&list,
                                  "\xff\xfe"
                                  "c\0a\0t\0",
                                  8, &err),
                     ERR_MODEL_INVALID);
    ck_assert_ptr_nonnull(strstr(err.message, "UTF-16"));
}
END_TEST

/* What nobody sees would keep a label from being found by its name. */
START_TEST(invisible_characters_are_named)
{
    static const struct {
        const char *text, *says;
    } rows[] = {
        {"cat\nd\xe2\x80\x8bog\n", "U+200B"}, {"cat\ndog\xe2\x80\x8b\n", "U+200B"},
        {"cat\n\xe2\x80\x8eowl\n", "U+200E"}, {"cat\ndog\xef\xbb\xbf\n", "U+FEFF"},
        {"cat\n\xef\xbb\xbfowl\n", "U+FEFF"}, {"cat\ndog\xc2\xa0\n", "U+00A0"},
        {"cat\n\xc2\xa0owl\n", "U+00A0"},     {"cat\ndo\xc2\xadg\n", "U+00AD"},
        {"cat\n\xe2\x80\xaeowl\n", "U+202E"}, {"cat\ndog\xe2\x80\x8d\n", "U+200D"},
        {"cat\ndog\xe3\x80\x80\n", "U+3000"}, {"cat\n\xf3\xa0\x81\x81owl\n", "U+E0041"},
    };
    struct label_list list;
    struct error err;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        ck_assert_int_eq(parse(&list, rows[i].text, &err), ERR_MODEL_INVALID);
        ck_assert_msg(strstr(err.message, "line 2") && strstr(err.message, rows[i].says), "%s",
                      err.message);
        label_list_destroy(&list);
    }
}
END_TEST

/* Editors and spreadsheets leave them behind. */
START_TEST(a_byte_order_mark_and_blanks_at_both_ends_are_taken_off)
{
    static const char *const texts[] = {"\xef\xbb\xbfowl\nbig  dog\n", "owl \nbig  dog\t\n",
                                        "owl\t \r\nbig  dog  \r\n", " owl\n\tbig  dog",
                                        "\xef\xbb\xbf owl \r\nbig  dog \r\n"};
    struct label_list list;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        ck_assert_int_eq(parse(&list, texts[i], NULL), ERR_OK);
        ck_assert_uint_eq(list.count, 2);
        ck_assert_str_eq(list.names[0], "owl");
        ck_assert_str_eq(list.names[1], "big  dog");
        label_list_destroy(&list);
    }
}
END_TEST

/* Joiners, variation selectors and blanks inside belong to how a name is written. */
START_TEST(what_belongs_to_the_writing_stays)
{
    static const char *const names[] = {
        "\xd9\x85\xdb\x8c\xe2\x80\x8c\xd8\xae",         /* Persian, with a non-joiner */
        "\xf0\x9f\x90\x95\xe2\x80\x8d\xf0\x9f\xa6\xba", /* service dog, with a joiner */
        "\xe2\x9d\xa4\xef\xb8\x8f",                     /* red heart, with a selector */
        "chien\xc2\xa0: grand", "\xe3\x81\x84\xe3\x80\x80\xe3\x81\xac"};
    struct label_list list = {0};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        ck_assert_int_eq(label_list_add(&list, names[i], strlen(names[i]), NULL), ERR_OK);
        ck_assert_str_eq(list.names[i], names[i]);
    }
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

static int find(struct label_list *list, const char *folder, size_t classes, const char *source,
                struct error *err)
{
    enum label_source found;
    *list = (struct label_list){0};
    int code = labels_find(list, folder, "", classes, &found, err);
    if (code == ERR_OK)
        ck_assert_str_eq(label_source_name(found), source);
    return code;
}

START_TEST(labels_have_a_greatest_number)
{
    struct label_list list = {0};
    struct error err;
    ck_assert_int_eq(label_list_number(&list, MODEL_CLASSES_MAX, NULL), ERR_OK);
    ck_assert_int_eq(label_list_add(&list, "cat", 3, &err), ERR_MODEL_INVALID);
    ck_assert_str_eq(err.message, "more than 131072 labels");
    ck_assert_uint_eq(list.count, MODEL_CLASSES_MAX);
    label_list_destroy(&list);
}
END_TEST

/* One description for every class makes a small file into much memory. */
START_TEST(labels_have_a_greatest_size_together)
{
    struct label_list list = {0};
    struct error err;
    char longest[LABEL_MAX];
    memset(longest, 'x', sizeof longest);
    for (int i = 0; i < LABELS_FILE_MAX / LABEL_MAX; i++)
        ck_assert_int_eq(label_list_add(&list, longest, sizeof longest, &err), ERR_OK);
    ck_assert_int_eq(label_list_add(&list, "x", 1, &err), ERR_MODEL_INVALID);
    ck_assert_str_eq(err.message, "label 16384: labels are longer than 16 MiB together");
    label_list_destroy(&list);
    ck_assert_int_eq(label_list_add(&list, "x", 1, &err), ERR_OK);
    label_list_destroy(&list);
}
END_TEST

START_TEST(labels_txt_of_the_folder_is_used)
{
    char folder[FOLDER_PATH];
    struct label_list list;
    folder_make(folder);
    folder_put_text(folder, "labels.txt", "one\ntwo\nthree\n");
    ck_assert_int_eq(find(&list, folder, 1000, "labels.txt", NULL), ERR_OK);
    ck_assert_uint_eq(list.count, 3);
    ck_assert_str_eq(list.names[2], "three");
    label_list_destroy(&list);
    folder_remove(folder);
}
END_TEST

START_TEST(labels_that_are_no_file_are_refused)
{
    char folder[FOLDER_PATH];
    struct label_list list;
    folder_make(folder);
    ck_assert_int_eq(mkfifo(folder_file(folder, "labels.txt"), 0600), 0);
    ck_assert_int_eq(find(&list, folder, 3, "", NULL), ERR_IO);
    label_list_destroy(&list);
    folder_remove(folder);
}
END_TEST

/* Fault 91: ImageNet's names, or numbers, are not put in their place. */
START_TEST(files_that_name_classes_otherwise_are_refused)
{
    static const char *const names[] = {"classes.txt",
                                        "labels.json",
                                        "class_names.json",
                                        "class_to_idx.json",
                                        "id2label.json",
                                        "synset.txt",
                                        "label_map.yaml",
                                        "classes.names",
                                        "labels.csv",
                                        "Labels.txt",
                                        "coco.names",
                                        "CLASSES.TXT",
                                        "index_to_name.json",
                                        "idx_to_class.json",
                                        "label2id.json",
                                        "classnames.txt",
                                        "label.txt",
                                        "class_indices.json",
                                        "imagenet_class_index.json",
                                        "class_map.csv",
                                        "names.txt",
                                        "label_map.pbtxt",
                                        "cat_to_name.json",
                                        "my-labels.tsv",
                                        "synsets.txt",
                                        "imagenet-1k-synsets.txt",
                                        "wnids.txt",
                                        "bird labels.yml",
                                        "classes.npy",
                                        "label_encoder.pkl",
                                        "classification_labels.json"};
    static const size_t classes[] = {3, 1000};
    struct error err;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        for (size_t k = 0; k < 2; k++) {
            char folder[FOLDER_PATH];
            struct label_list list;
            folder_make(folder);
            folder_put_text(folder, names[i], "x");
            ck_assert_int_eq(find(&list, folder, classes[k], "", &err), ERR_MODEL_INVALID);
            ck_assert_msg(strstr(err.message, names[i]) && strstr(err.message, "only labels.txt"),
                          "%s", err.message);
            folder_put_text(folder, "labels.txt", "one\n");
            ck_assert_int_eq(find(&list, folder, classes[k], "labels.txt", &err), ERR_OK);
            label_list_destroy(&list);
            folder_remove(folder);
        }
}
END_TEST

START_TEST(other_files_of_a_folder_do_not_matter)
{
    static const char *const names[] = {"calibration.json",
                                        "config.json",
                                        "preprocessor_config.json",
                                        "README.md",
                                        "LICENSE.txt",
                                        "training_args.bin",
                                        "training_args.json",
                                        "args.yaml",
                                        "tokenizer.json",
                                        "tokenizer_config.json",
                                        "special_tokens_map.json",
                                        "vocab.txt",
                                        "merges.txt",
                                        "model.safetensors",
                                        "model.safetensors.index.json",
                                        "pytorch_model.bin",
                                        "all_results.json",
                                        "trainer_state.json",
                                        "requirements.txt",
                                        "summary.csv",
                                        "labels.md",
                                        "classify.py",
                                        "classification_report.json",
                                        "classifier.yaml",
                                        "._labels.txt",
                                        ".classes.txt.swp",
                                        "class_activation.png",
                                        "labels"};
    char folder[FOLDER_PATH];
    struct label_list list;
    struct error err;
    folder_make(folder);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        folder_put_text(folder, names[i], "x");
    ck_assert_msg(find(&list, folder, 3, "numbers", &err) == ERR_OK, "%s", err.message);
    label_list_destroy(&list);
    folder_remove(folder);
}
END_TEST

START_TEST(hugging_faces_defaults_are_known)
{
    static const char *const names[] = {"LABEL_0", "LABEL_1", "LABEL_3"};
    struct label_list list = {0};
    ck_assert(!labels_are_defaults(&list));
    for (size_t i = 0; i < 3; i++) {
        ck_assert_int_eq(label_list_add(&list, names[i], strlen(names[i]), NULL), ERR_OK);
        ck_assert_int_eq(labels_are_defaults(&list), i < 2);
    }
    label_list_destroy(&list);
}
END_TEST

START_TEST(a_key_that_was_not_understood_is_refused)
{
    char folder[FOLDER_PATH];
    struct label_list list = {0};
    struct error err;
    enum label_source source;
    folder_make(folder);
    ck_assert_int_eq(labels_find(&list, folder, "class_map", 1000, &source, &err),
                     ERR_MODEL_INVALID);
    ck_assert_msg(strstr(err.message, "config.json: class_map seems to"), "%s", err.message);
    folder_put_text(folder, "labels.txt", "one\n");
    ck_assert_int_eq(labels_find(&list, folder, "class_map", 1000, &source, &err), ERR_OK);
    ck_assert_str_eq(list.names[0], "one");
    label_list_destroy(&list);
    folder_remove(folder);
}
END_TEST

START_TEST(a_thousand_classes_are_imagenets)
{
    char path[1024];
    struct label_list list;
    snprintf(path, sizeof path, "%s/models/resnext29-cifar10", getenv("top_srcdir"));
    ck_assert_int_eq(find(&list, path, 1000, "imagenet-1k", NULL), ERR_OK);
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
    struct label_list list;
    folder_make(folder);
    ck_assert_int_eq(find(&list, folder, 999, "numbers", NULL), ERR_OK);
    ck_assert_uint_eq(list.count, 999);
    ck_assert_str_eq(list.names[0], "class 0");
    ck_assert_str_eq(list.names[998], "class 998");
    label_list_destroy(&list);
    folder_remove(folder);
}
END_TEST

TEST_MAIN("model/labels", 10, lines_become_labels, bad_lines_are_named,
          invisible_characters_are_named, a_byte_order_mark_and_blanks_at_both_ends_are_taken_off,
          what_belongs_to_the_writing_stays, a_label_has_a_greatest_length,
          labels_have_a_greatest_number, labels_have_a_greatest_size_together,
          labels_txt_of_the_folder_is_used, labels_that_are_no_file_are_refused,
          files_that_name_classes_otherwise_are_refused, other_files_of_a_folder_do_not_matter,
          hugging_faces_defaults_are_known, a_key_that_was_not_understood_is_refused,
          a_thousand_classes_are_imagenets, other_classes_are_numbered)
