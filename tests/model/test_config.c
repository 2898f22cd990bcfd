#include "model/config.h"

#include "tests/model/folder.h"
#include "tests/suite.h"

#define PICTURE                                                                                    \
    "\"input_size\":[3,224,224],\"interpolation\":\"bicubic\",\"crop_pct\":0.95,"                  \
    "\"crop_mode\":\"center\",\"mean\":[0.485,0.456,0.406],\"std\":[0.229,0.224,0.225]"

static int parse(struct model_config *config, const char *text, struct error *err)
{
    return model_config_parse(config, text, strlen(text), NULL, 3, err);
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
    int code = parse(&c, text, NULL);
    if (code == ERR_OK)
        model_config_destroy(&c);
    return code;
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
                                        "resnext50_32x4d.variant",
                                        "tv_resnet34",
                                        "tv_resnext50_32x4d",
                                        "ig_resnext101_32x48d",
                                        "ssl_resnet18",
                                        "ssl_resnext101_32x16d",
                                        "swsl_resnet50",
                                        "swsl_resnext101_32x4d",
                                        "gluon_resnet18_v1b",
                                        "gluon_resnet152_v1b",
                                        "gluon_resnext50_32x4d",
                                        "gluon_resnext101_64x4d",
                                        "gluon_resnet50_v1d",
                                        "gluon_seresnext50_32x4d",
                                        "gluon_senet154",
                                        "seresnextaa101d_32x8d.sw_in12k_ft_in1k",
                                        "seresnext26tn_32x4d",
                                        "ecaresnet50d_pruned.miil_in1k",
                                        "ecaresnetlight",
                                        "resnetrs50",
                                        "resnetblur50d",
                                        "legacy_senet154",
                                        "legacy_seresnext50_32x4d",
                                        "test_resnet.r160_in1k"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        ck_assert_msg(parse_architecture(names[i]) == ERR_OK, "%s", names[i]);
}
END_TEST

START_TEST(architectures_that_compute_something_else_are_refused)
{
    static const char *const names[] = {"resnet50_gn",
                                        "resnet51q",
                                        "resnet61q",
                                        "resnet32ts",
                                        "resnet33ts",
                                        "resnet50_clip",
                                        "resnet50x4_clip",
                                        "resnet50_mlp",
                                        "resnetv2_50",
                                        "resnetv2_50x1_bit",
                                        "resnext26ts",
                                        "resnext50_32x4dx",
                                        "resnext50_32x",
                                        "resnext50_",
                                        "resnext50_32",
                                        "seresnext26ts",
                                        "skresnext50_32x4d",
                                        "gcresnext50ts",
                                        "cspresnext50",
                                        "resnest50d",
                                        "eca_resnext26ts",
                                        "cecaresnet50d",
                                        "resnet50e",
                                        "resnet50dt",
                                        "resnetaablur50",
                                        "resnetrs50d",
                                        "seresnet50_32x4d",
                                        "ecanet154",
                                        "net154",
                                        "res2net50_26w_4s",
                                        "wide_resnet50_",
                                        "wide_resnet50_2d",
                                        "regnety_032",
                                        "vit_base_patch16_224",
                                        "ResNet50",
                                        "",
                                        "resnet 50",
                                        "resnet-50",
                                        "gluon_resnet50_v1",
                                        "gluon_resnet50_v1e",
                                        "gluon_resnet50d_v1d",
                                        "resnet50_v1b",
                                        "tv_resnet50_v1b",
                                        "tv_densenet121",
                                        "ssl_gluon_resnet50",
                                        "tv_ssl_resnet50",
                                        "x_resnet50",
                                        "tv_",
                                        "resnet999999999999999999"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        ck_assert_msg(parse_architecture(names[i]) == ERR_MODEL_UNSUPPORTED, "%s", names[i]);
}
END_TEST

/* Arguments of timm.create_model that leave a ResNet what it is, all at once. */
static const char plain_arguments[] =
    "{\"model_args\":{\"num_classes\":7,\"in_chans\":3,\"layers\":[3,4,6,3],"
    "\"channels\":[64,128,256,512],\"block\":\"bottleneck\",\"cardinality\":32,\"base_width\":4,"
    "\"stem_width\":64,\"stem_type\":\"\",\"block_reduce_first\":1,\"drop_rate\":0.1,"
    "\"drop_path_rate\":0.05,\"drop_block_rate\":0.0,\"zero_init_last\":false,\"pretrained\":true,"
    "\"global_pool\":\"avg\",\"output_stride\":32,\"replace_stem_pool\":false,\"avg_down\":false,"
    "\"down_kernel_size\":1,\"act_layer\":\"relu\",\"norm_layer\":\"batchnorm2d\","
    "\"aa_layer\":null,\"attn_layer\":null,\"block_args\":{},\"features_only\":false}," PICTURE "}";

START_TEST(arguments_that_repeat_defaults_are_served)
{
    static const char *const texts[] = {
        plain_arguments, "{\"model_args\":null," PICTURE "}", "{\"model_args\":{}," PICTURE "}",
        "{\"model_args\":{\"act_layer\":null,\"norm_layer\":null,\"block_args\":null}," PICTURE "}",
        "{\"global_pool\":null," PICTURE "}"};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        struct model_config c;
        struct error err;
        ck_assert_msg(parse(&c, texts[i], &err) == ERR_OK, "%s", err.message);
        model_config_destroy(&c);
    }
}
END_TEST

START_TEST(what_changed_the_network_is_refused)
{
    static const char *const arguments[] = {
        "\"act_layer\":\"silu\"", "\"global_pool\":\"max\"",    "\"global_pool\":\"catavgmax\"",
        "\"output_stride\":16",   "\"output_stride\":8",        "\"norm_layer\":\"groupnorm\"",
        "\"features_only\":true", "\"block\":\"SEBottleneck\"", "\"invented\":1",
        "\"avg_down\":\"false\"", "\"output_stride\":32.0"};
    for (size_t i = 0; i < sizeof arguments / sizeof arguments[0]; i++) {
        char text[512], key[32];
        snprintf(text, sizeof text, "{\"model_args\":{%s}," PICTURE "}", arguments[i]);
        snprintf(key, sizeof key, "%.*s", (int)strcspn(arguments[i] + 1, "\""), arguments[i] + 1);
        check_refused(text, ERR_MODEL_UNSUPPORTED, key);
    }
    check_refused("{\"global_pool\":\"max\"," PICTURE "}", ERR_MODEL_UNSUPPORTED, "global_pool");
    check_refused("{\"model_args\":[]," PICTURE "}", ERR_MODEL_INVALID, "model_args");
}
END_TEST

START_TEST(the_activation_is_read)
{
    static const struct {
        const char *keys;
        bool known;
        enum activation activation;
    } rows[] = {
        {"", false, ACTIVATION_SOFTMAX},
        {"\"activation\":null,\"problem_type\":null,", false, ACTIVATION_SOFTMAX},
        {"\"activation\":\"sigmoid\",", true, ACTIVATION_SIGMOID},
        {"\"activation\":\"softmax\",", true, ACTIVATION_SOFTMAX},
        {"\"problem_type\":\"multi_label_classification\",", true, ACTIVATION_SIGMOID},
        {"\"problem_type\":\"single_label_classification\",", true, ACTIVATION_SOFTMAX},
        {"\"problem_type\":\"multi_label_classification\",\"activation\":\"sigmoid\",", true,
         ACTIVATION_SIGMOID},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct model_config c;
        char text[512];
        snprintf(text, sizeof text, "{%s" PICTURE "}", rows[i].keys);
        ck_assert_int_eq(parse(&c, text, NULL), ERR_OK);
        ck_assert_int_eq(c.activation_is_known, rows[i].known);
        ck_assert_int_eq(c.activation, rows[i].activation);
        model_config_destroy(&c);
    }
    check_refused("{\"activation\":\"Sigmoid\"," PICTURE "}", ERR_MODEL_INVALID, "activation is");
    check_refused("{\"activation\":1," PICTURE "}", ERR_MODEL_INVALID, "activation is");
    check_refused("{\"problem_type\":\"regression\"," PICTURE "}", ERR_MODEL_UNSUPPORTED,
                  "problem_type");
    check_refused("{\"problem_type\":[]," PICTURE "}", ERR_MODEL_UNSUPPORTED, "problem_type");
    check_refused(
        "{\"problem_type\":\"multi_label_classification\",\"activation\":\"softmax\"," PICTURE "}",
        ERR_MODEL_INVALID, "contradict");
}
END_TEST

/* Keys that change what is computed, wherever they stand, with what real files have and what is
 * something else. */
START_TEST(keys_that_change_the_answers_are_not_passed_over)
{
    static const struct {
        const char *key, *plain, *other;
    } rows[] = {
        {"hidden_act", "\"relu\"", "\"gelu\""},
        {"downsample_in_bottleneck", "true", "1"},
        {"downsample_in_first_stage", "false", "true"},
        {"input_space", "\"RGB\"", "\"BGR\""},
        {"input_range", "[0,1]", "[0,255]"},
        {"input_range", "[0.0,1.0]", "[-1,1]"},
        {"label_offset", "0", "1"},
        {"global_pool", "\"avg\"", "\"max\""},
        {"act_layer", "\"relu\"", "\"silu\""},
        {"norm_layer", "\"batchnorm2d\"", "\"groupnorm\""},
        {"output_stride", "32", "16"},
        {"antialias", "true", "false"},
        {"do_normalize", "true", "false"},
        {"do_rescale", "true", "false"},
        {"do_center_crop", "true", "false"},
        {"resample", "3", "2"},
        {"rescale_factor", "0.00392156862745098", "1"},
        {"rescale_offset", "false", "true"},
        {"do_flip_channel_order", "false", "true"},
        {"bn_eps", "1e-5", "1e-3"},
        {"replace_stride_with_dilation", "[false,false,false]", "[false,true,true]"},
        {"image_mean", "[0.485,0.456,0.406]", "[0.5,0.5,0.5]"},
        {"image_std", "[0.229,0.224,0.225]", "[1,1,1]"},
        {"crop_size", "224", "288"},
        {"crop_size", "[224]", "[224,192]"},
        {"crop_size", "224.0", "[224,224,224]"},
        {"crop_size", "[224,224]", "\"224\""},
        {"crop_size", "{\"height\":224,\"width\":224}", "{\"height\":224,\"width\":192}"},
    };
    static const char *const forms[] = {"{\"%s\":%s," PICTURE "}",
                                        "{\"%s\":%s,\"pretrained_cfg\":{" PICTURE "}}",
                                        "{\"pretrained_cfg\":{\"%s\":%s," PICTURE "}}"};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        for (size_t k = 0; k < sizeof forms / sizeof forms[0]; k++) {
            const char *const values[] = {rows[i].plain, "null", rows[i].other};
            for (size_t v = 0; v < 3; v++) {
                char text[512];
                struct model_config c;
                struct error err;
                snprintf(text, sizeof text, forms[k], rows[i].key, values[v]);
                int code = parse(&c, text, &err);
                ck_assert_msg((code == ERR_OK) == (v < 2), "%s: %d", text, code);
                if (code == ERR_OK)
                    model_config_destroy(&c);
                else
                    ck_assert_msg(strstr(err.message, rows[i].key) != NULL, "%s", err.message);
            }
        }
}
END_TEST

#define WITHOUT_MEAN                                                                               \
    "\"input_size\":[3,224,224],\"interpolation\":\"bicubic\",\"crop_pct\":0.95,"                  \
    "\"crop_mode\":\"center\",\"std\":[0.229,0.224,0.225]"

START_TEST(what_the_root_says_of_the_picture_counts)
{
    static const char *const same[] = {
        "\"input_size\":[3,224,224],\"pretrained_cfg\":{" PICTURE "}",
        "\"mean\":null,\"crop_mode\":null,\"pretrained_cfg\":{" PICTURE "}",
        "\"mean\":[0.485,0.456,0.406],\"pretrained_cfg\":{" WITHOUT_MEAN "}",
        "\"mean\":[0.485,0.456,0.406],\"pretrained_cfg\":{\"mean\":null," WITHOUT_MEAN "}",
        "\"pretrained_cfg\":null," PICTURE};
    static const char *const other[] = {
        "\"input_size\":[3,288,288]", "\"crop_pct\":0.875", "\"interpolation\":\"bilinear\"",
        "\"crop_mode\":\"squash\"",   "\"mean\":[0,0,0]",   "\"std\":[1,1,1]"};
    struct model_config c;
    struct error err;
    for (size_t i = 0; i < sizeof same / sizeof same[0]; i++) {
        char text[1024];
        snprintf(text, sizeof text, "{%s}", same[i]);
        ck_assert_msg(parse(&c, text, &err) == ERR_OK, "%s: %s", text, err.message);
        ck_assert_float_eq(c.preprocess.mean[0], 0.485F);
        ck_assert_int_eq(c.preprocess.size, 224);
        model_config_destroy(&c);
    }
    for (size_t i = 0; i < sizeof other / sizeof other[0]; i++) {
        char text[1024];
        snprintf(text, sizeof text, "{%s,\"pretrained_cfg\":{" PICTURE "}}", other[i]);
        check_refused(text, ERR_MODEL_INVALID, "at the root and another in pretrained_cfg");
    }
    ck_assert_int_eq(parse(&c, "{\"resize_size\":300,\"pretrained_cfg\":{" PICTURE "}}", NULL),
                     ERR_OK);
    ck_assert_int_eq(c.preprocess.resize, 300);
    model_config_destroy(&c);
    check_refused("{\"resize_size\":300,\"pretrained_cfg\":{\"resize_size\":256," PICTURE "}}",
                  ERR_MODEL_INVALID, "resize_size");
}
END_TEST

START_TEST(what_pretrained_cfg_says_of_the_network_counts)
{
    static const char *const known[] = {"\"activation\":\"sigmoid\"",
                                        "\"problem_type\":\"multi_label_classification\""};
    struct model_config c;
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        char text[512];
        snprintf(text, sizeof text, "{\"pretrained_cfg\":{%s," PICTURE "}}", known[i]);
        ck_assert_int_eq(parse(&c, text, NULL), ERR_OK);
        ck_assert(c.activation_is_known && c.activation == ACTIVATION_SIGMOID);
        model_config_destroy(&c);
    }
    check_refused(
        "{\"activation\":\"softmax\",\"pretrained_cfg\":{\"activation\":\"sigmoid\"," PICTURE "}}",
        ERR_MODEL_INVALID, "activation");
    check_refused("{\"pretrained_cfg\":{\"problem_type\":\"regression\"," PICTURE "}}",
                  ERR_MODEL_UNSUPPORTED, "problem_type");
    check_refused("{\"pretrained_cfg\":{\"architecture\":\"resnest50d\"," PICTURE "}}",
                  ERR_MODEL_UNSUPPORTED, "pretrained_cfg: architecture resnest50d");
    check_refused("{\"architecture\":\"resnext50_32x4d\",\"pretrained_cfg\":{\"architecture\":"
                  "\"resnet50\"," PICTURE "}}",
                  ERR_MODEL_INVALID, "but resnet50 in pretrained_cfg");
    ck_assert_int_eq(parse(&c,
                           "{\"architecture\":\"resnet50\",\"num_classes\":null,"
                           "\"pretrained_cfg\":{\"architecture\":\"resnet50.a1_in1k\","
                           "\"num_classes\":7," PICTURE "}}",
                           NULL),
                     ERR_OK);
    ck_assert_int_eq(c.classes, 7);
    model_config_destroy(&c);
}
END_TEST

START_TEST(who_trained_an_architecture_is_no_difference)
{
    static const char *const pairs[][2] = {
        {"tv_resnet50", "resnet50.tv_in1k"},
        {"resnext50_32x4d", "gluon_resnext50_32x4d"},
        {"ssl_resnext101_32x8d", "resnext101_32x8d.fb_ssl_yfcc100m_ft_in1k"},
        {"gluon_resnet50_v1b", "resnet50.gluon_in1k"},
        {"gluon_resnet50_v1d", "resnet50d.gluon_in1k"},
    };
    for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++) {
        struct model_config c;
        char text[512];
        snprintf(text, sizeof text,
                 "{\"architecture\":\"%s\",\"pretrained_cfg\":{\"architecture\":\"%s\"," PICTURE
                 "}}",
                 pairs[i][0], pairs[i][1]);
        ck_assert_int_eq(parse(&c, text, NULL), ERR_OK);
        model_config_destroy(&c);
    }
}
END_TEST

/* All of timm's fields, as save_for_hf and as Hugging Face's TimmWrapper write them. */
START_TEST(everything_that_real_files_hold_is_served)
{
    static const char *const texts[] = {
        "{\"architecture\":\"resnet50\",\"architectures\":[\"TimmWrapperForImageClassification\"],"
        "\"do_pooling\":true,\"initializer_range\":0.02,\"model_args\":null,\"model_type\":"
        "\"timm_wrapper\",\"num_classes\":3,\"num_features\":2048,\"global_pool\":\"avg\","
        "\"torch_dtype\":\"float32\",\"dtype\":\"float32\",\"transformers_version\":\"4.57.0\","
        "\"problem_type\":null,\"pretrained_cfg\":{\"url\":\"https://x/a.pth\",\"file\":null,"
        "\"state_dict\":null,\"hf_hub_id\":\"timm/resnet50.a1_in1k\",\"hf_hub_filename\":null,"
        "\"source\":\"hf-hub\",\"architecture\":\"resnet50\",\"tag\":\"a1_in1k\",\"custom_load\":"
        "false,\"test_input_size\":[3,288,288],\"min_input_size\":null,\"fixed_input_size\":false,"
        "\"test_crop_pct\":1.0,\"num_classes\":1000,\"label_offset\":null,\"label_names\":null,"
        "\"label_descriptions\":null,\"pool_size\":[7,7],\"test_pool_size\":null,\"first_conv\":"
        "\"conv1\",\"classifier\":\"fc\",\"license\":\"apache-2.0\",\"description\":\"a, b\","
        "\"origin_url\":\"https://x\",\"paper_name\":\"A; B\",\"paper_ids\":[\"arXiv:1\","
        "\"arXiv:2\",\"arXiv:3\"],\"notes\":[\"a\",\"b\",\"c\"]," PICTURE "}}",
        "{\"architectures\":[\"ResNetForImageClassification\"],\"depths\":[3,4,6,3],"
        "\"downsample_in_first_stage\":false,\"downsample_in_bottleneck\":false,"
        "\"embedding_size\":64,\"hidden_act\":\"relu\",\"hidden_sizes\":[256,512,1024,2048],"
        "\"layer_type\":\"bottleneck\",\"model_type\":\"resnet\",\"num_channels\":3,"
        "\"out_features\":[\"stage4\"],\"out_indices\":[4],\"stage_names\":[\"stem\",\"stage1\","
        "\"stage2\"],\"do_resize\":true,\"do_normalize\":true,\"torch_dtype\":\"float32\"," PICTURE
        "}"};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        struct model_config c;
        struct error err;
        ck_assert_msg(parse(&c, texts[i], &err) == ERR_OK, "%s", err.message);
        ck_assert_str_eq(c.unread_labels, "");
        model_config_destroy(&c);
    }
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

/* The names as "a|b|c". */
static void check_labels(const char *keys, const char *want)
{
    struct model_config c;
    struct error err;
    char text[1024], have[256] = "";
    snprintf(text, sizeof text, "{%s," PICTURE "}", keys);
    ck_assert_msg(parse(&c, text, &err) == ERR_OK, "%s: %s", keys, err.message);
    for (size_t i = 0; i < c.labels.count; i++) {
        strcat(have, i ? "|" : "");
        strcat(have, c.labels.names[i]);
    }
    ck_assert_msg(strcmp(have, want) == 0, "%s: %s", keys, have);
    ck_assert_str_eq(c.unread_labels, "");
    model_config_destroy(&c);
}

/* As timm and transformers write them, now and years ago. */
START_TEST(every_form_of_labels_is_read)
{
    check_labels("\"labels\":[\"a\",\"b\"]", "a|b");
    check_labels("\"labels\":{\"1\":\"b\",\"0\":\"a\"}", "a|b");
    check_labels("\"id2label\":{\"0\":\"a\",\"1\":\"b\"}", "a|b");
    check_labels("\"label2id\":{\"b\":1,\"a\":0}", "a|b");
    check_labels("\"label2id\":{\"b\":\"1\",\"a\":\"0\"}", "a|b");
    check_labels("\"pretrained_cfg\":{\"label_names\":[\"a\",\"b\"]," PICTURE "}", "a|b");
    check_labels("\"label_names\":[\"n1\",\"n2\"],\"label_descriptions\":"
                 "{\"n2\":\"dog\",\"n1\":\"cat, big\"}",
                 "cat, big|dog");
    check_labels("\"label_names\":[\"n1\",\"n2\"],\"label_descriptions\":{\"n2\":\"dog\"}",
                 "n1|dog");
    check_labels("\"label_descriptions\":[\"cat\",\"dog\"]", "cat|dog");
    check_labels("\"label_descriptions\":{\"0\":\"cat\",\"1\":\"dog\"}", "cat|dog");
    check_labels("\"label_names\":[0,1,2]", "0|1|2");
    check_labels("\"label_names\":[\" a \",\"b\"]", "a|b");
    check_labels("\"label_names\":[],\"labels\":{},\"id2label\":null", "");
    check_labels("\"label_names\":{\"1\":\"b\",\"3\":\"d\"}", "class 0|b|class 2|d");
    check_labels("\"num_classes\":5,\"label_names\":{\"1\":\"b\"}", "class 0|b");
    check_labels("\"label2id\":{\"b\":2}", "class 0|class 1|b");
}
END_TEST

#define ANCESTOR "\"pretrained_cfg\":{\"num_classes\":5," PICTURE ","

/* The network has 3 outputs. */
START_TEST(names_of_an_ancestor_mean_nothing)
{
    check_labels(ANCESTOR "\"label_names\":[\"a\",\"b\",\"c\",\"d\",\"e\"]},\"num_classes\":3", "");
    check_labels(ANCESTOR "\"label_names\":{\"0\":\"a\"}},\"num_classes\":3", "");
    check_labels(ANCESTOR "\"label_descriptions\":{\"0\":\"a\"}},\"num_classes\":3", "");
    check_labels(ANCESTOR "\"label_names\":[\"a\"]},\"num_classes\":3,\"labels\":[\"x\"]", "x");
    check_refused("{\"class_names\":[\"a\",\"b\",\"c\"],\"pretrained_cfg\":{\"label_names\":"
                  "[\"x\",\"y\",\"z\"]," PICTURE "}}",
                  ERR_MODEL_INVALID, "class_names seems to name the classes");
    check_labels("\"label_descriptions\":{\"x\":\"Ex\"},\"pretrained_cfg\":{\"label_names\":"
                 "[\"x\",\"y\",\"z\"]," PICTURE "}",
                 "Ex|y|z");
}
END_TEST

START_TEST(names_under_two_keys_must_agree)
{
    check_labels("\"id2label\":{\"0\":\"a\",\"1\":\"b\"},\"label2id\":{\"a\":\"0\",\"b\":1}",
                 "a|b");
    check_labels("\"id2label\":{\"0\":\"a\",\"1\":\"a\"},\"label2id\":{\"a\":1}", "a|a");
    check_labels("\"id2label\":{\"0\":\"a\"},\"label2id\":{\"a\":0,\"b\":0}", "a");
    check_labels("\"id2label\":{\"0\":7},\"label2id\":{\"7\":0}", "7");
    check_labels("\"label_names\":[\"n1\",\"n2\"],\"label_descriptions\":"
                 "{\"n2\":\"dog\",\"n1\":\"cat\"},\"id2label\":{\"0\":\"cat\",\"1\":\"n2\"}",
                 "cat|dog");
    check_labels(
        "\"id2label\":{\"0\":\"a\"},\"pretrained_cfg\":{\"label_names\":[\"x\"]," PICTURE "}", "a");
    check_labels("\"labels\":[\"LABEL_0\",\"LABEL_1\"],\"id2label\":{\"0\":\"a\",\"1\":\"b\"}",
                 "a|b");
    check_labels("\"label_names\":[\"a\",\"b\"],\"label2id\":{\"LABEL_0\":0,\"LABEL_1\":1}", "a|b");
    check_labels("\"id2label\":{\"0\":\"LABEL_0\"},\"label2id\":{\"LABEL_0\":0}", "LABEL_0");
    check_refused("{\"id2label\":{\"0\":\"a\"},\"label2id\":{\"x\":0}," PICTURE "}",
                  ERR_MODEL_INVALID, "id2label and label2id have different names for class 0");
    check_refused("{\"label_names\":[\"a\",\"b\"],\"id2label\":{\"1\":\"a\"}," PICTURE "}",
                  ERR_MODEL_INVALID, "label_names and id2label have different names for class 1");
    check_refused("{\"label_names\":[\"a\",\"b\"],\"label2id\":{\"a\":\"1\"}," PICTURE "}",
                  ERR_MODEL_INVALID, "label_names and label2id");
    check_refused("{\"label_names\":[\"a\"],\"labels\":{\"a\":0}," PICTURE "}", ERR_MODEL_INVALID,
                  "labels: ");
    check_labels("\"label_names\":[\"a\"],\"labels\":\"imagenet\"", "a");
    check_labels("\"labels\":\"imagenet\",\"id2label\":{\"0\":\"a\"}", "a");
    check_refused("{\"labels\":\"imagenet\"," PICTURE "}", ERR_MODEL_INVALID, "labels: neither");
    check_labels("\"id2label\":{\"0\":\"LABEL_0\",\"1\":\"LABEL_1\"},\"pretrained_cfg\":"
                 "{\"label_names\":[\"x\",\"y\"]," PICTURE "}",
                 "x|y");
    check_labels(
        "\"id2label\":{\"0\":\"LABEL_0\"},\"pretrained_cfg\":{\"labels\":[\"LABEL_0\"]," PICTURE
        "}",
        "LABEL_0");
    check_refused("{\"label_names\":[\"a\"],\"labels\":[\"x\"]," PICTURE "}", ERR_MODEL_INVALID,
                  "label_names and labels");
}
END_TEST

/* Defaults at the root hide nothing, and hide behind nothing. */
START_TEST(defaults_beside_names_in_other_places)
{
#define DEFAULTS "\"id2label\":{\"0\":\"LABEL_0\",\"1\":\"LABEL_1\"}"
#define INSIDE   "\"pretrained_cfg\":{\"label_names\":[\"x\",\"y\"]," PICTURE "}"
    static const char *const unread[] = {
        "\"label2id\":{\"a\":0,\"b\":0,\"c\":1}",
        "\"label2id\":{\"a\":\"zero\"}",
        "\"labels\":\"a,b\"",
        "\"label_names\":\"names.txt\"",
        "\"label_descriptions\":{\"0\":\"a\",\"1\":\"b\"}",
        "\"label_descriptions\":[\"a\",\"b\"]",
    };
    check_labels(DEFAULTS ",\"label_descriptions\":{\"LABEL_0\":\"a\",\"LABEL_1\":\"b\"}," INSIDE,
                 "a|b");
    for (size_t i = 0; i < sizeof unread / sizeof unread[0]; i++) {
        char text[512];
        snprintf(text, sizeof text, "{" DEFAULTS ",%s," INSIDE "}", unread[i]);
        check_refused(text, ERR_MODEL_INVALID, "");
        if (i < 4) {
            snprintf(text, sizeof text, "{" DEFAULTS ",%s," PICTURE "}", unread[i]);
            check_refused(text, ERR_MODEL_INVALID, "");
        }
    }
    check_refused("{\"label_descriptions\":[\"a\",\"b\"]," INSIDE "}", ERR_MODEL_INVALID,
                  "label_descriptions seems to name the classes");
#undef DEFAULTS
#undef INSIDE
}
END_TEST

START_TEST(keys_that_do_not_name_classes_are_let_by)
{
    check_labels("\"architectures\":[\"A\",\"B\",\"C\"]", "");
    check_labels("\"stage_names\":[\"stem\",\"stage1\",\"stage2\"]", "");
    check_labels("\"class_weights\":[0.5,0.5],\"num_classes\":2", "");
    check_labels("\"class_weights\":{\"0\":0.5,\"1\":0.5}", "");
    check_labels("\"class_weights\":{\"cat\":0.5,\"dog\":1.5,\"owl\":1.0}", "");
    check_labels("\"classifier\":[\"fc\",\"x\",\"y\"],\"label_offset\":0,\"label_smoothing\":0.1",
                 "");
    check_labels("\"label_smoothing\":{\"type\":\"uniform\",\"value\":0.1}", "");
    check_labels("\"classification_head\":{\"type\":\"linear\",\"dims\":[\"a\"]}", "");
    check_labels("\"class_token\":false,\"label_column\":\"label\"", "");
    check_labels("\"sizes\":[1,2,3],\"tags\":[\"a\",\"b\",\"c\"]", "");
    check_labels("\"metrics\":[\"top1\",\"top5\",\"loss\"],\"authors\":[\"a\",\"b\",\"c\"]", "");
    check_labels("\"training\":{\"epochs\":10,\"batch_size\":32,\"seed\":7}", "");
    check_labels("\"optimizer\":{\"epochs\":0,\"batch_size\":1,\"seed\":2}", "");
    check_labels("\"input_names\":[\"a\"],\"output_names\":[\"b\"]", "");
}
END_TEST

static void check_unread(const char *keys, size_t outputs, const char *unread)
{
    struct model_config c;
    char text[2048];
    snprintf(text, sizeof text, "{%s," PICTURE "}", keys);
    ck_assert_int_eq(model_config_parse(&c, text, strlen(text), NULL, outputs, NULL), ERR_OK);
    ck_assert_msg(strcmp(c.unread_labels, unread) == 0, "%s: %s", text, c.unread_labels);
    ck_assert_uint_eq(c.labels.count, 0);
    model_config_destroy(&c);
}

/* Fault 91. Names under another key: the loader refuses them, unless there is a labels.txt. */
START_TEST(names_in_an_unknown_form_are_noticed)
{
    static const struct {
        const char *keys, *unread;
    } rows[] = {
        {"\"class_names\":[\"a\",\"b\"]", "class_names"},
        {"\"classes\":[{\"id\":0,\"name\":\"a\"}]", "classes"},
        {"\"class_to_idx\":{\"a\":0,\"b\":1}", "class_to_idx"},
        {"\"idx_to_class\":{\"0\":\"a\"}", "idx_to_class"},
        {"\"index-to-name\":{\"0\":\"a\"}", "index-to-name"},
        {"\"idx2name\":{\"0\":\"a\"}", "idx2name"},
        {"\"Categories\":[\"a\"]", "Categories"},
        {"\"dataset\":{\"label_map\":{\"a\":0}}", "label_map"},
        {"\"pretrained_cfg\":{\"synsets\":[\"n1\"]," PICTURE "}", "synsets"},
        {"\"names\":{\"0\":\"a\",\"1\":\"b\",\"2\":\"c\"}", "names"},
        {"\"classes\":\"cat, dog, owl\"", "classes"},
        {"\"classes\":\"cat\\tdog\\towl\"", "classes"},
        {"\"class_file\":\"birds.txt\"", "class_file"},
        {"\"heads\":[{\"size\":3},{\"class_names\":[\"a\",\"b\"]}]", "class_names"},
        {"\"class_counts\":{\"cat\":9,\"dog\":7}", "class_counts"},
        {"\"class_names\":{\"0\":[\"cat\"],\"1\":[\"dog\"]}", "class_names"},
        {"\"classes\":{\"0\":{\"name\":\"cat\"}}", "classes"},
        {"\"class_index\":{\"0\":[\"n01\",\"tench\"]}", "class_index"},
        {"\"classification_labels\":[\"a\"]", "classification_labels"},
        {"\"classification_head\":{\"labels\":[\"a\"]}", "labels"},
    };
    static const size_t outputs[] = {2, 3, 1000};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char text[1024];
        for (size_t k = 0; k < 3; k++)
            check_unread(rows[i].keys, outputs[k], rows[i].unread);
        snprintf(text, sizeof text, "%s,\"label_names\":[\"a\",\"b\",\"c\"]", rows[i].keys);
        check_labels(text, "a|b|c");
    }
}
END_TEST

/* "KEY":OPEN item,item,... CLOSE, with printf's `item` of the class id, twice. */
static const char *repeated(const char *open, const char *item, const char *close, int count)
{
    static char text[1024];
    size_t n = (size_t)snprintf(text, sizeof text, "%s", open);
    for (int i = 0; i < count; i++)
        n += (size_t)snprintf(text + n, sizeof text - n, item, i ? "," : "", i, i);
    snprintf(text + n, sizeof text - n, "%s", close);
    return text;
}

/* With few classes "class 0" says that it is no name; with many ImageNet's would be guessed. */
START_TEST(as_many_names_as_classes_are_noticed_if_those_are_many)
{
    static const struct {
        const char *open, *item, *close, *unread;
    } rows[] = {
        {"\"vocab\":[", "%s\"a%d\"", "]", "vocab"},
        {"\"things\":[", "%s{\"id\":%d}", "]", "things"},
        {"\"kinds\":{\"of\":{", "%s\"a%d\":%d", "}}", "of"},
        {"\"kinds\":{", "%s\"%d\":\"a%d\"", "}", "kinds"},
        {"\"kinds\":{", "%s\"%d\":[\"a%d\"]", "}", "kinds"},
        {"\"class_weights\":{", "%s\"a%d\":0.%d", "}", "class_weights"},
        {"\"settings\":{", "%s\"a%d\":1%d", "}", ""},
        {"\"settings\":{", "%s\"a%d\":0.%d", "}", ""},
        {"\"sizes\":[", "%s%d", "]", ""},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const char *keys = repeated(rows[i].open, rows[i].item, rows[i].close, 12);
        check_unread(keys, 12, rows[i].unread);
        check_unread(keys, 11, "");
        keys = repeated(rows[i].open, rows[i].item, rows[i].close, 10);
        check_unread(keys, 10, "");
    }
    check_unread("\"settings\":{\"a\":0,\"b\":0,\"c\":1,\"d\":2,\"e\":3,\"f\":4,\"g\":5,\"h\":6,"
                 "\"i\":7,\"j\":8,\"k\":9,\"l\":10}",
                 12, "");
}
END_TEST

START_TEST(wrong_labels_are_refused)
{
    check_refused("{\"label_names\":7," PICTURE "}", ERR_MODEL_INVALID, "label_names");
    check_refused("{\"labels\":\"imagenet\"," PICTURE "}", ERR_MODEL_INVALID, "labels");
    check_refused("{\"label_names\":[1.5]," PICTURE "}", ERR_MODEL_INVALID, "label 0");
    check_refused("{\"label_names\":[\"a\",null]," PICTURE "}", ERR_MODEL_INVALID, "label 1");
    check_refused("{\"label_names\":[\"a\",\"\"]," PICTURE "}", ERR_MODEL_INVALID, "label 1");
    check_refused("{\"label_names\":[\"a\\nb\"]," PICTURE "}", ERR_MODEL_INVALID, "label 0");
    check_refused("{\"label_names\":[\"a\\u200b\"]," PICTURE "}", ERR_MODEL_INVALID, "U+200B");
    check_refused("{\"label_names\":{\"00\":\"a\"}," PICTURE "}", ERR_MODEL_INVALID, "class id");
    check_refused("{\"id2label\":{\"-1\":\"a\"}," PICTURE "}", ERR_MODEL_INVALID, "class id");
    check_refused("{\"id2label\":{\"131072\":\"a\"}," PICTURE "}", ERR_MODEL_INVALID, "class id");
    check_refused("{\"id2label\":{\"cat\":\"0\"}," PICTURE "}", ERR_MODEL_INVALID, "id2label");
    check_refused("{\"label2id\":{\"a\":0,\"b\":0}," PICTURE "}", ERR_MODEL_INVALID, "two names");
    check_refused("{\"label2id\":{\"a\":\"x\",\"b\":1}," PICTURE "}", ERR_MODEL_INVALID,
                  "label2id");
    check_refused("{\"label2id\":[\"a\"]," PICTURE "}", ERR_MODEL_INVALID, "label2id");
    check_refused("{\"label_names\":[\"n\"],\"label_descriptions\":{\"n\":[]}," PICTURE "}",
                  ERR_MODEL_INVALID, "label 0");
}
END_TEST

START_TEST(a_file_that_is_too_large_or_absent_is_refused)
{
    char folder[FOLDER_PATH];
    struct model_config c;
    struct error err;
    folder_make(folder);
    ck_assert_int_eq(model_config_read(&c, folder, 3, &err), ERR_IO);
    folder_put_text(folder, "config.json", "{" PICTURE "}");
    const char *path = folder_file(folder, "config.json");
    ck_assert_int_eq(model_config_read(&c, folder, 3, &err), ERR_OK);
    model_config_destroy(&c);
    ck_assert_int_eq(truncate(path, MODEL_CONFIG_FILE_MAX + 1), 0);
    ck_assert_int_eq(model_config_read(&c, folder, 3, &err), ERR_MODEL_INVALID);
    ck_assert_ptr_nonnull(strstr(err.message, "config.json has 16777217 bytes"));
    folder_remove(folder);
}
END_TEST

#define FACE "\"model_type\":\"resnet\",\"num_channels\":3,\"hidden_act\":\"relu\""

static int parse_beside(struct model_config *config, const char *text,
                        const struct preprocess_spec *processor, struct error *err)
{
    return model_config_parse(config, text, strlen(text), processor, 3, err);
}

/* What preprocessor_config.json says. */
static const struct preprocess_spec processor = {
    .size = 224,
    .resize = 235,
    .interpolation = INTERPOLATION_BICUBIC,
    .crop_offset = CROP_OFFSET_FLOOR,
    .mean = {0.485F, 0.456F, 0.406F},
    .std = {0.229F, 0.224F, 0.225F},
};

START_TEST(preprocessor_config_speaks_where_config_is_silent)
{
    struct model_config c;
    struct error err;
    const char *text = "{" FACE ",\"id2label\":{\"0\":\"a\",\"1\":\"b\",\"2\":\"c\"},"
                       "\"pretrained_cfg\":null,\"input_size\":null}";
    ck_assert_msg(parse_beside(&c, text, &processor, &err) == ERR_OK, "%s", err.message);
    ck_assert_int_eq(c.preprocess.resize, 235);
    ck_assert_int_eq(c.preprocess.crop_offset, CROP_OFFSET_FLOOR);
    ck_assert_uint_eq(c.labels.count, 3);
    model_config_destroy(&c);
    check_refused("{" FACE "}", ERR_MODEL_INVALID, "or preprocessor_config.json");
    ck_assert_int_eq(parse_beside(&c, "{\"crop_pct\":0.95}", &processor, &err), ERR_MODEL_INVALID);
    ck_assert_ptr_nonnull(strstr(err.message, "crop_pct is here and not only in "
                                              "preprocessor_config.json: input_size is missing"));
}
END_TEST

START_TEST(preprocessor_config_must_not_contradict_config)
{
    static const char *const keys[] = {
        "input_size", "crop_pct or resize_size", "interpolation", "crop_mode", "mean", "std"};
    struct preprocess_spec wrong[] = {processor, processor, processor,
                                      processor, processor, processor};
    wrong[0].size = 223;
    wrong[1].resize = 236;
    wrong[2].interpolation = INTERPOLATION_BILINEAR;
    wrong[3].crop_mode = CROP_SQUASH;
    wrong[4].mean[2] = wrong[5].std[2] = 0.5F;
    struct model_config c;
    struct error err;
    const char *text = "{" PICTURE "}";
    ck_assert_msg(parse_beside(&c, text, &processor, &err) == ERR_OK, "%s", err.message);
    ck_assert_int_eq(c.preprocess.crop_offset, CROP_OFFSET_EVEN);
    model_config_destroy(&c);
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        ck_assert_int_eq(parse_beside(&c, text, &wrong[i], &err), ERR_MODEL_INVALID);
        ck_assert_msg(strncmp(err.message, keys[i], strlen(keys[i])) == 0 &&
                          strstr(err.message, "preprocessor_config.json"),
                      "%s: %s", keys[i], err.message);
    }
}
END_TEST

TEST_MAIN("model/config", 10, who_trained_an_architecture_is_no_difference,
          a_file_as_timm_publishes_it_is_read, the_old_flat_form_is_read,
          the_resized_edge_is_what_the_publishers_use, architectures_of_the_family_are_served,
          architectures_that_compute_something_else_are_refused,
          arguments_that_repeat_defaults_are_served, what_changed_the_network_is_refused,
          keys_that_change_the_answers_are_not_passed_over,
          what_the_root_says_of_the_picture_counts, what_pretrained_cfg_says_of_the_network_counts,
          everything_that_real_files_hold_is_served, the_activation_is_read,
          a_missing_key_is_named_with_its_default, wrong_values_are_refused,
          what_is_no_config_is_refused, a_fine_tuned_models_own_class_count_wins,
          labels_are_a_list_or_a_map, every_form_of_labels_is_read,
          names_of_an_ancestor_mean_nothing, names_under_two_keys_must_agree,
          defaults_beside_names_in_other_places,
          as_many_names_as_classes_are_noticed_if_those_are_many,
          keys_that_do_not_name_classes_are_let_by, names_in_an_unknown_form_are_noticed,
          wrong_labels_are_refused, preprocessor_config_speaks_where_config_is_silent,
          preprocessor_config_must_not_contradict_config,
          a_file_that_is_too_large_or_absent_is_refused)
