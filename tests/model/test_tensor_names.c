#include "model/tensor_names.h"

#include <stdio.h>
#include <string.h>

#include "tests/suite.h"

enum { MOST = 8 };

struct table {
    struct tensor_info tensors[MOST];
    struct tensor_table table;
};

static int rename_these(struct table *t, const char *const names[MOST], struct error *err)
{
    *t = (struct table){.table.tensors = t->tensors};
    for (; t->table.count < MOST && names[t->table.count]; t->table.count++)
        strcpy(t->tensors[t->table.count].name, names[t->table.count]);
    return tensor_names_rename(&t->table, err);
}

/* That `old` becomes `new`, and that nothing becomes anything else. */
static void check_names(const char *const old[MOST], const char *const new[MOST],
                        enum tensor_naming naming)
{
    struct table t;
    struct error err;
    int code = rename_these(&t, old, &err);
    ck_assert_msg(code == ERR_OK, "%s: %s", old[0], err.message);
    ck_assert_int_eq(t.table.naming, naming);
    for (size_t i = 0; i < t.table.count; i++) {
        const struct tensor_info *found = tensor_table_find(&t.table, new[i]);
        ck_assert_msg(found, "%s did not become %s", old[i], new[i]);
        ck_assert_str_eq(found->stored, old[i]);
    }
}

static void check_refused(const char *const names[MOST], const char *words)
{
    struct table t;
    struct error err;
    ck_assert_int_eq(rename_these(&t, names, &err), ERR_MODEL_UNSUPPORTED);
    ck_assert_msg(strstr(err.message, words), "\"%s\" is not in: %s", words, err.message);
}

START_TEST(torchvisions_names_stay)
{
    static const char *const names[MOST] = {"layer1.0.se.fc1.weight", "fc.weight", "conv1.weight",
                                            "conv1.0.weight", "classifier.1.weight"};
    check_names(names, names, NAMING_TORCHVISION);
    static const char *const none[MOST] = {NULL};
    check_names(none, none, NAMING_TORCHVISION);
}
END_TEST

START_TEST(a_prefix_of_all_names_is_taken_off)
{
    static const char *const prefixes[] = {
        "module.", "_orig_mod.module.", "net.", "resnet.", "model.backbone.timm_model.", "v2.",
    };
    static const char *const new[MOST] = {"fc.weight", "layer1.0.conv1.weight"};
    for (size_t i = 0; i < sizeof prefixes / sizeof prefixes[0]; i++) {
        char a[64], b[64];
        snprintf(a, sizeof a, "%sfc.weight", prefixes[i]);
        snprintf(b, sizeof b, "%slayer1.0.conv1.weight", prefixes[i]);
        const char *const old[MOST] = {a, b};
        check_names(old, new, NAMING_TORCHVISION);
    }
}
END_TEST

START_TEST(what_is_no_prefix_stays)
{
    static const char *const similar[MOST] = {"modellayer1.0.conv1.weight", "modelfc.weight"};
    static const char *const incomplete[MOST] = {"net.layer1.0.conv1", "net.fc.weight"};
    check_names(similar, similar, NAMING_TORCHVISION);
    check_names(incomplete, incomplete, NAMING_TORCHVISION);
}
END_TEST

START_TEST(a_prefix_of_some_names_is_refused)
{
    static const char *const some[MOST] = {"criterion.weight", "model.layer1.0.conv1.weight",
                                           "model.fc.weight"};
    check_refused(some, "tensor model.layer1.0.conv1.weight has the prefix \"model.\", but tensor "
                        "criterion.weight does not");
    static const char *const inner[MOST] = {
        "module.model.resnet.embedder.embedder.convolution.weight", "module.classifier.1.bias"};
    check_refused(inner, "has the prefix \"module.model.\", but tensor module.classifier.1.bias");
    static const char *const two[MOST] = {"student.layer1.0.conv1.weight",
                                          "teacher.layer1.0.conv1.weight"};
    check_refused(two, "but tensor teacher.layer1.0.conv1.weight does not");
    static const char *const bare[MOST] = {"model.", "model.layer1.0.conv1.weight"};
    check_refused(bare, "but tensor model. does not");
}
END_TEST

START_TEST(a_part_of_a_sequence_is_refused)
{
    static const char *const first[MOST] = {"1.layer1.0.conv1.weight", "1.fc.weight"};
    static const char *const inner[MOST] = {"model.12.layer1.0.conv1.weight", "model.12.fc.weight"};
    check_refused(first, "tensor 1.layer1.0.conv1.weight is of one part of a sequence");
    check_refused(inner, "of one part of a sequence");
}
END_TEST

START_TEST(legacy_senet_gets_timms_names)
{
    static const char *const old[MOST] = {
        "layer0.conv1.weight",          "layer0.bn1.running_mean",
        "layer3.12.se_module.fc1.bias", "layer3.12.conv2.weight",
        "layer1.0.downsample.0.weight", "last_linear.weight",
        "layer1.0.se_module.fc1.bias",  "layer0.conv3.weight",
    };
    static const char *const new[MOST] = {
        "conv1.weight",
        "bn1.running_mean",
        "layer3.12.se.fc1.bias",
        "layer3.12.conv2.weight",
        "layer1.0.downsample.0.weight",
        "fc.weight",
        "layer1.0.se.fc1.bias",
        "layer0.conv3.weight",
    };
    check_names(old, new, NAMING_LEGACY_SENET);
}
END_TEST

/* Without attention, its names do not show the pools and strides of Caffe. */
START_TEST(only_a_senet_is_a_legacy_senet)
{
    static const char *const names[MOST] = {"layer0.conv1.weight", "last_linear.weight",
                                            "layer1.0.conv1.weight"};
    check_names(names, names, NAMING_TORCHVISION);
}
END_TEST

START_TEST(the_deep_stem_of_legacy_senet_gets_timms_names)
{
    static const char *const old[MOST] = {"layer0.conv1.weight", "layer0.bn1.bias",
                                          "layer0.conv2.weight", "layer0.bn2.bias",
                                          "layer0.conv3.weight", "layer0.bn3.bias",
                                          "last_linear.bias",    "layer1.0.se_module.fc1.bias"};
    static const char *const new[MOST] = {"conv1.0.weight", "conv1.1.bias",        "conv1.3.weight",
                                          "conv1.4.bias",   "conv1.6.weight",      "bn1.bias",
                                          "fc.bias",        "layer1.0.se.fc1.bias"};
    check_names(old, new, NAMING_LEGACY_SENET);
}
END_TEST

START_TEST(hugging_faces_resnet_gets_torchvisions_names)
{
    static const char *const old[MOST] = {
        "resnet.embedder.embedder.convolution.weight",
        "resnet.embedder.embedder.normalization.running_var",
        "resnet.encoder.stages.0.layers.0.layer.0.convolution.weight",
        "resnet.encoder.stages.3.layers.22.layer.2.normalization.num_batches_tracked",
        "resnet.encoder.stages.1.layers.0.shortcut.convolution.weight",
        "resnet.encoder.stages.1.layers.0.shortcut.normalization.bias",
        "classifier.1.weight",
        "classifier.1.bias",
    };
    static const char *const new[MOST] = {
        "conv1.weight",
        "bn1.running_var",
        "layer1.0.conv1.weight",
        "layer4.22.bn3.num_batches_tracked",
        "layer2.0.downsample.0.weight",
        "layer2.0.downsample.1.bias",
        "fc.weight",
        "fc.bias",
    };
    check_names(old, new, NAMING_HUGGING_FACE);
    static const char *const wrapped[MOST] = {"model.resnet.embedder.embedder.convolution.weight",
                                              "model.classifier.1.weight"};
    static const char *const unwrapped[MOST] = {"conv1.weight", "fc.weight"};
    check_names(wrapped, unwrapped, NAMING_HUGGING_FACE);
}
END_TEST

START_TEST(names_that_only_resemble_stay)
{
    static const char *const names[MOST] = {
        "resnet.encoder.stages.00.layers.0.layer.0.convolution.weight",
        "resnet.encoder.stages.99999.layers.0.layer.0.convolution.weight",
        "resnet.encoder.stages.-1.layers.0.layer.0.convolution.weight",
        "resnet.encoder.stages..layers.0.layer.0.convolution.weight",
        "resnet.encoder.stages.0.layers.0.layer.0.convolution",
        "resnet.encoder.stages.0.layers.0.layer.0.convolutions.weight",
        "classifier.10.weight",
        "resnet.encoder.stages.0",
    };
    check_names(names, names, NAMING_HUGGING_FACE);
}
END_TEST

START_TEST(two_tensors_of_one_name_are_refused)
{
    static const char *const face[MOST] = {"resnet.embedder.embedder.convolution.weight",
                                           "fc.weight", "classifier.1.weight"};
    check_refused(face, "fc.weight and ");
    check_refused(face, "classifier.1.weight");
    check_refused(face, "would both be fc.weight");
    static const char *const legacy[MOST] = {"layer0.conv1.weight", "conv1.weight",
                                             "layer1.0.se_module.fc1.bias"};
    check_refused(legacy, "would both be conv1.weight");
}
END_TEST

TEST_MAIN("model/tensor_names", 10, torchvisions_names_stay, a_prefix_of_all_names_is_taken_off,
          what_is_no_prefix_stays, a_prefix_of_some_names_is_refused,
          a_part_of_a_sequence_is_refused, legacy_senet_gets_timms_names,
          only_a_senet_is_a_legacy_senet, the_deep_stem_of_legacy_senet_gets_timms_names,
          hugging_faces_resnet_gets_torchvisions_names, names_that_only_resemble_stay,
          two_tensors_of_one_name_are_refused)
