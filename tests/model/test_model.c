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
    ck_assert(kernel_isas_select(NULL, &options.isas));
    return model_load(model, folder, &options, err);
}

static struct folder_tensors *begin(void)
{
    const struct template t = folder_template();
    folder_make(folder);
    folder_put_text(folder, "config.json", FOLDER_CONFIG);
    return folder_tensors(&t);
}

/* Writes the tensors; loading must fail with `wanted` and say `says`. */
static void check_refused(struct folder_tensors *all, int wanted, const char *says)
{
    struct model *model;
    struct error err;
    folder_put_tensors(folder, all);
    int code = load(&model, &err);
    ck_assert_msg(code == wanted, "%d instead of %d (%s)", code, wanted, says);
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
        int code = load(&model, &err);
        ck_assert_msg(code == ERR_MODEL_INVALID || code == ERR_MODEL_UNSUPPORTED, "%s", names[i]);
        ck_assert_msg(strstr(err.message, names[i]) && strstr(err.message, "is missing"), "%s",
                      err.message);
        free(all);
        folder_remove(folder);
    }
}
END_TEST

START_TEST(an_unknown_tensor_is_named)
{
    static const char *const names[] = {"layer1.1.se.fc1.weight",
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

static struct folder_tensors *begin_wrapped(void)
{
    struct folder_tensors *all = begin();
    for (size_t i = 0; i < all->count; i++) {
        char *name = all->tensors[i].name;
        memmove(name + strlen("net."), name, strlen(name) + 1);
        memcpy(name, "net.", strlen("net."));
    }
    return all;
}

START_TEST(messages_name_tensors_as_the_file_does)
{
    struct folder_tensors *all = begin_wrapped();
    folder_add(all, "net.layer1.0.bn4.weight", TENSOR_F32, 8);
    check_refused(all, ERR_MODEL_UNSUPPORTED, "tensor net.layer1.0.bn4.weight is not part");
    all = begin_wrapped();
    all->tensors[folder_tensor(all, "net.bn1.bias")].type = TENSOR_I64;
    check_refused(all, ERR_MODEL_INVALID, "tensor net.bn1.bias has type I64");
    all = begin_wrapped();
    strcpy(all->tensors[folder_tensor(all, "net.conv1.weight")].name, "net.stem.weight");
    check_refused(all, ERR_MODEL_UNSUPPORTED, "conv1.weight is missing");
    all = begin_wrapped();
    strcpy(all->tensors[folder_tensor(all, "net.fc.weight")].name, "net.head.weight");
    check_refused(all, ERR_MODEL_UNSUPPORTED, "one here is net.bn1.bias");
}
END_TEST

/* Half a deep stem. */
START_TEST(what_a_deep_stem_lacks_is_named)
{
    struct folder_tensors *all = begin();
    strcpy(all->tensors[folder_tensor(all, "conv1.weight")].name, "conv1.0.weight");
    check_refused(all, ERR_MODEL_UNSUPPORTED, "conv1.3.weight is missing");
}
END_TEST

START_TEST(networks_of_other_families_are_told)
{
    static const struct {
        const char *tensor, *family;
    } rows[] = {
        {"layer1.0.conv2.paths.0.conv.weight", "SKNet"},  {"layer1.0.conv2.fc1.weight", "ResNeSt"},
        {"layer1.0.convs.0.weight", "Res2Net"},           {"stem.conv1.conv.weight", "ByobNet"},
        {"layer1.0.se.spatial.conv.weight", "attention"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct folder_tensors *all = begin();
        folder_add(all, rows[i].tensor, TENSOR_F32, 8);
        check_refused(all, ERR_MODEL_UNSUPPORTED, rows[i].family);
    }
    struct folder_tensors *all = begin();
    folder_drop(all, "bn1.running_mean");
    folder_drop(all, "bn1.running_var");
    check_refused(all, ERR_MODEL_UNSUPPORTED, "group norm");
}
END_TEST

START_TEST(a_prefix_of_all_names_is_taken_off)
{
    struct folder_tensors *all = begin();
    struct model *model;
    struct error err;
    for (size_t i = 0; i < all->count; i++) {
        char name[SAFETENSORS_NAME_MAX];
        strcpy(name, all->tensors[i].name);
        snprintf(all->tensors[i].name, sizeof name, "module.%.100s", name);
    }
    folder_put_tensors(folder, all);
    ck_assert_msg(load(&model, &err) == ERR_OK, "%s", err.message);
    model_destroy(model);
    free(all);
    folder_remove(folder);
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
    for (enum tensor_type type = TENSOR_READABLE; type <= TENSOR_F8_E5M2; type++) {
        char says[64];
        snprintf(says, sizeof says, "fc.bias has type %s, not F32", tensor_type_name(type));
        all = begin();
        all->tensors[folder_tensor(all, "fc.bias")].type = type;
        check_refused(all, ERR_MODEL_INVALID, says);
    }
}
END_TEST

/* Frameworks cast the counter along with the weights, or lose its shape; nobody reads it. */
START_TEST(a_counter_of_batches_may_have_any_type_and_shape)
{
    for (enum tensor_type type = 0; type <= TENSOR_F8_E5M2; type++)
        for (size_t length = 0; length <= 2; length++) {
            struct folder_tensors *all = begin();
            struct model *model;
            struct error err;
            folder_add(all, "bn1.num_batches_tracked", type, length);
            folder_add(all, "layer1.0.downsample.1.num_batches_tracked", type, length)->rank = 0;
            all->tensors[all->count - 1].elements = 1;
            folder_put_tensors(folder, all);
            ck_assert_msg(load(&model, &err) == ERR_OK, "%s", err.message);
            model_destroy(model);
            free(all);
            folder_remove(folder);
        }
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

static void check_config_refused(const char *config, int wanted, const char *says)
{
    struct folder_tensors *all = begin();
    folder_put_text(folder, "config.json", config);
    check_refused(all, wanted, says);
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
                         ERR_MODEL_INVALID, "config.json has 4 labels for 5 classes");
    check_config_refused("{\"architecture\":\"resnest50d\"}", ERR_MODEL_UNSUPPORTED, "resnest50d");
}
END_TEST

START_TEST(a_missing_file_is_named)
{
    struct folder_tensors *all = begin();
    struct model *model;
    struct error err;
    unlink(folder_file(folder, "config.json"));
    folder_put_tensors(folder, all);
    ck_assert_int_eq(load(&model, &err), ERR_IO);
    ck_assert_ptr_nonnull(strstr(err.message, "config.json: No such file"));
    unlink(folder_file(folder, "model.safetensors"));
    ck_assert_int_eq(load(&model, &err), ERR_IO);
    ck_assert_msg(strstr(err.message, "model.safetensors: No such file") &&
                      strstr(err.message, ".pth"),
                  "%s", err.message);
    free(all);
    folder_remove(folder);
}
END_TEST

START_TEST(a_checkpoint_is_told_what_makes_a_model_of_it)
{
    static const char *const names[] = {"pytorch_model.bin", "best.pth", "last.pth.tar", "a.pt"};
    struct folder_tensors *all = begin();
    struct model *model;
    struct error err;
    folder_put_tensors(folder, all);
    unlink(folder_file(folder, "model.safetensors"));
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        folder_put(folder, names[i], "x", 1);
        ck_assert_int_eq(load(&model, &err), ERR_IO);
        ck_assert_msg(strstr(err.message, names[i]) && strstr(err.message, "resnext import"), "%s",
                      err.message);
        unlink(folder_file(folder, names[i]));
    }
    folder_put(folder, "readme.txt", "x", 1);
    ck_assert_int_eq(load(&model, &err), ERR_IO);
    ck_assert_ptr_null(strstr(err.message, "readme.txt"));
    free(all);
    folder_remove(folder);
}
END_TEST

/* What transformers' Trainer leaves. */
START_TEST(the_weights_are_told_from_other_checkpoints)
{
    static const char *const names[] = {"optimizer.pt",      "rng_state.pth", "training_args.bin",
                                        "pytorch_model.bin", "scheduler.pt",  "scaler.pt"};
    struct folder_tensors *all = begin();
    struct model *model;
    struct error err;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        folder_put(folder, names[i], "x", 1);
    ck_assert_int_eq(load(&model, &err), ERR_IO);
    ck_assert_msg(strstr(err.message, "of its pytorch_model.bin;"), "%s", err.message);
    folder_put(folder, "model.safetensors.index.json", "x", 1);
    ck_assert_int_eq(load(&model, &err), ERR_IO);
    ck_assert_msg(strstr(err.message, "in several files"), "%s", err.message);
    free(all);
    folder_remove(folder);
}
END_TEST

START_TEST(weights_in_several_files_are_refused)
{
    struct folder_tensors *all = begin();
    struct model *model;
    struct error err;
    folder_put_tensors(folder, all);
    unlink(folder_file(folder, "model.safetensors"));
    folder_put(folder, "model-00001-of-00002.safetensors", "x", 1);
    folder_put_text(folder, "model.safetensors.index.json", "{}");
    ck_assert_int_eq(load(&model, &err), ERR_IO);
    ck_assert_msg(strstr(err.message, "several files") &&
                      strstr(err.message, "model.safetensors.index.json lists"),
                  "%s", err.message);
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
    ck_assert_msg(strstr(err.message, "is not a folder") && strstr(err.message, ".pth"), "%s",
                  err.message);
    ck_assert_int_eq(model_load(&model, "/nonexistent", &options, &err), ERR_IO);
    ck_assert_str_eq(
        err.message,
        "cannot open /nonexistent: No such file or directory; name the folder of a model");
    free(all);
    folder_remove(folder);
}
END_TEST

/* The logits of a made-up picture; `out` has space for all classes. */
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
 * ones, unless `spares` says so. */
const struct conv_kernel *__real_kernel_conv(struct kernel_isas isas, enum precision precision,
                                             const struct conv_shape *shape);
const struct conv_kernel *__wrap_kernel_conv(struct kernel_isas isas, enum precision precision,
                                             const struct conv_shape *shape);
static bool spoil, spares;

static const struct conv_kernel *real_kernel(const struct conv_shape *shape)
{
    struct kernel_isas isas;
    ck_assert(kernel_isas_select(NULL, &isas));
    return __real_kernel_conv(isas, PRECISION_F32, shape);
}

static void spoiled_run(const struct conv_kernel *self, const struct conv_call *call)
{
    const struct conv_shape *s = call->shape;
    real_kernel(s)->method->run(self, call);
    if (spoil)
        ((float *)call->y)[(size_t)s->out_h * (size_t)s->out_w * (size_t)s->out_c - 1] += 0.5F;
}

const struct conv_kernel *__wrap_kernel_conv(struct kernel_isas isas, enum precision precision,
                                             const struct conv_shape *shape)
{
    static struct conv_kernel copies[16];
    static struct conv_method methods[16];
    const struct conv_kernel *real = real_kernel(shape);
    size_t i = 0;
    (void)isas;
    ck_assert_int_eq(precision, PRECISION_F32);
    if (spares)
        return real;
    while (copies[i].name && strcmp(copies[i].name, real->name) != 0)
        ck_assert_uint_lt(++i, sizeof copies / sizeof copies[0]);
    copies[i] = *real;
    methods[i] = *real->method;
    methods[i].run = spoiled_run;
    copies[i].method = &methods[i];
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

START_TEST(the_self_test_is_of_both_networks_of_a_cascade)
{
    struct model *right, *wrong;
    const struct template t = folder_template();
    folder_make(folder);
    ck_assert_int_eq(model_init_folder(&t, 3, folder, NULL), ERR_OK);
    ck_assert_int_eq(load(&wrong, NULL), ERR_OK);
    spares = true;
    ck_assert_int_eq(load(&right, NULL), ERR_OK);
    spares = false;
    spoil = true;
    ck_assert_int_eq(model_self_test(right, NULL), ERR_OK);
    right->exact = wrong->network;
    ck_assert_int_eq(model_self_test(right, NULL), ERR_INTERNAL);
    spoil = false;
    ck_assert_int_eq(model_self_test(right, NULL), ERR_OK);
    right->exact = NULL;
    model_destroy(right);
    model_destroy(wrong);
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
    const struct model model = {.activation = ACTIVATION_SOFTMAX, .classes = 5};
    struct prediction p[5];
    float scores[5];
    double sum = exp(1) + 2 * exp(3) + exp(2) + exp(-1);
    static const int order[] = {1, 3, 2, 0, 4};
    for (int k = 1; k <= 5; k++) {
        model_top_k(&model, logits, k, p);
        for (int i = 0; i < k; i++) {
            ck_assert_int_eq(p[i].class_id, order[i]);
            ck_assert_float_eq_tol(p[i].score, (float)(exp(logits[order[i]]) / sum), 1e-7F);
        }
    }
    model_scores(&model, logits, scores);
    for (int i = 0; i < 5; i++)
        ck_assert_float_eq(scores[p[i].class_id], p[i].score);
}
END_TEST

START_TEST(a_margin_is_how_near_another_decision_is)
{
    const float logits[] = {1, 3, 2, 2.5F, -1}, tied[] = {2, 4, 4}, of_one[] = {-0.25F};
    struct model model = {.activation = ACTIVATION_SOFTMAX, .classes = 5};
    ck_assert(model_margin(&model, logits) == 0.5F);
    model.classes = 2;
    ck_assert(model_margin(&model, logits) == 2);
    model.classes = 3;
    ck_assert(model_margin(&model, tied) == 0);
    model.classes = 1;
    ck_assert(isinf(model_margin(&model, of_one)));
    model.activation = ACTIVATION_SIGMOID;
    ck_assert(model_margin(&model, of_one) == 0.25F);
    model.classes = 5;
    ck_assert(model_margin(&model, logits) == 1);
}
END_TEST

/* Each score for itself: they do not add up to anything. */
START_TEST(scores_of_sigmoids_stand_alone)
{
    const float logits[] = {0, 2, -3, 2, 40, -40, 120, -120, FLT_MAX, -FLT_MAX};
    const double want[] = {0.5,
                           0.88079707797788244,
                           0.047425873177566781,
                           0.88079707797788244,
                           1,
                           4.2483542552915889e-18,
                           1,
                           7.6676480737219946e-53,
                           1,
                           0};
    static const int order[] = {8, 6, 4, 1, 3, 0, 2, 5, 7, 9};
    const struct model model = {.activation = ACTIVATION_SIGMOID, .classes = 10};
    struct prediction p[10];
    float scores[10];
    model_scores(&model, logits, scores);
    model_top_k(&model, logits, 10, p);
    for (int i = 0; i < 10; i++) {
        ck_assert_float_eq_tol(scores[i], (float)want[i], 1e-6F * (float)want[i] + FLT_MIN);
        ck_assert_int_eq(p[i].class_id, order[i]);
        ck_assert_float_eq(p[i].score, scores[order[i]]);
    }
}
END_TEST

START_TEST(top_k_agrees_with_sorting)
{
    enum { CLASSES = 500 };
    float logits[CLASSES];
    const struct model model = {.activation = ACTIVATION_SOFTMAX, .classes = CLASSES};
    struct prediction p[CLASSES];
    uint64_t seed = 9;
    for (int round = 0; round < 50; round++) {
        random_floats(&seed, logits, CLASSES);
        for (int i = 0; i < CLASSES; i++)
            logits[i] = floorf(logits[i] * 40); /* with many ties */
        model_top_k(&model, logits, 1 + round * 10, p);
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

/* Fault 89. */
START_TEST(logits_that_are_no_numbers_are_an_error)
{
    static const float bad[] = {NAN, INFINITY, -INFINITY};
    const struct model model = {.classes = 3};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        for (int at = 0; at < 3; at++) {
            float logits[3] = {1, -FLT_MAX, FLT_MAX};
            struct error err;
            ck_assert_int_eq(model_check_logits(&model, logits, &err), ERR_OK);
            logits[at] = bad[i];
            ck_assert_int_eq(model_check_logits(&model, logits, &err), ERR_NOT_FINITE);
            ck_assert_msg(strstr(err.message, "logits are not finite") != NULL, "%s", err.message);
        }
}
END_TEST

START_TEST(the_largest_logits_give_scores)
{
    const float logits[] = {1e30F, -1e30F, FLT_MAX, -FLT_MAX};
    const struct model model = {.activation = ACTIVATION_SOFTMAX, .classes = 4};
    struct prediction p[4];
    model_top_k(&model, logits, 4, p);
    static const int order[] = {2, 0, 1, 3};
    for (int i = 0; i < 4; i++) {
        ck_assert_int_eq(p[i].class_id, order[i]);
        ck_assert_float_eq(p[i].score, i == 0 ? 1 : 0);
    }
}
END_TEST

START_TEST(a_label_is_taken_before_an_id)
{
    char *labels[] = {"three", "two", "eight", "zero", "two", "8x"};
    const struct model model = {.classes = 6, .labels = labels};
    static const struct {
        const char *text;
        int class_id;
    } found[] = {{"three", 0}, {"eight", 2}, {"0", 0}, {"4", 4}, {"05", 5}, {"8x", 5}};
    static const char *const none[] = {"", "-1", "6", "99999999999", "1 ", " 1", "+1", "Two"};
    struct error err;
    int id;
    for (size_t i = 0; i < sizeof found / sizeof found[0]; i++) {
        ck_assert_int_eq(model_find_class(&model, found[i].text, &id, &err), ERR_OK);
        ck_assert_int_eq(id, found[i].class_id);
    }
    for (size_t i = 0; i < sizeof none / sizeof none[0]; i++)
        ck_assert_int_eq(model_find_class(&model, none[i], &id, &err), ERR_PARAMETER);
    ck_assert_int_eq(model_find_class(&model, "two", &id, &err), ERR_PARAMETER);
    ck_assert_msg(strstr(err.message, "classes 1 and 4") != NULL, "%s", err.message);
}
END_TEST

/* As "1" to "3" are: a "0" is not the id of the class that is called "1". */
START_TEST(where_labels_are_numbers_ids_are_not_taken)
{
    char *labels[] = {"1", "2", "3", "8"};
    const struct model model = {.classes = 4, .labels = labels};
    struct error err;
    int id;
    for (int i = 0; i < model.classes; i++) {
        ck_assert_int_eq(model_find_class(&model, labels[i], &id, &err), ERR_OK);
        ck_assert_int_eq(id, i);
    }
    ck_assert_int_eq(model_find_class(&model, "0", &id, &err), ERR_PARAMETER);
    ck_assert_msg(strstr(err.message, "not taken for an id") != NULL, "%s", err.message);
    for (int i = 0; i < model.classes; i++) {
        const char text[] = {(char)('0' + i), '\0'};
        ck_assert_int_eq(model_find_class_id(&model, text, &id, &err), ERR_OK);
        ck_assert_int_eq(id, i);
    }
    ck_assert_int_eq(model_find_class_id(&model, "8", &id, &err), ERR_PARAMETER);
    ck_assert_int_eq(model_find_class_id(&model, "", &id, &err), ERR_PARAMETER);
}
END_TEST

/* Each class can be named somehow. */
START_TEST(of_equal_labels_ids_are_taken)
{
    char *labels[] = {"7", "7", "3"};
    const struct model model = {.classes = 3, .labels = labels};
    struct error err;
    int id;
    ck_assert_int_eq(model_find_class(&model, "7", &id, &err), ERR_PARAMETER);
    for (int i = 0; i < 2; i++) {
        ck_assert_int_eq(model_find_class(&model, i ? "1" : "0", &id, &err), ERR_OK);
        ck_assert_int_eq(id, i);
    }
    ck_assert_int_eq(model_find_class(&model, "2", &id, &err), ERR_PARAMETER);
    ck_assert_int_eq(model_find_class(&model, "3", &id, &err), ERR_OK);
    ck_assert_int_eq(id, 2);
}
END_TEST

#define ONE_OUTPUT                                                                                 \
    "\"input_size\": [3, 16, 16], \"interpolation\": \"bilinear\", \"crop_pct\": 1, "              \
    "\"mean\": [0.5, 0.5, 0.5], \"std\": [0.25, 0.25, 0.25]}"

/* Loads a small network of one output with this config.json and labels.txt (NULL: none). */
static int load_one(struct model **model, const char *config, const char *labels, struct error *err)
{
    struct template t = folder_template();
    t.classes = 1;
    folder_make(folder);
    ck_assert_int_eq(model_init_folder(&t, 3, folder, NULL), ERR_OK);
    folder_put_text(folder, "config.json", config);
    if (labels)
        folder_put_text(folder, "labels.txt", labels);
    int code = load(model, err);
    folder_remove(folder);
    return code;
}

/* Fault 90. */
START_TEST(one_output_is_a_sigmoid)
{
    static const char *const configs[] = {
        "{" ONE_OUTPUT, "{\"num_classes\": 1, \"problem_type\": null, " ONE_OUTPUT,
        "{\"activation\": \"sigmoid\", " ONE_OUTPUT,
        "{\"problem_type\": \"multi_label_classification\", \"labels\": [\"x\"], " ONE_OUTPUT};
    for (size_t i = 0; i < sizeof configs / sizeof configs[0]; i++) {
        struct model *model;
        struct error err;
        float logit, score;
        ck_assert_msg(load_one(&model, configs[i], NULL, &err) == ERR_OK, "%s", err.message);
        ck_assert_int_eq(model->classes, 1);
        ck_assert_int_eq(model->activation, ACTIVATION_SIGMOID);
        forward(model, &logit);
        model_scores(model, &logit, &score);
        ck_assert_float_eq_tol(score, (float)(1 / (1 + exp(-(double)logit))), 1e-6F);
        ck_assert_float_lt(score, 1);
        model_destroy(model);
    }
}
END_TEST

START_TEST(one_output_with_two_labels_is_both)
{
    struct model *one, *two;
    float z, logits[2], scores[2];
    ck_assert_int_eq(load_one(&one, "{" ONE_OUTPUT, NULL, NULL), ERR_OK);
    ck_assert_int_eq(load_one(&two, "{" ONE_OUTPUT, "no\nyes\n", NULL), ERR_OK);
    ck_assert_int_eq(two->classes, 2);
    ck_assert_int_eq(two->activation, ACTIVATION_SIGMOID);
    ck_assert_int_eq(two->parameters, one->parameters);
    ck_assert_int_eq(model_self_test(two, NULL), ERR_OK);
    forward(one, &z);
    forward(two, logits);
    ck_assert_float_eq(logits[0], -z);
    ck_assert_float_eq(logits[1], z);
    model_scores(two, logits, scores);
    ck_assert_float_eq_tol(scores[1], (float)(1 / (1 + exp(-(double)z))), 1e-6F);
    ck_assert_float_eq_tol(scores[0], 1 - scores[1], 1e-6F);
    model_destroy(one);
    model_destroy(two);
    const char *named = "{\"id2label\": {\"0\": \"no\", \"1\": \"yes\"}, " ONE_OUTPUT;
    ck_assert_int_eq(load_one(&two, named, NULL, NULL), ERR_OK);
    ck_assert_str_eq(two->labels[1], "yes");
    ck_assert_int_eq(two->classes, 2);
    model_destroy(two);
}
END_TEST

START_TEST(what_contradicts_one_output_is_refused)
{
    struct model *model;
    struct error err;
    static const char *const configs[] = {
        "{\"activation\": \"softmax\", " ONE_OUTPUT,
        "{\"problem_type\": \"single_label_classification\", " ONE_OUTPUT};
    for (size_t i = 0; i < sizeof configs / sizeof configs[0]; i++) {
        ck_assert_int_eq(load_one(&model, configs[i], NULL, &err), ERR_MODEL_UNSUPPORTED);
        ck_assert_msg(strstr(err.message, "one output is always 1") != NULL, "%s", err.message);
    }
    ck_assert_int_eq(load_one(&model, "{" ONE_OUTPUT, "a\nb\nc\n", &err), ERR_MODEL_INVALID);
    ck_assert_msg(strstr(err.message, "3 labels for 1 classes") != NULL, "%s", err.message);
}
END_TEST

/* Loads the small model of five classes with this line in config.json, and files beside it. */
static int load_named(const char *line, const char *file, const char *text, struct model **model,
                      struct error *err)
{
    struct folder_tensors *all = begin();
    char config[1024];
    snprintf(config, sizeof config, "{%s" ONE_OUTPUT, line);
    folder_put_text(folder, "config.json", config);
    if (file)
        folder_put_text(folder, file, text);
    folder_put_tensors(folder, all);
    free(all);
    int code = load(model, err);
    folder_remove(folder);
    return code;
}

/* Fault 91. */
START_TEST(the_source_of_labels_is_known)
{
    static const char unread[] = "\"class_names\": [\"a\", \"b\", \"c\", \"d\", \"e\"], ";
    static const char gaps[] = "\"label_names\": {\"1\": \"one\", \"3\": \"three\"}, ";
    struct model *m;
    struct error err;
    ck_assert_int_eq(load_named("", NULL, NULL, &m, &err), ERR_OK);
    ck_assert_str_eq(label_source_name(m->label_source), "numbers");
    model_destroy(m);
    ck_assert_int_eq(load_named(unread, "labels.txt", "A\nB\nC\nD\nE\n", &m, &err), ERR_OK);
    ck_assert_str_eq(label_source_name(m->label_source), "labels.txt");
    ck_assert_str_eq(m->labels[4], "E");
    model_destroy(m);
    ck_assert_int_eq(load_named(unread, NULL, NULL, &m, &err), ERR_MODEL_INVALID);
    ck_assert_msg(strstr(err.message, "class_names seems to name the classes") != NULL, "%s",
                  err.message);
    ck_assert_int_eq(load_named("", "classes.txt", "a\n", &m, &err), ERR_MODEL_INVALID);
    ck_assert_msg(strstr(err.message, "classes.txt seems to") != NULL, "%s", err.message);
    ck_assert_int_eq(load_named(gaps, "classes.txt", "a\n", &m, &err), ERR_OK);
    ck_assert_str_eq(label_source_name(m->label_source), "config.json");
    ck_assert_str_eq(m->labels[0], "class 0");
    ck_assert_str_eq(m->labels[3], "three");
    ck_assert_str_eq(m->labels[4], "class 4");
    model_destroy(m);
    static const char defaults[] =
        "\"num_classes\": 5, \"id2label\": {\"0\": \"LABEL_0\", \"1\": \"LABEL_1\"}, ";
    ck_assert_int_eq(load_named(defaults, "labels.txt", "A\nB\nC\nD\nE\n", &m, &err), ERR_OK);
    ck_assert_str_eq(m->labels[4], "E");
    model_destroy(m);
    ck_assert_int_eq(load_named(defaults, NULL, NULL, &m, &err), ERR_OK);
    ck_assert_str_eq(m->labels[1], "LABEL_1");
    ck_assert_str_eq(m->labels[4], "class 4");
    model_destroy(m);
    static const char described[] = "\"label_descriptions\": {\"n1\": \"x\"}, ";
    ck_assert_int_eq(load_named(described, "labels.txt", "A\nB\nC\nD\nE\n", &m, &err), ERR_OK);
    model_destroy(m);
    ck_assert_int_eq(load_named(described, NULL, NULL, &m, &err), ERR_MODEL_INVALID);
    ck_assert_msg(strstr(err.message, "label_descriptions seems") != NULL, "%s", err.message);
    ck_assert_int_eq(load_named("\"label_names\": {\"5\": \"x\"}, ", NULL, NULL, &m, &err),
                     ERR_MODEL_INVALID);
    ck_assert_msg(strstr(err.message, "6 labels for 5 classes") != NULL, "%s", err.message);
}
END_TEST

TEST_MAIN("model/model", 60, a_whole_model_is_loaded, a_missing_tensor_is_named,
          an_unknown_tensor_is_named, messages_name_tensors_as_the_file_does,
          what_a_deep_stem_lacks_is_named, networks_of_other_families_are_told,
          a_prefix_of_all_names_is_taken_off, a_wrong_shape_is_named, a_wrong_type_is_named,
          bad_numbers_are_named, a_counter_of_batches_may_have_any_type_and_shape,
          a_config_that_does_not_fit_is_refused, a_missing_file_is_named,
          a_checkpoint_is_told_what_makes_a_model_of_it,
          the_weights_are_told_from_other_checkpoints, weights_in_several_files_are_refused,
          a_file_is_no_model, a_model_outlives_its_file, bf16_weights_load,
          the_self_test_finds_a_wrong_kernel, the_self_test_is_of_both_networks_of_a_cascade,
          a_margin_is_how_near_another_decision_is, an_absent_model_can_be_destroyed,
          top_k_is_softmax_in_order, scores_of_sigmoids_stand_alone, top_k_agrees_with_sorting,
          logits_that_are_no_numbers_are_an_error, the_largest_logits_give_scores,
          a_label_is_taken_before_an_id, where_labels_are_numbers_ids_are_not_taken,
          of_equal_labels_ids_are_taken, one_output_is_a_sigmoid,
          one_output_with_two_labels_is_both, what_contradicts_one_output_is_refused,
          the_source_of_labels_is_known)
