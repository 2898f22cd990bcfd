#include "model/init.h"

#include <math.h>

#include "model/file.h"
#include "model/model.h"
#include "tests/model/folder.h"
#include "tests/random.h"
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

/* Mean and standard deviation over the classes for one made-up picture. */
static void logits_of(const struct model *model, uint64_t seed, float *out)
{
    struct workspace *workspace;
    size_t count = (size_t)model->preprocess.size * (size_t)model->preprocess.size * 3;
    ck_assert_int_eq(workspace_create(&workspace, model->network, 1, NULL), ERR_OK);
    float *input = workspace_input(workspace);
    random_floats(&seed, input, count);
    for (size_t i = 0; i < count; i++)
        input[i] *= 1.7F; /* a variance of about 1, like a picture's */
    memcpy(out, network_forward(model->network, workspace, 1),
           (size_t)model->classes * sizeof *out);
    workspace_destroy(workspace);
}

static void check_sizes(const char *name, int input_size)
{
    enum { CLASSES = 200 };
    struct template t;
    struct model *model;
    struct kernel_ladder ladder;
    float a[CLASSES], b[CLASSES];
    double square = 0, difference = 0;
    folder_make(folder);
    ck_assert_int_eq(template_from_name(name, &t, NULL), ERR_OK);
    t.classes = CLASSES;
    t.input_size = input_size;
    ck_assert_int_eq(model_init_folder(&t, 4, folder, NULL), ERR_OK);
    ck_assert(kernel_ladder_select(NULL, &ladder));
    ck_assert_int_eq(model_load(&model, folder, ladder, NULL), ERR_OK);
    ck_assert_str_eq(model->template_name, name);
    logits_of(model, 1, a);
    logits_of(model, 2, b);
    for (int i = 0; i < CLASSES; i++) {
        square += (double)a[i] * a[i] / CLASSES;
        difference += ((double)a[i] - b[i]) * ((double)a[i] - b[i]) / CLASSES;
    }
    ck_assert_msg(square > 0.01 && square < 100, "%s: logits of size %g", name, sqrt(square));
    ck_assert_msg(difference > 1e-4, "%s: pictures differ by %g only", name, sqrt(difference));
    model_destroy(model);
    folder_remove(folder);
}

START_TEST(activations_keep_a_realistic_size)
{
    check_sizes("resnet18", 64);
    check_sizes("resnext50_32x4d", 64);
    check_sizes("resnext29_8x4d", 32);
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

TEST_MAIN("model/init", 60, the_same_seed_gives_the_same_bytes, activations_keep_a_realistic_size,
          sizes_that_could_not_be_loaded_are_refused, nothing_is_overwritten_or_left_behind)
