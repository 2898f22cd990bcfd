#include "model/model.h"

#include <fcntl.h>
#include <float.h>
#include <math.h>
#include <sys/stat.h>

#include "model/init.h"
#include "tests/model/folder.h"
#include "tests/random.h"
#include "tests/suite.h"

static char folder[FOLDER_PATH];

static int load(struct model **model, struct error *err)
{
    struct model_options options = {0};
    ck_assert(kernel_ladder_select(NULL, &options.ladder));
    return model_load(model, folder, &options, err);
}

static struct folder_tensors *begin(void)
{
    const struct template t = folder_template();
    folder_make(folder);
    folder_put_text(folder, "config.json", FOLDER_CONFIG);
    return folder_tensors(&t);
}

/* Writes the tensors; loading must fail with `code` and say `says`. */
static void check_refused(struct folder_tensors *all, int code, const char *says)
{
    struct model *model;
    struct error err;
    folder_put_tensors(folder, all);
    int rc = load(&model, &err);
    ck_assert_msg(rc == code, "%d instead of %d (%s)", rc, code, says);
    ck_assert_msg(strstr(err.message, says) != NULL, "%s", err.message);
    ck_assert_msg(strstr(err.message, "model.safetensors") || code != ERR_IO, "%s", err.message);
    free(all);
    folder_remove(folder);
}

START_TEST(a_whole_model_is_loaded)
{
    struct folder_tensors *all = begin();
    struct model *model;
    folder_add(all, "bn1.num_batches_tracked", TENSOR_I64, 1);
    folder_put_tensors(folder, all);
    ck_assert_int_eq(load(&model, NULL), ERR_OK);
    ck_assert_str_eq(model->path, folder);
    ck_assert_str_eq(model->template_name, "resnext11_2x4d");
    ck_assert_str_eq(precision_name(model->precision), "f32");
    ck_assert_int_eq(model->classes, 5);
    size_t last = network_layer_count(model->network) - 1;
    ck_assert_int_eq(network_layer(model->network, last)->shape.out_c, 5);
    ck_assert_str_eq(model->labels[4], "class 4");
    ck_assert_int_eq(model->template.input_size, 16);
    ck_assert_int_eq(model->template.stages[0].blocks, 2);
    ck_assert_int_eq(model->template.stages[1].cardinality, 2);
    ck_assert_uint_eq(strlen(model->sha256), 64);
    /* by hand: stem; two blocks of stage 1, the first with a projection; stage 2; classifier */
    ck_assert_int_eq(model->parameters, 232 + 704 + 608 + 2624 + 165);
    ck_assert_int_eq(model_self_test(model, NULL), ERR_OK);
    model_destroy(model);
    free(all);
    folder_remove(folder);
}
END_TEST

/* Fault 54. */
START_TEST(a_missing_tensor_is_named)
{
    static const char *const names[] = {"conv1.weight",
                                        "bn1.running_var",
                                        "layer1.0.conv1.weight",
                                        "layer1.0.conv2.weight",
                                        "layer1.1.conv1.weight",
                                        "layer1.1.conv2.weight",
                                        "layer1.1.conv3.weight",
                                        "layer2.0.downsample.0.weight",
                                        "layer1.1.bn3.bias",
                                        "fc.weight",
                                        "fc.bias"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        struct folder_tensors *all = begin();
        struct model *model;
        struct error err;
        folder_drop(all, names[i]);
        folder_put_tensors(folder, all);
        int rc = load(&model, &err);
        ck_assert_msg(rc == ERR_MODEL_INVALID || rc == ERR_MODEL_UNSUPPORTED, "%s", names[i]);
        ck_assert_msg(strstr(err.message, names[i]) && strstr(err.message, "is missing"), "%s",
                      err.message);
        free(all);
        folder_remove(folder);
    }
}
END_TEST

START_TEST(an_unknown_tensor_is_named)
{
    static const char *const names[] = {"layer1.0.se.fc1.weight",
                                        "layer1.1.downsample.0.weight",
                                        "layer1.0.conv1.bias",
                                        "layer3.1.conv1.weight",
                                        "layer1.3.conv1.weight",
                                        "conv1.bias",
                                        "fc.num_batches_tracked",
                                        "layer1.0.bn4.weight",
                                        "layer01.0.conv1.weight",
                                        "layer1.0.conv1.weight.weight",
                                        "head.weight"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        struct folder_tensors *all = begin();
        folder_add(all, names[i], TENSOR_F32, 8);
        check_refused(all, ERR_MODEL_UNSUPPORTED, names[i]);
    }
}
END_TEST

START_TEST(a_deep_stem_is_named)
{
    struct folder_tensors *all = begin();
    strcpy(all->tensors[folder_tensor(all, "conv1.weight")].name, "conv1.0.weight");
    check_refused(all, ERR_MODEL_UNSUPPORTED, "deep stem");
}
END_TEST

START_TEST(a_prefix_of_all_names_is_named)
{
    struct folder_tensors *all = begin();
    for (size_t i = 0; i < all->count; i++) {
        char name[SAFETENSORS_NAME_MAX];
        strcpy(name, all->tensors[i].name);
        snprintf(all->tensors[i].name, sizeof name, "module.%.100s", name);
    }
    check_refused(
        all, ERR_MODEL_UNSUPPORTED,
        "tensor conv1.weight is called module.conv1.weight: take \"module.\" off the names");
}
END_TEST

START_TEST(a_wrong_shape_is_named)
{
    struct folder_tensors *all = begin();
    all->tensors[folder_tensor(all, "layer1.1.conv1.weight")].shape[1] = 15;
    check_refused(all, ERR_MODEL_INVALID,
                  "layer1.1.conv1.weight has shape [8, 15, 1, 1], not [8, 16, 1, 1]");
    all = begin();
    all->tensors[folder_tensor(all, "bn1.bias")].shape[0] = 9;
    check_refused(all, ERR_MODEL_INVALID, "bn1.bias has shape [9], not [8]");
    all = begin();
    all->tensors[folder_tensor(all, "conv1.weight")].shape[2] = 5;
    check_refused(all, ERR_MODEL_UNSUPPORTED, "conv1.weight has shape [8, 3, 5, 3]");
    all = begin();
    all->tensors[folder_tensor(all, "conv1.weight")].shape[1] = 1;
    check_refused(all, ERR_MODEL_INVALID, "conv1.weight has shape [8, 1, 3, 3]");
    all = begin();
    all->tensors[folder_tensor(all, "layer1.0.conv2.weight")].shape[1] = 3;
    check_refused(all, ERR_MODEL_UNSUPPORTED, "layer1.0.conv2.weight");
    all = begin();
    all->tensors[folder_tensor(all, "layer2.0.conv2.weight")].shape[1] = 0;
    check_refused(all, ERR_MODEL_UNSUPPORTED, "layer2.0.conv2.weight has shape [16, 0, 3, 3]");
    all = begin();
    all->tensors[folder_tensor(all, "fc.weight")].rank = 1;
    check_refused(all, ERR_MODEL_UNSUPPORTED, "fc.weight has shape [5]");
}
END_TEST

START_TEST(a_wrong_type_is_named)
{
    struct folder_tensors *all = begin();
    all->tensors[folder_tensor(all, "layer2.0.bn2.weight")].type = TENSOR_I64;
    check_refused(all, ERR_MODEL_INVALID, "layer2.0.bn2.weight has type I64");
    all = begin();
    folder_add(all, "bn1.num_batches_tracked", TENSOR_F32, 1);
    check_refused(all, ERR_MODEL_INVALID, "bn1.num_batches_tracked");
    all = begin();
    folder_add(all, "bn1.num_batches_tracked", TENSOR_I64, 2);
    check_refused(all, ERR_MODEL_INVALID, "bn1.num_batches_tracked");
}
END_TEST

/* Fault 55. */
START_TEST(bad_numbers_are_named)
{
    static const float bad[] = {NAN, INFINITY, -INFINITY};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct folder_tensors *all = begin();
        all->values[folder_tensor(all, "layer2.0.conv3.weight")] = bad[i];
        check_refused(all, ERR_MODEL_INVALID, "layer2.0.conv3.weight");
    }
    struct folder_tensors *all = begin();
    all->values[folder_tensor(all, "fc.bias")] = NAN;
    check_refused(all, ERR_MODEL_INVALID, "fc.bias");
    all = begin();
    all->values[folder_tensor(all, "layer1.0.bn1.running_var")] = -1;
    check_refused(all, ERR_MODEL_INVALID, "batch norm layer1.0.bn1: running_var is negative");
}
END_TEST

static void check_config_refused(const char *config, int code, const char *says)
{
    struct folder_tensors *all = begin();
    folder_put_text(folder, "config.json", config);
    check_refused(all, code, says);
}

/* Fault 60. */
START_TEST(a_config_that_does_not_fit_is_refused)
{
    check_config_refused("{}", ERR_MODEL_INVALID, "config.json: input_size is missing");
    check_config_refused("{\"num_classes\":6,\"input_size\":[3,16,16],\"crop_pct\":1,"
                         "\"interpolation\":\"bilinear\",\"mean\":[0,0,0],\"std\":[1,1,1]}",
                         ERR_MODEL_INVALID, "num_classes is 6, but tensor fc.weight has 5 rows");
    check_config_refused("{\"label_names\":[\"a\",\"b\",\"c\",\"d\"],\"input_size\":[3,16,16],"
                         "\"crop_pct\":1,\"interpolation\":\"bilinear\",\"mean\":[0,0,0],"
                         "\"std\":[1,1,1]}",
                         ERR_MODEL_INVALID, "label_names has 4 names for 5 classes");
    check_config_refused("{\"architecture\":\"resnetaa50\"}", ERR_MODEL_UNSUPPORTED, "resnetaa50");
}
END_TEST

START_TEST(a_missing_config_is_named)
{
    struct folder_tensors *all = begin();
    struct model *model;
    struct error err;
    unlink(folder_file(folder, "config.json"));
    folder_put_tensors(folder, all);
    ck_assert_int_eq(load(&model, &err), ERR_IO);
    ck_assert_ptr_nonnull(strstr(err.message, "config.json: No such file"));
    free(all);
    folder_remove(folder);
}
END_TEST

START_TEST(a_file_is_no_model)
{
    struct folder_tensors *all = begin();
    struct error err;
    struct model *model;
    const struct model_options options = {0};
    folder_put_tensors(folder, all);
    ck_assert_int_eq(model_load(&model, folder_file(folder, "model.safetensors"), &options, &err),
                     ERR_IO);
    ck_assert_msg(strstr(err.message, "is no folder") && strstr(err.message, ".pth"), "%s",
                  err.message);
    ck_assert_int_eq(model_load(&model, "/nonexistent", &options, &err), ERR_IO);
    ck_assert_str_eq(
        err.message,
        "cannot open /nonexistent: No such file or directory; name the folder of a model");
    free(all);
    folder_remove(folder);
}
END_TEST

/* The logits of a made-up picture; `out` has room for all classes. */
static void forward(const struct model *model, float *out)
{
    struct workspace *workspace;
    uint64_t seed = 5;
    size_t size = (size_t)model->preprocess.size;
    ck_assert_int_eq(workspace_create(&workspace, model->network, 1, NULL), ERR_OK);
    random_floats(&seed, workspace_input(workspace), size * size * 3);
    const float *logits = network_forward(model->network, workspace, 1);
    memcpy(out, logits, (size_t)model->classes * sizeof *out);
    workspace_destroy(workspace);
}

/* Fault 59. */
START_TEST(a_model_outlives_its_file)
{
    struct model *model;
    float before[5], after[5];
    const struct template t = folder_template();
    folder_make(folder);
    ck_assert_int_eq(model_init_folder(&t, 3, folder, NULL), ERR_OK);
    ck_assert_int_eq(load(&model, NULL), ERR_OK);
    forward(model, before);
    ck_assert_int_eq(truncate(folder_file(folder, "model.safetensors"), 0), 0);
    forward(model, after);
    ck_assert_mem_eq(before, after, sizeof before);
    ck_assert_int_eq(model_self_test(model, NULL), ERR_OK);
    model_destroy(model);
    folder_remove(folder);
}
END_TEST

START_TEST(bf16_weights_load)
{
    struct folder_tensors *all = begin();
    struct model *model;
    float single[5], half[5];
    folder_put_tensors(folder, all);
    ck_assert_int_eq(load(&model, NULL), ERR_OK);
    forward(model, single);
    model_destroy(model);
    for (size_t i = 0; i < all->count; i++)
        all->tensors[i].type = TENSOR_BF16;
    folder_put_tensors(folder, all);
    ck_assert_int_eq(load(&model, NULL), ERR_OK);
    forward(model, half);
    ck_assert_mem_eq(single, half, sizeof half); /* 0.125 and 1 are exact in both */
    model_destroy(model);
    free(all);
    folder_remove(folder);
}
END_TEST

/* A kernel that gets the last value of each call wrong, while `spoil` says so, in place of the real
 * ones. */
const struct conv_kernel *__real_kernel_conv(struct kernel_ladder ladder, enum precision precision,
                                             const struct conv_shape *shape);
const struct conv_kernel *__wrap_kernel_conv(struct kernel_ladder ladder, enum precision precision,
                                             const struct conv_shape *shape);
static bool spoil;

static const struct conv_kernel *real_kernel(const struct conv_shape *shape)
{
    struct kernel_ladder ladder;
    ck_assert(kernel_ladder_select(NULL, &ladder));
    return __real_kernel_conv(ladder, PRECISION_F32, shape);
}

static void spoiled_run(const struct conv_kernel *self, const struct conv_call *call)
{
    const struct conv_shape *s = call->shape;
    real_kernel(s)->run(self, call);
    if (spoil)
        ((float *)call->y)[(size_t)s->out_h * (size_t)s->out_w * (size_t)s->out_c - 1] += 0.5F;
}

const struct conv_kernel *__wrap_kernel_conv(struct kernel_ladder ladder, enum precision precision,
                                             const struct conv_shape *shape)
{
    static struct conv_kernel copies[16];
    const struct conv_kernel *real = real_kernel(shape);
    size_t i = 0;
    (void)ladder;
    ck_assert_int_eq(precision, PRECISION_F32);
    while (copies[i].name && strcmp(copies[i].name, real->name) != 0)
        ck_assert_uint_lt(++i, sizeof copies / sizeof copies[0]);
    copies[i] = *real;
    copies[i].run = spoiled_run;
    return &copies[i];
}

START_TEST(the_self_test_finds_a_wrong_kernel)
{
    struct model *model;
    struct error err;
    const struct template t = folder_template();
    folder_make(folder);
    ck_assert_int_eq(model_init_folder(&t, 3, folder, NULL), ERR_OK);
    ck_assert_int_eq(load(&model, NULL), ERR_OK);
    ck_assert_int_eq(model_self_test(model, &err), ERR_OK);
    spoil = true;
    ck_assert_int_eq(model_self_test(model, &err), ERR_INTERNAL);
    ck_assert_ptr_nonnull(strstr(err.message, "layer conv1 is wrong on kernel f32_"));
    spoil = false;
    model_destroy(model);
    folder_remove(folder);
}
END_TEST

START_TEST(an_absent_model_can_be_destroyed)
{
    model_destroy(NULL);
}
END_TEST

START_TEST(top_k_is_softmax_in_order)
{
    const float logits[] = {1, 3, 2, 3, -1};
    struct prediction p[5];
    double sum = exp(1) + 2 * exp(3) + exp(2) + exp(-1);
    static const int order[] = {1, 3, 2, 0, 4};
    for (int k = 1; k <= 5; k++) {
        model_top_k(logits, 5, k, p);
        for (int i = 0; i < k; i++) {
            ck_assert_int_eq(p[i].class_id, order[i]);
            ck_assert_float_eq_tol(p[i].score, (float)(exp(logits[order[i]]) / sum), 1e-7F);
        }
    }
}
END_TEST

START_TEST(top_k_agrees_with_sorting)
{
    enum { CLASSES = 500 };
    float logits[CLASSES];
    struct prediction p[CLASSES];
    uint64_t seed = 9;
    for (int round = 0; round < 50; round++) {
        random_floats(&seed, logits, CLASSES);
        for (int i = 0; i < CLASSES; i++)
            logits[i] = floorf(logits[i] * 40); /* with many ties */
        model_top_k(logits, CLASSES, 1 + round * 10, p);
        for (int i = 0; i < 1 + round * 10; i++) {
            int before = 0; /* how many come before it, in a full sort */
            for (int c = 0; c < CLASSES; c++)
                before += logits[c] > logits[p[i].class_id] ||
                          (logits[c] == logits[p[i].class_id] && c < p[i].class_id);
            ck_assert_int_eq(before, i);
        }
    }
}
END_TEST

START_TEST(extreme_logits_give_numbers)
{
    const float logits[] = {1e30F, INFINITY, NAN, -INFINITY, -1e30F, FLT_MAX};
    struct prediction p[6];
    float sum = 0;
    model_top_k(logits, 6, 6, p);
    for (int i = 0; i < 6; i++) {
        ck_assert(p[i].score >= 0 && p[i].score <= 1);
        sum += p[i].score;
    }
    ck_assert_float_eq(sum, 1);
    ck_assert_int_eq(p[0].class_id, 1);
    ck_assert_int_eq(p[1].class_id, 5);
    ck_assert_int_eq(p[5].class_id, 3);
}
END_TEST

TEST_MAIN("model/model", 60, a_whole_model_is_loaded, a_missing_tensor_is_named,
          an_unknown_tensor_is_named, a_deep_stem_is_named, a_prefix_of_all_names_is_named,
          a_wrong_shape_is_named, a_wrong_type_is_named, bad_numbers_are_named,
          a_config_that_does_not_fit_is_refused, a_missing_config_is_named, a_file_is_no_model,
          a_model_outlives_its_file, bf16_weights_load, the_self_test_finds_a_wrong_kernel,
          an_absent_model_can_be_destroyed, top_k_is_softmax_in_order, top_k_agrees_with_sorting,
          extreme_logits_give_numbers)
