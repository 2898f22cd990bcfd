/* Throw-away model folders, and a small model to spoil. */
#ifndef RESNEXT_TESTS_MODEL_FOLDER_H
#define RESNEXT_TESTS_MODEL_FOLDER_H

#include <check.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "model/checkpoint.h"
#include "model/safetensors.h"
#include "model/template.h"

enum { FOLDER_PATH = 256, FOLDER_TENSORS = 256 };

#define FOLDER_CONFIG                                                                              \
    "{\"architecture\": \"resnext29_2x4d\", \"num_classes\": 5, \"pretrained_cfg\": {"             \
    "\"input_size\": [3, 16, 16], \"interpolation\": \"bilinear\", \"crop_pct\": 1.0, "            \
    "\"crop_mode\": \"center\", \"mean\": [0.5, 0.5, 0.5], \"std\": [0.25, 0.25, 0.25]}}"

static inline void folder_make(char path[FOLDER_PATH])
{
    const char *tmp = getenv("TMPDIR");
    snprintf(path, FOLDER_PATH, "%.200s/resnextd-test-XXXXXX", tmp ? tmp : "/tmp");
    ck_assert_ptr_nonnull(mkdtemp(path));
}

static inline const char *folder_file(const char *folder, const char *name)
{
    static char path[2 * FOLDER_PATH];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

static inline void folder_put(const char *folder, const char *name, const void *bytes,
                              size_t length)
{
    FILE *file = fopen(folder_file(folder, name), "wb");
    ck_assert_ptr_nonnull(file);
    ck_assert_uint_eq(fwrite(bytes, 1, length, file), length);
    ck_assert_int_eq(fclose(file), 0);
}

static inline void folder_put_text(const char *folder, const char *name, const char *text)
{
    folder_put(folder, name, text, strlen(text));
}

/* Removes the folder, with files and empty folders in it. */
static inline void folder_remove(const char *folder)
{
    DIR *directory = opendir(folder);
    for (struct dirent *entry; directory && (entry = readdir(directory));)
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            ck_assert_int_eq(remove(folder_file(folder, entry->d_name)), 0);
    closedir(directory);
    ck_assert_int_eq(rmdir(folder), 0);
}

/* Two stages, three blocks, C = 2, five classes, 16 x 16 pixels. */
static inline struct template folder_template(void)
{
    return (struct template){
        .stem = STEM_CIFAR,
        .stem_channels = 8,
        .stage_count = 2,
        .stages = {template_stage(BLOCK_BOTTLENECK, 2, 8, 16, 2, true),
                   template_stage(BLOCK_BOTTLENECK, 1, 16, 32, 2, true)},
        .classes = 5,
        .input_size = 16,
    };
}

/* The tensors of the small model, to be changed before they are written. */
struct folder_tensors {
    struct tensor_info tensors[FOLDER_TENSORS];
    float values[FOLDER_TENSORS]; /* each tensor holds one value only */
    size_t count;
};

static inline struct folder_tensors *folder_tensors(const struct template *t)
{
    struct layer *layers;
    size_t count;
    struct folder_tensors *all = calloc(1, sizeof *all);
    ck_assert_ptr_nonnull(all);
    ck_assert_int_eq(template_layers(t, &layers, &count, NULL), ERR_OK);
    for (size_t i = 0; i < count; i++)
        all->count += checkpoint_layer_tensors(&layers[i], all->tensors + all->count);
    for (size_t i = 0; i < all->count; i++)
        all->values[i] = strstr(all->tensors[i].name, "running_var") ? 1 : 0.125F;
    free(layers);
    return all;
}

static inline size_t folder_tensor(const struct folder_tensors *all, const char *name)
{
    for (size_t i = 0; i < all->count; i++)
        if (strcmp(all->tensors[i].name, name) == 0)
            return i;
    ck_abort_msg("no tensor %s", name);
    return 0;
}

/* Adds one more tensor of a shape [length]. */
static inline struct tensor_info *folder_add(struct folder_tensors *all, const char *name,
                                             enum tensor_type type, size_t length)
{
    ck_assert_uint_lt(all->count, FOLDER_TENSORS);
    struct tensor_info *t = &all->tensors[all->count++];
    *t = (struct tensor_info){.type = type, .rank = 1, .shape = {length}, .elements = length};
    snprintf(t->name, sizeof t->name, "%s", name);
    return t;
}

static inline void folder_drop(struct folder_tensors *all, const char *name)
{
    size_t i = folder_tensor(all, name);
    all->count--;
    all->tensors[i] = all->tensors[all->count];
    all->values[i] = all->values[all->count];
}

static inline void folder_put_value(struct safetensors_writer *writer, enum tensor_type type,
                                    float value)
{
    int64_t integer = 1;
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    uint16_t upper = (uint16_t)(bits >> 16);
    const void *bytes = type >= TENSOR_READABLE ? (void *)&integer
                        : type == TENSOR_F32    ? (void *)&value
                                                : (void *)&upper;
    ck_assert_int_eq(safetensors_writer_put(writer, bytes, tensor_type_bytes(type), NULL), ERR_OK);
}

/* Writes FOLDER/model.safetensors; 16-bit tensors are written as BF16 has them. */
static inline void folder_put_tensors(const char *folder, const struct folder_tensors *all)
{
    struct safetensors_writer *writer;
    const char *path = folder_file(folder, "model.safetensors");
    unlink(path);
    ck_assert_int_eq(safetensors_writer_create(&writer, path, all->tensors, all->count, NULL),
                     ERR_OK);
    for (size_t i = 0; i < all->count; i++) {
        size_t elements = 1;
        for (int d = 0; d < all->tensors[i].rank; d++)
            elements *= all->tensors[i].shape[d];
        for (size_t e = 0; e < elements; e++)
            folder_put_value(writer, all->tensors[i].type, all->values[i]);
    }
    ck_assert_int_eq(safetensors_writer_finish(writer, NULL), ERR_OK);
}

#endif
