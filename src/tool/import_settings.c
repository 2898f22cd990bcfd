#include "tool/import_settings.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/names.h"
#include "model/config.h"
#include "model/network_name.h"
#include "tool/tool.h"

const char *const like_names[] = {LIKE_NAMES(NAME_TEXT) NULL};

/* The pictures of each program: timm's defaults for ResNets, and the presets of torchvision's
 * IMAGENET1K_V1 and _V2 weights. All have ImageNet's mean and std. */
static const struct preset {
    int size, resize;
    enum interpolation interpolation;
} presets[] = {
    [LIKE_TIMM] = {224, 256, INTERPOLATION_BICUBIC},
    [LIKE_TORCHVISION_V1] = {224, 256, INTERPOLATION_BILINEAR},
    [LIKE_TORCHVISION_V2] = {224, 232, INTERPOLATION_BILINEAR},
};
static const double imagenet_mean[3] = {0.485, 0.456, 0.406};
static const double imagenet_std[3] = {0.229, 0.224, 0.225};
enum { CIFAR_SIZE = 32 };

/* One call of import_settings. */
struct settings {
    const struct import_options *options;
    const struct import *import;
    const struct template *template;
    enum like like;
    struct config_text *out;
};

static char architecture[64];

static bool is_number(const char *text, double *out)
{
    char *end;
    *out = strtod(text, &end);
    return end != text && *end == '\0' && isfinite(*out);
}

/* "R,G,B" */
static bool is_triple(const char *text, double out[3])
{
    int used = 0;
    return sscanf(text, "%lf,%lf,%lf%n", &out[0], &out[1], &out[2], &used) == 3 && !text[used] &&
           isfinite(out[0]) && isfinite(out[1]) && isfinite(out[2]);
}

static int check_triple(const char *name, const char *text, double low, double high,
                        struct error *err)
{
    double t[3];
    bool right = !text || is_triple(text, t);
    for (int i = 0; text && right && i < 3; i++)
        right = t[i] >= low && t[i] <= high;
    return right ? ERR_OK
                 : error_set(err, ERR_PARAMETER,
                             "--%s %s: three numbers from %g to %g are needed, as in 0.5,0.5,0.5",
                             name, text, low, high);
}

int import_options_check(const struct import_options *options, struct error *err)
{
    double crop;
    if (options->crop_pct && !(is_number(options->crop_pct, &crop) && crop >= 0.1 && crop <= 1))
        return error_set(err, ERR_PARAMETER, "--crop-pct %s: a number from 0.1 to 1 is needed",
                         options->crop_pct);
    if (options->crop_pct && options->resize)
        return error_set(err, ERR_PARAMETER, "--crop-pct and --resize say the same; give one");
    if (options->size && options->resize && options->resize < options->size)
        return error_set(err, ERR_PARAMETER, "--resize is smaller than --size, which is cut of it");
    int code = check_triple("mean", options->mean, 0, 1, err);
    return code == ERR_OK ? check_triple("std", options->std, 1e-3, 1e3, err) : code;
}

static bool is_real(const struct pickle_value *value, double *out)
{
    if (!value || (value->kind != PICKLE_FLOAT && value->kind != PICKLE_INT))
        return false;
    *out = value->kind == PICKLE_FLOAT ? value->real : (double)value->integer;
    return isfinite(*out);
}

static bool stored_triple(const struct settings *s, const char *key, double out[3])
{
    const struct pickle_value *value = import_option(s->import, key);
    for (size_t i = 0; i < 3; i++)
        if (!is_real(pickle_item(value, i), &out[i]))
            return false;
    return !pickle_item(value, 3);
}

/* An integer that is an edge, under one of two keys. */
static bool stored_edge(const struct settings *s, const char *timm, const char *torchvision,
                        int *out)
{
    size_t size;
    if (!pickle_size(import_option(s->import, timm), &size) &&
        !pickle_size(import_option(s->import, torchvision), &size))
        return false;
    if (size < MODEL_EDGE_MIN || size > MODEL_EDGE_MAX)
        return false;
    *out = (int)size;
    return true;
}

/* A text of printable characters that fits. */
static bool take_text(const struct pickle_value *value, char *out, size_t size)
{
    if (!value || value->kind != PICKLE_TEXT || value->length == 0 || value->length >= size)
        return false;
    for (size_t i = 0; i < value->length; i++)
        if (value->text[i] <= 0x20 || value->text[i] >= 0x7f)
            return false;
    memcpy(out, value->text, value->length);
    out[value->length] = '\0';
    return true;
}

/* Without its options, timm stores the name of a class, such as resnet, which says nothing. */
static bool stored_architecture(const struct settings *s)
{
    return (take_text(import_fact(s->import, "arch"), architecture, sizeof architecture) ||
            take_text(import_option(s->import, "model"), architecture, sizeof architecture)) &&
           strpbrk(architecture, "0123456789");
}

/* The tensors of a legacy SENet lose the names that show it, so the architecture must. */
static bool shows_legacy(const struct settings *s, const char *text)
{
    struct network_name name;
    return s->template->stem_pool != STEM_POOL_CEIL ||
           (network_name_parse(text, &name) && name.legacy);
}

static int choose_architecture(struct settings *s, struct error *err)
{
    const char *given = s->options->architecture;
    s->out->architecture = given ? given : architecture;
    if (given && !shows_legacy(s, given)) {
        template_name(s->template, architecture);
        return error_set(
            err, ERR_PARAMETER,
            "--architecture %.60s: the tensors have the names of a legacy SENet, which "
            "computes something else; %s is one",
            given, architecture);
    }
    if (given)
        return ERR_OK;
    if (stored_architecture(s) && shows_legacy(s, architecture)) {
        printf("in the checkpoint: architecture %s\n", architecture);
        return ERR_OK;
    }
    template_name(s->template, architecture);
    s->out->variant = s->template;
    printf("assumed: architecture %s, by the tensors; no anti-aliasing, which they do not show "
           "(--architecture)\n",
           architecture);
    return ERR_OK;
}

static bool is_cifar(const struct settings *s)
{
    return s->template->stem == STEM_CIFAR;
}

/* The training scripts of timm and torchvision save their options. Without any, a checkpoint is
 * more likely from a program like PyTorch's example for ImageNet, whose pictures are torchvision's.
 */
static enum like guess_like(const struct settings *s)
{
    bool has_options = import_fact(s->import, "args") != NULL;
    return has_options && !import_option(s->import, "val_crop_size") ? LIKE_TIMM
                                                                     : LIKE_TORCHVISION_V1;
}

static void choose_size(struct settings *s)
{
    if (s->options->size) {
        s->out->size = (int)s->options->size;
    } else if (stored_edge(s, "img_size", "val_crop_size", &s->out->size)) {
        printf("in the checkpoint: input size %d\n", s->out->size);
    } else {
        s->out->size = is_cifar(s) ? CIFAR_SIZE : presets[s->like].size;
        if (is_cifar(s) || !s->options->like)
            printf("assumed: input size %d (--size)\n", s->out->size);
    }
}

/* A CIFAR network sees whole pictures; others keep the preset's proportion at other sizes. */
static void choose_resize(struct settings *s)
{
    double crop;
    const struct preset *preset = &presets[s->like];
    if (s->options->resize) {
        s->out->resize = (int)s->options->resize;
    } else if (s->options->crop_pct) {
        is_number(s->options->crop_pct, &s->out->crop_pct);
    } else if (is_real(import_option(s->import, "crop_pct"), &crop) && crop >= 0.1 && crop <= 1) {
        s->out->crop_pct = crop;
        printf("in the checkpoint: crop_pct %g\n", crop);
    } else if (stored_edge(s, "", "val_resize_size", &s->out->resize)) {
        printf("in the checkpoint: short edge resized to %d\n", s->out->resize);
    } else {
        s->out->resize = is_cifar(s) ? s->out->size : s->out->size * preset->resize / preset->size;
        if (is_cifar(s) || !s->options->like)
            printf("assumed: short edge resized to %d (--resize or --crop-pct)\n", s->out->resize);
    }
}

static void choose_interpolation(struct settings *s)
{
    static const char *const names[] = {"bilinear", "bicubic"};
    const struct pickle_value *stored = import_option(s->import, "interpolation");
    bool bicubic = pickle_is_text(stored, names[INTERPOLATION_BICUBIC]);
    if (s->options->interpolation) {
        s->out->interpolation = (enum interpolation)(s->options->interpolation - 1);
        return;
    }
    if (bicubic || pickle_is_text(stored, names[INTERPOLATION_BILINEAR])) {
        s->out->interpolation = bicubic ? INTERPOLATION_BICUBIC : INTERPOLATION_BILINEAR;
        printf("in the checkpoint: interpolation %s\n", names[s->out->interpolation]);
        return;
    }
    s->out->interpolation = is_cifar(s) ? INTERPOLATION_BILINEAR : presets[s->like].interpolation;
    if (is_cifar(s) || !s->options->like)
        printf("assumed: interpolation %s (--interpolation)\n", names[s->out->interpolation]);
}

static int choose_triple(struct settings *s, const char *key, const char *given,
                         const double usual[3], double out[3], struct error *err)
{
    if (given) {
        is_triple(given, out);
    } else if (stored_triple(s, key, out)) {
        printf("in the checkpoint: %s %g,%g,%g\n", key, out[0], out[1], out[2]);
    } else if (is_cifar(s)) {
        return error_set(
            err, ERR_PARAMETER,
            "the checkpoint does not say the %s of its pictures, and networks for small "
            "pictures have no usual one; give it with --%s R,G,B",
            key, key);
    } else {
        memcpy(out, usual, 3 * sizeof *out);
        if (!s->options->like)
            printf("assumed: %s %g,%g,%g (--%s)\n", key, out[0], out[1], out[2], key);
    }
    return ERR_OK;
}

int import_settings(const struct import_options *options, const struct import *import,
                    const struct template *template, struct config_text *out, struct error *err)
{
    struct settings s = {options, import, template, (enum like)options->like, out};
    *out = (struct config_text){.classes = template->classes};
    if (!s.like)
        s.like = guess_like(&s);
    int code = choose_architecture(&s, err);
    if (code != ERR_OK)
        return code;
    if (!options->like && !is_cifar(&s))
        printf("assumed: pictures like those of %s (--like)\n", like_names[s.like]);
    choose_size(&s);
    choose_resize(&s);
    choose_interpolation(&s);
    code = choose_triple(&s, "mean", options->mean, imagenet_mean, out->mean, err);
    if (code == ERR_OK)
        code = choose_triple(&s, "std", options->std, imagenet_std, out->std, err);
    if (code == ERR_OK && out->resize && out->resize < out->size)
        return error_set(err, ERR_PARAMETER,
                         "the short edge, %d, is smaller than the input, %d; give --size and "
                         "--resize",
                         out->resize, out->size);
    return code;
}
