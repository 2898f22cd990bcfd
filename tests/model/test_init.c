#include "model/init.h"

#include <math.h>

#include "model/file.h"
#include "model/model.h"
#include "tests/model/folder.h"
#include "tests/nn/production.h"
#include "tests/suite.h"

static char folder[FOLDER_PATH];

static char *weights_of(uint64_t seed, size_t *length)
{
    const struct template t = folder_template();
    char *bytes;
    folder_make(folder);
    ck_assert_int_eq(model_init_folder(&t, seed, folder, NULL), ERR_OK);
    ck_assert_int_eq(
        file_read_all(folder_file(folder, "model.safetensors"), 1 << 20, &bytes, length, NULL),
        ERR_OK);
    folder_remove(folder);
    return bytes;
}

START_TEST(the_same_seed_gives_the_same_bytes)
{
    size_t a_length, b_length, c_length;
    char *a = weights_of(1, &a_length), *b = weights_of(1, &b_length),
         *c = weights_of(2, &c_length);
    ck_assert_uint_eq(a_length, b_length);
    ck_assert_uint_eq(a_length, c_length);
    ck_assert_mem_eq(a, b, a_length);
    ck_assert_mem_ne(a, c, a_length);
    free(a);
    free(b);
    free(c);
}
END_TEST

static double deviation(const float *values, size_t count)
{
    double sum = 0, square = 0;
    for (size_t i = 0; i < count; i++) {
        sum += (double)values[i];
        square += (double)values[i] * (double)values[i];
    }
    sum /= (double)count;
    return sqrt(square / (double)count - sum * sum);
}

/* Smallest and largest standard deviation of a block's output, from the first block to the last. */
struct range {
    double min, max;
};

static struct range deviations(const struct source *source)
{
    struct range range = {INFINITY, 0};
    float *x = NULL;
    for (int stage = 0; stage < source->template.stage_count; stage++)
        for (int block = 0; block < source->template.stages[stage].blocks; block++) {
            char prefix[LAYER_NAME_MAX];
            struct cut cut;
            snprintf(prefix, sizeof prefix, "layer%d.%d", stage + 1, block);
            cut_block(&cut, source, prefix);
            x = x ? x : source_value(source, cut.input);
            float *y = cut_run(&cut, NULL, x);
            const struct conv_shape *s = &cut.layers[cut.count - 1].shape;
            double d = deviation(y, (size_t)(s->out_h * s->out_w * s->out_c));
            range.min = fmin(range.min, d);
            range.max = fmax(range.max, d);
            free(x);
            x = y;
            cut_destroy(&cut);
        }
    free(x);
    return range;
}

/* Depth is what could make activations vanish or explode; two pictures must not look alike. */
static void check_activations(const char *template)
{
    struct source source;
    source_init(&source, template, 4, "flowers_422.jpg");
    struct range range = deviations(&source);
    float *a = source_value(&source, source.count);
    source_show(&source, "night_coarse.jpg");
    float *b = source_value(&source, source.count);
    size_t classes = (size_t)source.template.classes;
    double logits = deviation(a, classes);
    for (size_t i = 0; i < classes; i++)
        b[i] -= a[i];
    double difference = deviation(b, classes);
    printf("# %s: activations %.2f to %.2f, logits %.2f, between pictures %.2f\n", template,
           range.min, range.max, logits, difference);
    ck_assert_msg(range.min > 0.3 && range.max < 3, "%s: %g to %g", template, range.min, range.max);
    ck_assert_msg(logits > 0.1 && logits < 10, "%s: logits %g", template, logits);
    ck_assert_msg(difference > 0.3 * logits, "%s: pictures differ by %g", template, difference);
    free(a);
    free(b);
    source_close(&source);
}

/* The last three are as deep as resnext50_32x4d, resnext101_64x4d and resnet152, and narrower. */
START_TEST(activations_keep_a_realistic_size)
{
    check_activations("resnet18");
    check_activations("resnext29_8x4d");
    check_activations("blocks=3,4,6,3:C=32:d=2:out=128:size=96");
    check_activations("blocks=3,4,23,3:C=64:d=1:stem_width=16:out=64:size=96");
    check_activations("blocks=3,8,36,3:C=1:d=16:stem_width=16:out=64:size=96");
}
END_TEST

START_TEST(sizes_that_could_not_be_loaded_are_refused)
{
    struct template t = folder_template();
    struct error err;
    folder_make(folder);
    t.input_size = 1025;
    ck_assert_int_eq(model_init_folder(&t, 1, folder, &err), ERR_MODEL_UNSUPPORTED);
    ck_assert_ptr_nonnull(strstr(err.message, "1025"));
    t.input_size = 7;
    ck_assert_int_eq(model_init_folder(&t, 1, folder, NULL), ERR_MODEL_UNSUPPORTED);
    t = folder_template();
    t.classes = 1 << 20;
    ck_assert_int_eq(model_init_folder(&t, 1, folder, NULL), ERR_MODEL_UNSUPPORTED);
    folder_remove(folder);
}
END_TEST

START_TEST(nothing_is_overwritten_or_left_behind)
{
    const struct template t = folder_template();
    folder_make(folder);
    folder_put_text(folder, "model.safetensors", "mine");
    ck_assert_int_eq(model_init_folder(&t, 1, folder, NULL), ERR_IO);
    ck_assert_int_ne(access(folder_file(folder, "config.json"), F_OK), 0);
    ck_assert_int_eq(access(folder_file(folder, "model.safetensors"), F_OK), 0);
    unlink(folder_file(folder, "model.safetensors"));
    folder_put_text(folder, "config.json", "mine");
    ck_assert_int_eq(model_init_folder(&t, 1, folder, NULL), ERR_IO);
    ck_assert_int_ne(access(folder_file(folder, "model.safetensors"), F_OK), 0);
    folder_remove(folder);
}
END_TEST

/* What tensors do not show, config.json says. */
START_TEST(variants_are_loaded_as_what_they_were_made)
{
    static const char *const templates[] = {
        "blocks=1,1:C=2:d=4:stem_width=8:out=16:size=32:down=avg",
        "blocks=1,1:C=1:d=8:stem_width=8:out=16:size=32:stride=1x1",
        "blocks=1,2:C=1:d=8:stem_width=8:out=16:size=32:stem=tiered:attn=eca:aa=avg",
        "blocks=1,1:C=1:d=8:stem_width=8:out=8:size=32:block=basic:stem=deep:attn=ese:aa=blur",
        "blocks=1,1:C=1:d=8:stem_width=8:out=16:size=32:pool=conv:attn=none",
        "blocks=1,1:C=1:d=8:stem_width=8:out=16:size=32:pool=conv:attn=se:reduction=2",
        "blocks=1,1:C=1:d=8:stem_width=8:out=8:size=32:block=basic:stem=cifar:attn=se",
        "legacy_seresnet18",
        "test_resnet",
    };
    for (size_t i = 0; i < sizeof templates / sizeof templates[0]; i++) {
        struct template t;
        struct model *model;
        struct error err;
        struct model_options options = {0};
        ck_assert_msg(template_from_name(templates[i], &t, &err) == ERR_OK, "%s", err.message);
        t.input_size = 32;
        folder_make(folder);
        ck_assert_int_eq(model_init_folder(&t, 1, folder, NULL), ERR_OK);
        ck_assert(kernel_isas_select(NULL, &options.isas));
        ck_assert_msg(model_load(&model, folder, &options, &err) == ERR_OK, "%s: %s", templates[i],
                      err.message);
        ck_assert_mem_eq(&model->template, &t, sizeof t);
        ck_assert_msg(model_self_test(model, &err) == ERR_OK, "%s: %s", templates[i], err.message);
        model_destroy(model);
        folder_remove(folder);
    }
}
END_TEST

TEST_MAIN("model/init", 60, variants_are_loaded_as_what_they_were_made,
          the_same_seed_gives_the_same_bytes, activations_keep_a_realistic_size,
          sizes_that_could_not_be_loaded_are_refused, nothing_is_overwritten_or_left_behind)
