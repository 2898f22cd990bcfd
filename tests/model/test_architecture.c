#include "model/architecture.h"

#include <stdio.h>
#include <string.h>

#include "model/checkpoint.h"
#include "tests/model/folder.h"
#include "tests/suite.h"

enum { LINE = 128 };

/* timm's networks: name, parameters, convolutions and fully connected layers. */
static FILE *open_networks(void)
{
    const char *top = getenv("top_srcdir");
    char path[1024];
    snprintf(path, sizeof path, "%s/tests/data/timm_networks.tsv", top ? top : ".");
    FILE *file = fopen(path, "r");
    ck_assert_ptr_nonnull(file);
    return file;
}

static struct template named(const char *name)
{
    struct template t;
    struct error err;
    ck_assert_msg(template_from_name(name, &t, &err) == ERR_OK, "%s", err.message);
    return t;
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(((const struct tensor_info *)a)->name, ((const struct tensor_info *)b)->name);
}

/* The tensors that a file of this network has; free(table.tensors). */
static struct tensor_table tensors_of(const struct template *t)
{
    struct tensor_table table = {0};
    struct layer *layers;
    size_t count;
    ck_assert_int_eq(template_layers(t, &layers, &count, NULL), ERR_OK);
    table.tensors = calloc(count * CHECKPOINT_LAYER_TENSORS, sizeof *table.tensors);
    ck_assert_ptr_nonnull(table.tensors);
    for (size_t i = 0; i < count; i++)
        table.count += checkpoint_layer_tensors(&layers[i], table.tensors + table.count);
    qsort(table.tensors, table.count, sizeof *table.tensors, compare_names);
    free(layers);
    return table;
}

static int read_architecture(struct architecture *out, const char *text, struct error *err)
{
    json_t *root = json_loads(text, 0, NULL);
    ck_assert_msg(root != NULL, "%s", text);
    int code = architecture_read(out, root, root, err);
    json_decref(root);
    return code;
}

/* Reads the network from its own tensors, and from what a config.json says. */
static int reread(const struct template *from, const char *config, struct template *t,
                  struct error *err)
{
    struct architecture said;
    struct tensor_table table = tensors_of(from);
    *t = (struct template){.input_size = from->input_size};
    int code = read_architecture(&said, config, err);
    if (code == ERR_OK)
        code = checkpoint_template(&table, t, err);
    free(table.tensors);
    return code == ERR_OK ? architecture_apply(&said, t, err) : code;
}

static void check_sizes(const char *name, const struct template *t, int64_t parameters, int count)
{
    struct layer *layers;
    size_t layer_count;
    ck_assert_int_eq(template_layers(t, &layers, &layer_count, NULL), ERR_OK);
    for (size_t i = 0; i < layer_count; i++) {
        parameters -= layer_parameters(&layers[i]);
        count -= layer_has_weights(&layers[i]) && !checkpoint_is_identity(&layers[i]);
    }
    ck_assert_msg(parameters == 0, "%s: %ld parameters missing", name, parameters);
    ck_assert_msg(count == 0, "%s: %d layers missing", name, count);
    free(layers);
}

/* By name, and from the tensors and the name together. */
START_TEST(networks_of_timm_have_its_sizes_and_names)
{
    char line[LINE], name[LINE], again[TEMPLATE_NAME_MAX], config[2 * LINE];
    FILE *file = open_networks();
    int rows = 0;
    for (; fgets(line, sizeof line, file); rows++) {
        struct template t, found;
        struct error err;
        long parameters;
        int count;
        ck_assert_int_eq(sscanf(line, "%127s %ld %d", name, &parameters, &count), 3);
        t = named(name);
        check_sizes(name, &t, parameters, count);
        template_name(&t, again);
        ck_assert_str_eq(again, name);
        snprintf(config, sizeof config, "{\"architecture\":\"%s.a_tag\"}", name);
        ck_assert_msg(reread(&t, config, &found, &err) == ERR_OK, "%s: %s", name, err.message);
        check_sizes(name, &found, parameters, count);
        template_name(&found, again);
        ck_assert_str_eq(again, name);
    }
    ck_assert_int_ge(rows, 87);
    fclose(file);
}
END_TEST

START_TEST(what_tensors_do_not_show_is_taken_from_the_config)
{
    const struct template plain = named("resnet50"), se = named("seresnet50");
    struct template t;
    struct error err;
    ck_assert_int_eq(reread(&plain, "{}", &t, &err), ERR_OK);
    ck_assert_int_eq(t.antialias, ANTIALIAS_NONE);
    ck_assert(!t.stride_first && !t.hard_sigmoid);
    ck_assert_int_eq(reread(&plain, "{\"architecture\":\"resnetaa50\"}", &t, &err), ERR_OK);
    ck_assert_int_eq(t.antialias, ANTIALIAS_AVG);
    ck_assert_int_eq(reread(&plain, "{\"model_args\":{\"aa_layer\":\"blurpool\"}}", &t, &err),
                     ERR_OK);
    ck_assert_int_eq(t.antialias, ANTIALIAS_BLUR);
    ck_assert_int_eq(reread(&plain, "{\"downsample_in_bottleneck\":true}", &t, &err), ERR_OK);
    ck_assert(t.stride_first);
    ck_assert_int_eq(reread(&se,
                            "{\"model_args\":{\"block_args\":{\"gate_layer\":\"hard_sigmoid\"}}}",
                            &t, &err),
                     ERR_OK);
    ck_assert(t.hard_sigmoid);
    ck_assert_int_eq(reread(&se, "{\"architecture\":\"legacy_seresnet50\"}", &t, &err), ERR_OK);
    ck_assert(t.stride_first);
    ck_assert_int_eq(t.stem_pool, STEM_POOL_CEIL);
}
END_TEST

START_TEST(arguments_override_the_name)
{
    const struct template plain = named("resnet50"), avg = named("resnet50d");
    struct template t;
    ck_assert_int_eq(reread(&plain,
                            "{\"architecture\":\"resnetaa50\",\"model_args\":{\"aa_layer\":\"\"}}",
                            &t, NULL),
                     ERR_OK);
    ck_assert_int_eq(t.antialias, ANTIALIAS_NONE);
    ck_assert_int_eq(reread(&plain,
                            "{\"architecture\":\"resnetaa50\",\"model_args\":{\"aa_layer\":null}}",
                            &t, NULL),
                     ERR_OK);
    ck_assert_int_eq(t.antialias, ANTIALIAS_NONE);
    ck_assert_int_eq(
        reread(&avg,
               "{\"architecture\":\"resnet50\",\"model_args\":{\"avg_down\":true,\"stem_type\":"
               "\"deep\",\"aa_layer\":null}}",
               &t, NULL),
        ERR_OK);
}
END_TEST

/* Wherever it stands: at the root, in block_args or in model_args. */
START_TEST(an_argument_has_one_value)
{
    static const char *const configs[] = {
        "{\"aa_layer\":\"avg\",\"model_args\":{\"aa_layer\":\"blur\"}}",
        "{\"aa_layer\":\"avg\",\"model_args\":{\"aa_layer\":null}}",
        "{\"downsample_in_bottleneck\":true,\"model_args\":{\"downsample_in_bottleneck\":false}}",
        "{\"gate_layer\":\"sigmoid\",\"block_args\":{\"gate_layer\":\"hard_sigmoid\"}}",
    };
    const struct template plain = named("resnet50");
    struct template t;
    struct error err;
    for (size_t i = 0; i < sizeof configs / sizeof configs[0]; i++) {
        ck_assert_msg(reread(&plain, configs[i], &t, &err) == ERR_MODEL_INVALID, "%s", configs[i]);
        ck_assert_ptr_nonnull(strstr(err.message, "leave the wrong one out"));
    }
    ck_assert_int_eq(reread(&plain,
                            "{\"aa_layer\":\"avg\",\"model_args\":{\"aa_layer\":\"avgpool\"}}", &t,
                            &err),
                     ERR_OK);
}
END_TEST

static void check_contradiction(const char *tensors, const char *config, const char *a,
                                const char *b)
{
    const struct template from = named(tensors);
    struct template t;
    struct error err;
    ck_assert_msg(reread(&from, config, &t, &err) == ERR_MODEL_INVALID, "%s", config);
    ck_assert_msg(strstr(err.message, a) && strstr(err.message, b), "%s", err.message);
}

START_TEST(what_the_tensors_contradict_is_refused)
{
    check_contradiction("resnet50", "{\"architecture\":\"resnet50c\"}",
                        "architecture resnet50c says a stem of three", "show a stem of one");
    check_contradiction("resnet50d", "{\"architecture\":\"resnet50c\"}", "without a pool",
                        "show shortcuts with a pool");
    check_contradiction("resnet50d", "{\"model_args\":{\"avg_down\":false}}", "avg_down says",
                        "with a pool");
    check_contradiction("seresnet50", "{\"architecture\":\"resnet50\"}", "says no attention",
                        "show SE attention");
    check_contradiction("ecaresnet50d", "{\"architecture\":\"seresnet50d\"}", "SE attention",
                        "ECA attention");
    check_contradiction("resnetrs50", "{\"architecture\":\"seresnet50d\"}", "a max pool",
                        "a convolution instead");
    check_contradiction("seresnet50d", "{\"replace_stem_pool\":true}", "replace_stem_pool says",
                        "a max pool");
}
END_TEST

/* What only a name says is not taken from the name of another network. */
START_TEST(a_name_of_other_tensors_is_not_believed)
{
    struct template t = named("resnet26");
    struct error err;
    check_contradiction("resnext50_32x4d", "{\"architecture\":\"resnetaa50\"}",
                        "architecture resnetaa50 is not", "resnextaa50_32x4d");
    check_contradiction("resnet26", "{\"architecture\":\"resnetblur50\"}", "resnetblur50 is not",
                        "resnetblur26");
    check_contradiction("seresnet26", "{\"architecture\":\"legacy_seresnet50\"}",
                        "legacy_seresnet50 is not", "legacy_seresnet26");
    t.stages[0].widths[0].width = t.stages[0].widths[1].width = 48;
    ck_assert_int_eq(reread(&t, "{\"architecture\":\"resnetaa26.mine\"}", &t, &err), ERR_OK);
    ck_assert_int_eq(
        reread(&t, "{\"architecture\":\"resnetaa50\",\"model_args\":{\"aa_layer\":\"avg\"}}", &t,
               &err),
        ERR_OK);
}
END_TEST

START_TEST(other_values_of_arguments_are_refused_by_name)
{
    static const char *const wrong[] = {"\"aa_layer\":\"blurpc\"",
                                        "\"attn_layer\":\"ceca\"",
                                        "\"attn_layer\":\"cbam\"",
                                        "\"stem_type\":\"deeper\"",
                                        "\"gate_layer\":\"tanh\"",
                                        "\"block_args\":{\"attn_layer\":\"gc\"}",
                                        "\"block_args\":{\"add_maxpool\":true}",
                                        "\"block_args\":{\"avg_down\":true}",
                                        "\"avg_down\":1",
                                        "\"downsample_in_bottleneck\":\"true\""};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        char text[LINE];
        struct architecture said;
        struct error err;
        snprintf(text, sizeof text, "{\"model_args\":{%s}}", wrong[i]);
        ck_assert_msg(read_architecture(&said, text, &err) == ERR_MODEL_UNSUPPORTED, "%s", text);
        snprintf(text, sizeof text, "%.*s", (int)strcspn(wrong[i] + 1, "\""), wrong[i] + 1);
        ck_assert_msg(strstr(err.message, text) != NULL, "%s", err.message);
    }
}
END_TEST

TEST_MAIN("model/architecture", 20, networks_of_timm_have_its_sizes_and_names,
          what_tensors_do_not_show_is_taken_from_the_config, arguments_override_the_name,
          an_argument_has_one_value, what_the_tensors_contradict_is_refused,
          a_name_of_other_tensors_is_not_believed, other_values_of_arguments_are_refused_by_name)
