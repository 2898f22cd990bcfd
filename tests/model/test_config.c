#include "model/config.h"

#include "tests/model/folder.h"
#include "tests/suite.h"

#define PICTURE                                                                                    \
    "\"input_size\":[3,224,224],\"interpolation\":\"bicubic\",\"crop_pct\":0.95,"                  \
    "\"crop_mode\":\"center\",\"mean\":[0.485,0.456,0.406],\"std\":[0.229,0.224,0.225]"

static int parse(struct model_config *config, const char *text, struct error *err)
{
    return model_config_parse(config, text, strlen(text), err);
}

static void check_refused(const char *text, int code, const char *says)
{
    struct model_config config;
    struct error err;
    ck_assert_msg(parse(&config, text, &err) == code, "%s is not refused", text);
    ck_assert_msg(strstr(err.message, says) != NULL, "%s: %s", text, err.message);
}

START_TEST(a_file_as_timm_publishes_it_is_read)
{
    struct model_config c;
    const char *text =
        "{\"architecture\":\"resnext50_32x4d\",\"num_classes\":1000,\"num_features\":2048,"
        "\"global_pool\":\"avg\",\"pretrained_cfg\":{\"tag\":\"a1h_in1k\",\"custom_load\":false,"
        "\"input_size\":[3,176,176],\"test_input_size\":[3,224,224],\"fixed_input_size\":false,"
        "\"interpolation\":\"bicubic\",\"crop_pct\":0.9,\"test_crop_pct\":1.0,"
        "\"crop_mode\":\"center\",\"mean\":[0.485,0.456,0.406],\"std\":[0.229,0.224,0.225],"
        "\"num_classes\":1000,\"pool_size\":[6,6],\"first_conv\":\"conv1\",\"classifier\":\"fc\"}}";
    ck_assert_int_eq(parse(&c, text, NULL), ERR_OK);
    ck_assert_int_eq(c.classes, 1000);
    ck_assert_int_eq(c.preprocess.size, 176);
    ck_assert_int_eq(c.preprocess.resize, 195);
    ck_assert_int_eq(c.preprocess.interpolation, INTERPOLATION_BICUBIC);
    ck_assert_int_eq(c.preprocess.crop_mode, CROP_CENTER);
    ck_assert_float_eq(c.preprocess.mean[2], 0.406F);
    ck_assert_float_eq(c.preprocess.std[0], 0.229F);
    ck_assert_uint_eq(c.labels.count, 0);
    model_config_destroy(&c);
}
END_TEST

START_TEST(the_old_flat_form_is_read)
{
    struct model_config c;
    const char *text = "{\"num_classes\":2,\"input_size\":[3,32,32],\"interpolation\":\"bilinear\","
                       "\"crop_pct\":1,\"mean\":[0,0,0],\"std\":[1,1,1]}";
    ck_assert_int_eq(parse(&c, text, NULL), ERR_OK);
    ck_assert_int_eq(c.classes, 2);
    ck_assert_int_eq(c.preprocess.resize, 32);
    ck_assert_int_eq(c.preprocess.interpolation, INTERPOLATION_BILINEAR);
    ck_assert_int_eq(c.preprocess.crop_mode, CROP_CENTER);
    model_config_destroy(&c);
}
END_TEST

START_TEST(the_resized_edge_is_what_the_publishers_use)
{
    static const struct {
        const char *keys;
        int edge;
    } rows[] = {
        {"\"crop_pct\":0.875", 256},
        {"\"crop_pct\":0.965", 232},
        {"\"crop_pct\":0.95", 235},
        {"\"crop_pct\":1", 224},
        {"\"crop_pct\":0.9", 248},
        {"\"resize_size\":300", 300},
        {"\"crop_pct\":0.5,\"resize_size\":232", 232},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char text[512];
        struct model_config c;
        snprintf(text, sizeof text,
                 "{\"input_size\":[3,224,224],\"interpolation\":\"bilinear\",%s,"
                 "\"crop_mode\":\"squash\",\"mean\":[0,0,0],\"std\":[1,1,1]}",
                 rows[i].keys);
        ck_assert_int_eq(parse(&c, text, NULL), ERR_OK);
        ck_assert_int_eq(c.preprocess.resize, rows[i].edge);
        ck_assert_int_eq(c.preprocess.crop_mode, CROP_SQUASH);
        model_config_destroy(&c);
    }
}
END_TEST

static int parse_architecture(const char *name)
{
    char text[512];
    struct model_config c;
    snprintf(text, sizeof text, "{\"architecture\":\"%s\",\"pretrained_cfg\":{" PICTURE "}}", name);
    int rc = parse(&c, text, NULL);
    if (rc == ERR_OK)
        model_config_destroy(&c);
    return rc;
}

START_TEST(architectures_of_the_family_are_served)
{
    static const char *const names[] = {"resnet",
                                        "resnet18",
                                        "resnet26",
                                        "resnet50",
                                        "resnet152",
                                        "resnet18.a1_in1k",
                                        "resnext",
                                        "resnext50_32x4d",
                                        "resnext101_32x8d.fb_wsl_ig1b_ft_in1k",
                                        "resnext101_64x4d",
                                        "resnext101_32x32d",
                                        "resnext29_8x64d",
                                        "wide_resnet50_2",
                                        "wide_resnet101_2",
                                        "wide_resnet50_2.tv2_in1k",
                                        "resnext50_32x4d.variant"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        ck_assert_msg(parse_architecture(names[i]) == ERR_OK, "%s", names[i]);
}
END_TEST

START_TEST(architectures_that_compute_something_else_are_refused)
{
    static const char *const names[] = {"resnetaa50",        "resnetaa50d",
                                        "resnetblur50",      "resnetblur50d",
                                        "resnetrs50",        "resnet50_gn",
                                        "resnet50d",         "resnet50c",
                                        "resnet50s",         "resnet50t",
                                        "resnet10t",         "resnet26d",
                                        "resnet51q",         "resnet61q",
                                        "resnet32ts",        "resnet33ts",
                                        "resnet50_clip",     "resnet50x4_clip",
                                        "resnet50_mlp",      "resnetv2_50",
                                        "resnetv2_50x1_bit", "resnext50d_32x4d",
                                        "resnext26ts",       "resnext50_32x4dx",
                                        "resnext50_32x",     "resnext50_",
                                        "resnext50_32",      "resnextaa101d_32x8d",
                                        "seresnet50",        "seresnext50_32x4d",
                                        "skresnext50_32x4d", "ecaresnet50t",
                                        "gcresnext50ts",     "cspresnext50",
                                        "resnest50d",        "res2net50_26w_4s",
                                        "wide_resnet50_",    "wide_resnet50_2d",
                                        "regnety_032",       "vit_base_patch16_224",
                                        "ResNet50",          "",
                                        "resnet 50",         "resnet-50"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        ck_assert_msg(parse_architecture(names[i]) == ERR_MODEL_UNSUPPORTED, "%s", names[i]);
}
END_TEST

START_TEST(what_changed_the_network_is_refused)
{
    check_refused("{\"global_pool\":\"max\"," PICTURE "}", ERR_MODEL_UNSUPPORTED,
                  "global_pool max");
    check_refused("{\"model_args\":{\"act_layer\":\"silu\"}," PICTURE "}", ERR_MODEL_UNSUPPORTED,
                  "act_layer");
    struct model_config c;
    check_refused("{\"model_args\":{\"global_pool\":\"max\"}," PICTURE "}", ERR_MODEL_UNSUPPORTED,
                  "global_pool");
    const char *harmless = "{\"model_args\":{\"num_classes\":7,\"drop_rate\":0.1,"
                           "\"global_pool\":\"avg\"}," PICTURE "}";
    ck_assert_int_eq(parse(&c, harmless, NULL), ERR_OK);
    model_config_destroy(&c);
}
END_TEST

/* The picture's keys with one replaced by `with` (empty: left out). */
static void check_spoiled(const char *key, const char *with, int code, const char *says)
{
    static const char *const keys[] = {"input_size", "interpolation", "crop_pct",
                                       "crop_mode",  "mean",          "std"};
    static const char *const values[] = {"\"input_size\":[3,224,224]",
                                         "\"interpolation\":\"bicubic\"",
                                         "\"crop_pct\":0.95",
                                         "\"crop_mode\":\"center\"",
                                         "\"mean\":[0.485,0.456,0.406]",
                                         "\"std\":[0.229,0.224,0.225]"};
    char text[1024] = "{\"pretrained_cfg\":{\"tag\":\"x\"";
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        const char *part = strcmp(keys[i], key) == 0 ? with : values[i];
        if (*part) {
            strcat(text, ",");
            strcat(text, part);
        }
    }
    strcat(text, "}}");
    check_refused(text, code, says);
}

/* Fault 60. */
START_TEST(a_missing_key_is_named_with_its_default)
{
    check_spoiled("input_size", "", ERR_MODEL_INVALID, "input_size is missing");
    check_spoiled("interpolation", "", ERR_MODEL_INVALID, "\"bicubic\" (timm's default)");
    check_spoiled("crop_pct", "", ERR_MODEL_INVALID, "timm's default is 0.875");
    check_spoiled("mean", "", ERR_MODEL_INVALID, "mean is missing: add it (ImageNet's is [0.485,");
    check_spoiled("std", "", ERR_MODEL_INVALID, "std is missing: add it (ImageNet's is [0.229,");
}
END_TEST

START_TEST(wrong_values_are_refused)
{
    static const struct {
        const char *key, *with;
        int code;
    } rows[] = {
        {"input_size", "\"input_size\":224", ERR_MODEL_INVALID},
        {"input_size", "\"input_size\":[3,224]", ERR_MODEL_INVALID},
        {"input_size", "\"input_size\":[1,224,224]", ERR_MODEL_INVALID},
        {"input_size", "\"input_size\":[3,7,7]", ERR_MODEL_INVALID},
        {"input_size", "\"input_size\":[3,1025,1025]", ERR_MODEL_INVALID},
        {"input_size", "\"input_size\":[3,1e3,1e3]", ERR_MODEL_INVALID},
        {"input_size", "\"input_size\":[3,-224,-224]", ERR_MODEL_INVALID},
        {"input_size", "\"input_size\":[3,4294967520,4294967520]", ERR_MODEL_INVALID},
        {"input_size", "\"input_size\":[3,224,192]", ERR_MODEL_UNSUPPORTED},
        {"interpolation", "\"interpolation\":\"nearest\"", ERR_MODEL_UNSUPPORTED},
        {"interpolation", "\"interpolation\":3", ERR_MODEL_UNSUPPORTED},
        {"crop_pct", "\"crop_pct\":\"0.9\"", ERR_MODEL_INVALID},
        {"crop_pct", "\"crop_pct\":0", ERR_MODEL_INVALID},
        {"crop_pct", "\"crop_pct\":-0.5", ERR_MODEL_INVALID},
        {"crop_pct", "\"crop_pct\":1.1", ERR_MODEL_INVALID},
        {"crop_pct", "\"crop_pct\":0.01", ERR_MODEL_INVALID},
        {"crop_pct", "\"crop_pct\":1e-320", ERR_MODEL_INVALID},
        {"crop_pct", "\"resize_size\":223", ERR_MODEL_INVALID},
        {"crop_pct", "\"resize_size\":4097", ERR_MODEL_INVALID},
        {"crop_pct", "\"resize_size\":\"256\"", ERR_MODEL_INVALID},
        {"crop_mode", "\"crop_mode\":\"border\"", ERR_MODEL_UNSUPPORTED},
        {"crop_mode", "\"crop_mode\":null", ERR_MODEL_UNSUPPORTED},
        {"mean", "\"mean\":0.5", ERR_MODEL_INVALID},
        {"mean", "\"mean\":[0.5,0.5]", ERR_MODEL_INVALID},
        {"mean", "\"mean\":[0.5,0.5,\"0.5\"]", ERR_MODEL_INVALID},
        {"mean", "\"mean\":[0.5,0.5,1.5]", ERR_MODEL_INVALID},
        {"mean", "\"mean\":[123,117,104]", ERR_MODEL_INVALID},
        {"std", "\"std\":[0.2,0.2,0]", ERR_MODEL_INVALID},
        {"std", "\"std\":[0.2,0.2,-0.2]", ERR_MODEL_INVALID},
        {"std", "\"std\":[0.2,0.2,1e300]", ERR_MODEL_INVALID},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        check_spoiled(rows[i].key, rows[i].with, rows[i].code,
                      strstr(rows[i].with, "resize_size") ? "resize_size" : rows[i].key);
}
END_TEST

START_TEST(what_is_no_config_is_refused)
{
    check_refused("", ERR_MODEL_INVALID, "JSON");
    check_refused("[]", ERR_MODEL_INVALID, "not a JSON object");
    check_refused("{\"mean\":1,\"mean\":2}", ERR_MODEL_INVALID, "duplicate");
    check_refused("{\"pretrained_cfg\":[]}", ERR_MODEL_INVALID, "pretrained_cfg");
    check_refused("{\"architecture\":7," PICTURE "}", ERR_MODEL_INVALID, "architecture");
    check_refused("{\"num_classes\":0," PICTURE "}", ERR_MODEL_INVALID, "num_classes");
    check_refused("{\"num_classes\":1e3," PICTURE "}", ERR_MODEL_INVALID, "num_classes");
    check_refused("{\"num_classes\":9999999," PICTURE "}", ERR_MODEL_INVALID, "num_classes");
    check_refused("{\"x\":[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]}", ERR_MODEL_INVALID, "nested");
}
END_TEST

START_TEST(a_fine_tuned_models_own_class_count_wins)
{
    struct model_config c;
    const char *text = "{\"num_classes\":2,\"pretrained_cfg\":{\"num_classes\":1000," PICTURE "}}";
    ck_assert_int_eq(parse(&c, text, NULL), ERR_OK);
    ck_assert_int_eq(c.classes, 2);
    model_config_destroy(&c);
    ck_assert_int_eq(parse(&c, "{" PICTURE "}", NULL), ERR_OK);
    ck_assert_int_eq(c.classes, 0);
    model_config_destroy(&c);
}
END_TEST

START_TEST(labels_are_a_list_or_a_map)
{
    struct model_config c;
    ck_assert_int_eq(parse(&c, "{\"label_names\":[\"a\",\"b\",\"a\"]," PICTURE "}", NULL), ERR_OK);
    ck_assert_uint_eq(c.labels.count, 3);
    ck_assert_str_eq(c.labels.names[1], "b");
    model_config_destroy(&c);
    const char *map = "{\"label_names\":{\"2\":\"c\",\"0\":\"\xc3\xa4\",\"1\":\"b\"}," PICTURE "}";
    ck_assert_int_eq(parse(&c, map, NULL), ERR_OK);
    ck_assert_uint_eq(c.labels.count, 3);
    ck_assert_str_eq(c.labels.names[0], "\xc3\xa4");
    ck_assert_str_eq(c.labels.names[2], "c");
    model_config_destroy(&c);
    ck_assert_int_eq(parse(&c, "{\"label_names\":null," PICTURE "}", NULL), ERR_OK);
    ck_assert_uint_eq(c.labels.count, 0);
    model_config_destroy(&c);
}
END_TEST

START_TEST(wrong_labels_are_refused)
{
    check_refused("{\"label_names\":7," PICTURE "}", ERR_MODEL_INVALID, "label_names");
    check_refused("{\"label_names\":[1]," PICTURE "}", ERR_MODEL_INVALID, "label 0");
    check_refused("{\"label_names\":[\"a\",\"\"]," PICTURE "}", ERR_MODEL_INVALID, "label 1");
    check_refused("{\"label_names\":[\"a\\nb\"]," PICTURE "}", ERR_MODEL_INVALID, "label 0");
    check_refused("{\"label_names\":{\"0\":\"a\",\"2\":\"c\"}," PICTURE "}", ERR_MODEL_INVALID,
                  "no name for class 1");
    check_refused("{\"label_names\":{\"00\":\"a\"}," PICTURE "}", ERR_MODEL_INVALID, "class 0");
    check_refused("{\"num_classes\":3,\"label_names\":[\"a\",\"b\"]," PICTURE "}",
                  ERR_MODEL_INVALID, "2 names for 3 classes");
    check_refused("{\"num_classes\":1,\"label_names\":[\"a\",\"b\"]," PICTURE "}",
                  ERR_MODEL_INVALID, "2 names for 1 classes");
}
END_TEST

START_TEST(a_file_that_is_too_large_or_absent_is_refused)
{
    char folder[FOLDER_PATH];
    struct model_config c;
    struct error err;
    folder_make(folder);
    const char *path = folder_file(folder, "config.json");
    ck_assert_int_eq(model_config_read(&c, path, &err), ERR_IO);
    folder_put_text(folder, "config.json", "{" PICTURE "}");
    path = folder_file(folder, "config.json");
    ck_assert_int_eq(model_config_read(&c, path, &err), ERR_OK);
    model_config_destroy(&c);
    ck_assert_int_eq(truncate(path, MODEL_CONFIG_FILE_MAX + 1), 0);
    ck_assert_int_eq(model_config_read(&c, path, &err), ERR_MODEL_INVALID);
    ck_assert_ptr_nonnull(strstr(err.message, "config.json has 16777217 bytes"));
    folder_remove(folder);
}
END_TEST

TEST_MAIN("model/config", 10, a_file_as_timm_publishes_it_is_read, the_old_flat_form_is_read,
          the_resized_edge_is_what_the_publishers_use, architectures_of_the_family_are_served,
          architectures_that_compute_something_else_are_refused,
          what_changed_the_network_is_refused, a_missing_key_is_named_with_its_default,
          wrong_values_are_refused, what_is_no_config_is_refused,
          a_fine_tuned_models_own_class_count_wins, labels_are_a_list_or_a_map,
          wrong_labels_are_refused, a_file_that_is_too_large_or_absent_is_refused)
