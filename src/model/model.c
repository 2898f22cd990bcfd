#include "model/model.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/memory.h"
#include "model/checkpoint.h"
#include "model/config.h"
#include "model/file.h"

/* The state of a model while it is loaded. */
struct loader {
    const char *path;
    const struct model_options *options;
    struct model *model;
    struct model_config config;
    struct safetensors *file;
    struct layer *layers;
    size_t layer_count;
    struct calibration own;                /* the folder's */
    const struct calibration *calibration; /* for int8: that, or the options' */
    struct pixel_scales pixels;
    struct quantization *values; /* for int8, as network_options has them */
    const uint8_t **roundings;   /* the same */
};

#define WHAT_IT_IS                                                                                 \
    "a model is a folder with model.safetensors and config.json; `resnext import FILE OUT` makes " \
    "one of a .pth"

static int check_folder(const char *path, struct error *err)
{
    struct stat st;
    if (stat(path, &st) != 0)
        return error_set(err, ERR_IO, "cannot open %s: %s; name the folder of a model", path,
                         strerror(errno));
    if (!S_ISDIR(st.st_mode))
        return error_set(err, ERR_IO, "%s is not a folder; " WHAT_IT_IS, path);
    return ERR_OK;
}

/* Whether PyTorch may have written a file of this name. */
static bool is_checkpoint_name(const char *name)
{
    static const char *const endings[] = {".pth", ".pt", ".bin", ".ckpt", ".pth.tar"};
    for (size_t i = 0; i < sizeof endings / sizeof endings[0]; i++) {
        size_t length = strlen(name), end = strlen(endings[i]);
        if (length > end && strcmp(name + length - end, endings[i]) == 0)
            return true;
    }
    return false;
}

#define WEIGHTS_INDEX "model.safetensors.index.json"

/* How surely a file of this name holds the weights: programs that train leave others beside them.
 */
static int weights_rank(const char *name)
{
    if (strcmp(name, WEIGHTS_INDEX) == 0)
        return 3;
    return strcmp(name, "pytorch_model.bin") == 0 ? 2 : is_checkpoint_name(name);
}

/* If a folder without model.safetensors has weights in another form, `err` says what to do. */
static void explain_weights(const char *folder, struct error *err)
{
    char name[NAME_MAX + 1] = "";
    DIR *dir = opendir(folder);
    for (const struct dirent *entry; dir && (entry = readdir(dir));)
        if (weights_rank(entry->d_name) > weights_rank(name))
            snprintf(name, sizeof name, "%s", entry->d_name);
    if (dir)
        closedir(dir);
    if (strcmp(name, WEIGHTS_INDEX) == 0)
        error_set(err, ERR_IO,
                  "%.90s has its weights in several files, which " WEIGHTS_INDEX " lists; only a "
                  "single model.safetensors is served: save_pretrained(FOLDER, "
                  "max_shard_size=\"100GB\") of transformers writes one",
                  folder);
    else if (*name)
        error_set(err, ERR_IO,
                  "%.90s has no model.safetensors; `resnext import FILE OUT` makes a model folder "
                  "of its %.40s; a config.json and a preprocessor_config.json of transformers are "
                  "then to be copied to OUT",
                  folder, name);
}

/* Sets `path` to that of a file which every model must have. */
static int find_file(const char *folder, const char *name, char path[FILE_PATH_MAX],
                     struct error *err)
{
    int code = file_path(path, folder, name, err);
    if (code == ERR_OK && access(path, F_OK) != 0 && errno == ENOENT)
        return error_set(err, ERR_IO, "cannot open %s: %s; " WHAT_IT_IS, path, strerror(ENOENT));
    return code;
}

static int open_files(struct loader *l, struct error *err)
{
    char weights[FILE_PATH_MAX], config[FILE_PATH_MAX];
    int code = check_folder(l->path, err);
    if (code == ERR_OK) {
        code = find_file(l->path, "model.safetensors", weights, err);
        if (code != ERR_OK)
            explain_weights(l->path, err);
    }
    if (code == ERR_OK)
        code = find_file(l->path, "config.json", config, err);
    if (code == ERR_OK)
        code = safetensors_open(&l->file, weights, err);
    if (code != ERR_OK)
        return code;
    const struct tensor_info *head = tensor_table_find(safetensors_tensors(l->file), "fc.weight");
    return model_config_read(&l->config, l->path, head && head->rank > 0 ? head->shape[0] : 0, err);
}

static int read_template(struct loader *l, struct error *err)
{
    struct template *t = &l->model->template;
    const struct tensor_table *tensors = safetensors_tensors(l->file);
    t->input_size = l->config.preprocess.size;
    int code = checkpoint_template(tensors, t, err);
    if (code != ERR_OK)
        return error_prefix(err, code, "%s/model.safetensors", l->path);
    code = architecture_apply(&l->config.architecture, t, err);
    if (code != ERR_OK)
        return error_prefix(err, code, "%s/config.json", l->path);
    l->model->variant_is_assumed = tensors->naming == NAMING_TORCHVISION &&
                                   !architecture_says_antialias(&l->config.architecture);
    code = template_layers(t, &l->layers, &l->layer_count, err);
    if (code == ERR_OK)
        code = checkpoint_check(tensors, l->layers, l->layer_count, err);
    if (code != ERR_OK)
        return error_prefix(err, code, "%s/model.safetensors", l->path);
    if (l->config.classes != 0 && l->config.classes != t->classes)
        return error_set(err, ERR_MODEL_INVALID,
                         "%s/config.json: num_classes is %d, but tensor fc.weight has %d rows",
                         l->path, l->config.classes, t->classes);
    return ERR_OK;
}

static int find_labels(struct loader *l, size_t outputs, struct error *err)
{
    struct label_list *labels = &l->config.labels;
    l->model->label_source = LABELS_OF_CONFIG;
    if (labels_are_defaults(labels) && labels_has_file(l->path))
        label_list_destroy(labels);
    if (labels->count == 0)
        return labels_find(labels, l->path, l->config.unread_labels, outputs,
                           &l->model->label_source, err);
    return l->config.labels_may_end_early ? label_list_number(labels, outputs, err) : ERR_OK;
}

static int take_labels(struct loader *l, struct error *err)
{
    struct label_list *labels = &l->config.labels;
    size_t outputs = (size_t)l->model->template.classes;
    int code = find_labels(l, outputs, err);
    if (code != ERR_OK)
        return code;
    if (labels->count != outputs && !(outputs == 1 && labels->count == 2))
        return error_set(err, ERR_MODEL_INVALID, "%s/%s has %zu labels for %zu classes", l->path,
                         label_source_name(l->model->label_source), labels->count, outputs);
    l->model->labels = labels->names;
    l->model->classes = (int)labels->count;
    *labels = (struct label_list){0};
    return ERR_OK;
}

static int take_activation(struct loader *l, struct error *err)
{
    bool single = l->model->template.classes == 1;
    enum activation usual = single ? ACTIVATION_SIGMOID : ACTIVATION_SOFTMAX;
    l->model->activation = l->config.activation_is_known ? l->config.activation : usual;
    if (!single || l->model->activation == ACTIVATION_SIGMOID)
        return ERR_OK;
    return error_set(err, ERR_MODEL_UNSUPPORTED,
                     "%s/config.json asks for softmax, which of one output is always 1; "
                     "\"activation\": \"sigmoid\" is served",
                     l->path);
}

/* Reads the architecture, the labels and the preprocessing, but not the weights. */
static int describe_model(struct loader *l, struct error *err)
{
    struct model *model = l->model;
    int code = open_files(l, err);
    if (code == ERR_OK)
        code = read_template(l, err);
    if (code == ERR_OK)
        code = take_labels(l, err);
    if (code == ERR_OK)
        code = take_activation(l, err);
    if (code != ERR_OK)
        return code;
    model->path = strdup(l->path);
    model->preprocess = l->config.preprocess;
    template_name(&model->template, model->template_name);
    for (size_t i = 0; i < l->layer_count; i++) {
        model->parameters += layer_parameters(&l->layers[i]);
        model->multiply_adds += layer_multiply_adds(&l->layers[i]);
    }
    l->layers[l->layer_count - 1].shape.out_c = model->classes;
    return model->path ? ERR_OK : error_set(err, ERR_NO_MEMORY, "no memory for a model");
}

/* The space to read a layer: its folded weights and bias, batch norm's four numbers, and for the
 * attention to it the weights of the file and those with the layer's multiplied in. */
struct space {
    size_t weights, channels, own, composed; /* floats */
    float *floats;
};

static void raise(size_t *most, size_t count)
{
    *most = count > *most ? count : *most;
}

static struct space space_for(const struct loader *l)
{
    struct space space = {.weights = 1, .channels = 1};
    for (size_t i = 0; i < l->layer_count; i++) {
        const struct layer *layer = &l->layers[i];
        bool composed = layer->kind == LAYER_EXCITE && layer->excitation.conv != 0;
        raise(&space.channels, (size_t)layer->shape.out_c);
        if (layer_has_weights(layer))
            raise(composed ? &space.composed : &space.weights, conv_weight_count(&layer->shape));
        if (composed)
            raise(&space.own, layer->excitation.kernel ? (size_t)layer->excitation.kernel
                                                       : (size_t)layer->excitation.channels *
                                                             (size_t)layer->shape.out_c);
    }
    return space;
}

static size_t space_floats(const struct space *space)
{
    return space->weights + space->own + space->composed + 6 * space->channels;
}

/* Checks the memory for packing a layer: its floats and, for int8, its bytes. */
static int check_space(const struct loader *l, const struct space *space, struct error *err)
{
    size_t bytes = space_floats(space) * sizeof(float);
    return memory_check(l->model->precision == PRECISION_INT8 ? bytes + space->weights : bytes,
                        err);
}

/* Adds the row of the negative class before the only row of a classifier. */
static void mirror_classifier(const struct layer *layer, float *weights, float *bias)
{
    size_t each = (size_t)layer->shape.in_c;
    for (size_t i = 0; i < each; i++) {
        weights[each + i] = weights[i];
        weights[i] = -weights[i];
    }
    bias[1] = bias[0];
    bias[0] = -bias[0];
}

/* Reads and folds the weights of a layer as the network has it. */
static int read_layer(const struct loader *l, const struct layer *layer, float *weights,
                      float *bias, float *norm, struct error *err)
{
    bool mirrored = layer->kind == LAYER_LINEAR && layer->shape.out_c != l->model->template.classes;
    struct layer stored = *layer;
    if (mirrored)
        stored.shape.out_c = l->model->template.classes;
    int code = checkpoint_read(l->file, &stored, weights, bias, norm, err);
    if (code == ERR_OK && mirrored)
        mirror_classifier(layer, weights, bias);
    return code;
}

/* The attention that reads layer i's output, which is a few layers before; 0 if there is none. */
static size_t attention_to(const struct loader *l, size_t i)
{
    for (size_t e = i; l->layers[i].gate && e > 0; e--)
        if (l->layers[e].kind == LAYER_EXCITE && (size_t)l->layers[e].excitation.conv == i)
            return e;
    return 0;
}

static int set_weights(const struct loader *l, size_t i, const float *weights, const float *bias,
                       struct error *err)
{
    int code = network_set_weights(l->model->network, i, weights, bias, err);
    return code == ERR_OK && l->model->exact
               ? network_set_weights(l->model->exact, i, weights, bias, err)
               : code;
}

/* Reads layer i and the attention to it. */
static int read_with_attention(const struct loader *l, size_t i, const struct space *space,
                               struct error *err)
{
    float *weights = space->floats, *bias = weights + space->weights,
          *norm = bias + space->channels, *beside = norm + 4 * space->channels,
          *own = beside + space->channels, *composed = own + space->own;
    size_t e = attention_to(l, i);
    int code = read_layer(l, &l->layers[i], weights, bias, norm, err);
    if (code == ERR_OK)
        code = set_weights(l, i, weights, bias, err);
    if (code == ERR_OK && e)
        code = checkpoint_read_excite(l->file, &l->layers[e], &l->layers[i], weights, bias, own,
                                      composed, beside, err);
    return code == ERR_OK && e ? set_weights(l, e, composed, beside, err) : code;
}

static int read_weights(struct loader *l, struct error *err)
{
    struct space space = space_for(l);
    int code = check_space(l, &space, err);
    if (code != ERR_OK)
        return code;
    space.floats = calloc(space_floats(&space), sizeof *space.floats);
    if (!space.floats)
        return error_set(err, ERR_NO_MEMORY, "no memory to read weights");
    for (size_t i = 0; code == ERR_OK && i < l->layer_count; i++)
        if (layer_has_weights(&l->layers[i]) && l->layers[i].excitation.conv == 0)
            code = read_with_attention(l, i, &space, err);
    free(space.floats);
    return code;
}

static int read_calibration(struct loader *l, struct error *err)
{
    char path[FILE_PATH_MAX], *bytes;
    size_t length;
    int code = file_path(path, l->path, "calibration.json", err);
    if (code == ERR_OK && access(path, F_OK) != 0)
        return error_set(
            err, ERR_IO,
            "int8 needs %s; make it with `resnext calibrate MODEL DIR`, or use another "
            "precision",
            path);
    if (code == ERR_OK)
        code = file_read_all(path, calibration_file_max(l->layers, l->layer_count), &bytes, &length,
                             err);
    if (code != ERR_OK)
        return code;
    code = calibration_parse(&l->own, l->layers, l->layer_count, bytes, length, err);
    free(bytes);
    return error_prefix(err, code, "%s, which `resnext calibrate MODEL DIR` makes anew", path);
}

/* With scales of other weights or pixels, answers would be wrong but look right. */
static int check_calibration(const struct loader *l, struct error *err)
{
    const struct calibration *c = l->calibration;
    const struct preprocess_spec *p = &l->config.preprocess;
    if (strcmp(c->sha256, l->model->sha256) != 0)
        return error_set(
            err, ERR_MODEL_INVALID,
            "%s/calibration.json is of other weights: their sha256 begins with %.12s, that "
            "of model.safetensors with %.12s; `resnext calibrate MODEL DIR` makes it anew",
            l->path, c->sha256, l->model->sha256);
    for (int i = 0; i < 3; i++)
        if (c->mean[i] != p->mean[i] || c->std[i] != p->std[i])
            return error_set(err, ERR_MODEL_INVALID,
                             "%s/calibration.json is of pixels with another mean or std than "
                             "config.json has; `resnext calibrate MODEL DIR` makes it anew",
                             l->path);
    return ERR_OK;
}

static int take_calibration(struct loader *l, struct error *err)
{
    const struct calibration *given = l->options->calibration;
    int code = given ? ERR_OK : read_calibration(l, err);
    if (code != ERR_OK)
        return code;
    l->calibration = given ? given : &l->own;
    l->model->cascade = l->calibration->cascade;
    l->values = calloc(l->layer_count + 1, sizeof *l->values);
    l->roundings = calloc(l->layer_count, sizeof *l->roundings);
    if (!l->values || !l->roundings)
        return error_set(err, ERR_NO_MEMORY, "no memory for the scales of activations");
    calibration_values(l->calibration, l->layers, &l->pixels, l->values);
    for (size_t i = 0; i < l->layer_count; i++)
        l->roundings[i] = l->calibration->layers[i].rounding;
    return ERR_OK;
}

static int create_exact(struct loader *l, struct error *err)
{
    const struct network_options options = {.precision = PRECISION_F32, .isas = l->options->isas};
    return network_create(&l->model->exact, l->layers, l->layer_count, &options, err);
}

static int create_networks(struct loader *l, struct error *err)
{
    struct network_options options = {
        .precision = l->model->precision,
        .isas = l->options->isas,
        .values = l->values,
        .roundings = l->roundings,
    };
    int code = network_create(&l->model->network, l->layers, l->layer_count, &options, err);
    if (code == ERR_OK && l->model->cascade.margin > 0)
        code = create_exact(l, err);
    return code == ERR_OK ? read_weights(l, err) : code;
}

static int load(struct loader *l, bool with_weights, struct error *err)
{
    int code = describe_model(l, err);
    l->model->precision = l->options->precision;
    bool is_int8 = l->model->precision == PRECISION_INT8;
    if (code == ERR_OK && is_int8)
        code = take_calibration(l, err);
    if (code == ERR_OK && with_weights)
        code = create_networks(l, err);
    if (code == ERR_OK && (with_weights || is_int8))
        code = safetensors_sha256(l->file, l->model->sha256, err);
    return code == ERR_OK && is_int8 ? check_calibration(l, err) : code;
}

static void close_loader(struct loader *l)
{
    free(l->values);
    free(l->roundings);
    calibration_destroy(&l->own);
    free(l->layers);
    safetensors_close(l->file);
    model_config_destroy(&l->config);
}

int model_load(struct model **out, const char *path, const struct model_options *options,
               struct error *err)
{
    struct loader l = {.path = path, .options = options, .model = calloc(1, sizeof *l.model)};
    int code = l.model ? load(&l, out != NULL, err)
                       : error_set(err, ERR_NO_MEMORY, "no memory for a model");
    close_loader(&l);
    if (code == ERR_OK && out)
        *out = l.model;
    else
        model_destroy(l.model);
    return code;
}

int model_check(const char *path, const struct model_options *options, struct error *err)
{
    return model_load(NULL, path, options, err);
}

void model_destroy(struct model *model)
{
    if (!model)
        return;
    for (int i = 0; i < model->classes; i++)
        free(model->labels[i]);
    free(model->labels);
    network_destroy(model->network);
    network_destroy(model->exact);
    free(model->path);
    free(model);
}

int model_check_memory(const struct model *model, int threads, struct error *err)
{
    int code = network_check_memory(model->network, threads, err);
    return code == ERR_OK && model->exact ? network_check_memory(model->exact, threads, err) : code;
}

size_t model_weight_bytes(const struct model *model)
{
    return network_weight_bytes(model->network) +
           (model->exact ? network_weight_bytes(model->exact) : 0);
}

struct model_weights {
    const struct model *model;
    struct model_options options;
    struct loader loader;
    struct space space;
};

/* Whether the folder still has what was loaded. */
static int check_same(struct model_weights *w, struct error *err)
{
    const struct loader *l = &w->loader;
    const struct network *network = w->model->network;
    bool same = l->layer_count == network_layer_count(network);
    for (size_t i = 0; same && i < l->layer_count; i++)
        same = memcmp(&l->layers[i].shape, &network_layer(network, i)->shape,
                      sizeof l->layers[i].shape) == 0;
    int code = safetensors_sha256(l->file, l->model->sha256, err);
    if (code != ERR_OK || (same && strcmp(l->model->sha256, w->model->sha256) == 0))
        return code;
    return error_set(err, ERR_MODEL_INVALID, "%s changed after it was loaded; try again",
                     w->model->path);
}

static int open_weights(struct model_weights *w, struct error *err)
{
    struct loader *l = &w->loader;
    l->model = calloc(1, sizeof *l->model);
    int code =
        l->model ? describe_model(l, err) : error_set(err, ERR_NO_MEMORY, "no memory for a model");
    if (code == ERR_OK)
        code = check_same(w, err);
    if (code != ERR_OK)
        return code;
    w->space = space_for(l);
    code = check_space(l, &w->space, err);
    if (code != ERR_OK)
        return code;
    w->space.floats = calloc(space_floats(&w->space), sizeof *w->space.floats);
    return w->space.floats ? ERR_OK : error_set(err, ERR_NO_MEMORY, "no memory to read weights");
}

int model_weights_open(struct model_weights **out, const struct model *model, struct error *err)
{
    struct model_weights *w = calloc(1, sizeof *w);
    if (!w)
        return error_set(err, ERR_NO_MEMORY, "no memory to read weights");
    w->model = model;
    w->loader = (struct loader){.path = model->path, .options = &w->options};
    int code = open_weights(w, err);
    if (code == ERR_OK)
        *out = w;
    else
        model_weights_close(w);
    return code;
}

int model_weights_read(struct model_weights *w, size_t i, const float **out, struct error *err)
{
    float *weights = w->space.floats, *bias = weights + w->space.weights,
          *norm = bias + w->space.channels;
    *out = weights;
    return read_layer(&w->loader, &w->loader.layers[i], weights, bias, norm, err);
}

void model_weights_close(struct model_weights *w)
{
    if (!w)
        return;
    close_loader(&w->loader);
    model_destroy(w->loader.model);
    free(w->space.floats);
    free(w);
}
