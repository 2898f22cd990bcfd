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

static char architecture[TEMPLATE_NAME_MAX];

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

/* Three numbers, or one for all channels. */
static bool take_triple(const struct pickle_value *value, double out[3])
{
    bool one = !pickle_item(value, 1);
    for (size_t i = 0; i < 3; i++)
        if (!is_real(pickle_item(value, one ? 0 : i), &out[i]))
            return false;
    return !pickle_item(value, 3);
}

static bool is_edge(const struct pickle_value *value, size_t max, int *out)
{
    size_t size;
    if (!pickle_size(value, &size) || size < MODEL_EDGE_MIN || size > max)
        return false;
    *out = (int)size;
    return true;
}

/* An option of the program that trained the network; NULL if it had no value. */
static const struct pickle_value *said(const struct settings *s, const char *key)
{
    const struct pickle_value *value = import_option(s->import, key);
    return !value || value->kind == PICKLE_NONE || pickle_is_text(value, "") ? NULL : value;
}

/* A setting of the checkpoint that cannot be kept. */
static int not_served(const char *key, const char *served, const char *option, struct error *err)
{
    return error_set(err, ERR_PARAMETER,
                     "%s in the checkpoint is not %s; to have it ignored, give %s", key, served,
                     option);
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

/* Without its options, timm stores the name of a class, such as resnet, which says nothing. A name
 * may follow where timm loads it from, as in hf_hub:timm/resnet50.a1_in1k. */
static bool stored_architecture(const struct settings *s)
{
    if (!take_text(import_fact(s->import, "arch"), architecture, sizeof architecture) &&
        !take_text(import_option(s->import, "model"), architecture, sizeof architecture))
        return false;
    const char *slash = strrchr(architecture, '/');
    if (slash)
        memmove(architecture, slash + 1, strlen(slash));
    return strpbrk(architecture, "0123456789");
}

/* The tensors of a legacy SENet lose the names that show it, so the architecture must. */
static bool shows_legacy(const struct settings *s, const char *text)
{
    struct network_name name;
    return s->template->stem_pool != STEM_POOL_CEIL ||
           (network_name_parse(text, &name) && name.legacy);
}

/* Checks the name that the options or the checkpoint say, and prints that of the tensors if it is
 * another one. They do not show anti-aliasing. */
static int compare_architecture(const struct settings *s, const char *said, struct error *err)
{
    struct network_name name;
    char shown[TEMPLATE_NAME_MAX];
    struct template t = *s->template;
    size_t length = strcspn(said, ".");
    bool known = network_name_parse(said, &name);
    t.antialias = known ? name.antialias : t.antialias;
    template_name(&t, shown);
    if (!known)
        return error_set(err, ERR_PARAMETER,
                         "architecture %.60s is not served; the tensors are those of %s: if it is "
                         "the same network, give --architecture %s",
                         said, shown, shown);
    if (!shows_legacy(s, said))
        return error_set(err, ERR_PARAMETER,
                         "--architecture %.60s: the tensors have the names of a legacy SENet, "
                         "which computes something else; %s is one",
                         said, shown);
    if (strncmp(said, shown, length) != 0 || shown[length])
        printf("by its tensors: architecture %s\n", shown);
    return ERR_OK;
}

static int choose_architecture(struct settings *s, struct error *err)
{
    const char *given = s->options->architecture;
    s->out->architecture = given ? given : architecture;
    if (!given && stored_architecture(s) && shows_legacy(s, architecture)) {
        printf("in the checkpoint: architecture %s\n", architecture);
        given = architecture;
    }
    if (given)
        return compare_architecture(s, given, err);
    template_name(s->template, architecture);
    s->out->variant = s->template;
    printf("assumed: architecture %s, by the tensors; no anti-aliasing, which they do not show "
           "(--architecture)\n",
           architecture);
    return ERR_OK;
}

/* Options of timm's training script that change the network, and do not show in its tensors. */
static int check_network(const struct settings *s, struct error *err)
{
    static const char option[] = "--architecture";
    const struct pickle_value *pool = said(s, "gp"), *eps = said(s, "bn_eps");
    const struct pickle_value *more = said(s, "model_kwargs");
    double number;
    if (s->options->architecture)
        return ERR_OK;
    if (pool && !pickle_is_text(pool, "avg"))
        return not_served("gp", "avg", option, err);
    if (eps && !(is_real(eps, &number) && number == 1e-5))
        return not_served("bn_eps", "1e-5", option, err);
    return more && more->first ? not_served("model_kwargs", "empty", option, err) : ERR_OK;
}

static bool is_cifar(const struct settings *s)
{
    return s->template->stem == STEM_CIFAR;
}

/* timm's training script saves its options, which have a crop_pct. Another checkpoint is more
 * likely from a program like PyTorch's example for ImageNet, whose pictures are torchvision's. */
static enum like guess_like(const struct settings *s)
{
    return import_option(s->import, "crop_pct") ? LIKE_TIMM : LIKE_TORCHVISION_V1;
}

/* timm's input_size is [3, N, N] and goes before img_size. */
static bool take_size(const struct pickle_value *size, int *out)
{
    int height = 0;
    if (!pickle_item(size, 0))
        return is_edge(size, MODEL_EDGE_MAX, out);
    return is_edge(pickle_item(size, 1), MODEL_EDGE_MAX, &height) &&
           is_edge(pickle_item(size, 2), MODEL_EDGE_MAX, out) && height == *out;
}

static int choose_size(struct settings *s, struct error *err)
{
    static const char *const keys[] = {"input_size", "img_size", "val_crop_size"};
    const struct pickle_value *size = NULL;
    for (size_t i = 0; !size && i < sizeof keys / sizeof keys[0]; i++)
        size = said(s, keys[i]);
    if (s->options->size) {
        s->out->size = (int)s->options->size;
    } else if (!size) {
        s->out->size = is_cifar(s) ? CIFAR_SIZE : presets[s->like].size;
        if (is_cifar(s) || !s->options->like)
            printf("assumed: input size %d (--size)\n", s->out->size);
    } else if (take_size(size, &s->out->size)) {
        printf("in the checkpoint: input size %d\n", s->out->size);
    } else {
        return not_served("the input size", "that of a square that is served", "--size", err);
    }
    return ERR_OK;
}

/* timm squashes all pictures, or adds a border, if its crop_mode says so. */
static int choose_crop_mode(struct settings *s, struct error *err)
{
    const struct pickle_value *mode = said(s, "crop_mode");
    if (s->options->resize || s->options->crop_pct || !mode || pickle_is_text(mode, "center"))
        return ERR_OK;
    if (!pickle_is_text(mode, "squash"))
        return not_served("crop_mode", "center or squash", "--crop-pct or --resize", err);
    s->out->crop_mode = CROP_SQUASH;
    puts("in the checkpoint: crop_mode squash");
    return ERR_OK;
}

/* A CIFAR network sees whole pictures; others keep the preset's proportion at other sizes. */
static void assume_resize(struct settings *s)
{
    const struct preset *preset = &presets[s->like];
    s->out->resize = is_cifar(s) ? s->out->size : s->out->size * preset->resize / preset->size;
    if (is_cifar(s) || !s->options->like)
        printf("assumed: short edge resized to %d (--resize or --crop-pct)\n", s->out->resize);
}

static int choose_resize(struct settings *s, struct error *err)
{
    const struct pickle_value *crop = said(s, "crop_pct"), *edge = said(s, "val_resize_size");
    if (s->options->resize) {
        s->out->resize = (int)s->options->resize;
    } else if (s->options->crop_pct) {
        is_number(s->options->crop_pct, &s->out->crop_pct);
    } else if (!crop && !edge) {
        assume_resize(s);
    } else if (is_real(crop, &s->out->crop_pct) && s->out->crop_pct >= 0.1 &&
               s->out->crop_pct <= 1) {
        printf("in the checkpoint: crop_pct %g\n", s->out->crop_pct);
    } else if (is_edge(edge, MODEL_RESIZE_MAX, &s->out->resize)) {
        printf("in the checkpoint: short edge resized to %d\n", s->out->resize);
    } else {
        return not_served("crop_pct or val_resize_size", "a usual number", "--crop-pct or --resize",
                          err);
    }
    return ERR_OK;
}

static int choose_interpolation(struct settings *s, struct error *err)
{
    static const char *const names[] = {"bilinear", "bicubic"};
    const struct pickle_value *stored = said(s, "interpolation");
    bool bicubic = pickle_is_text(stored, names[INTERPOLATION_BICUBIC]);
    if (s->options->interpolation) {
        s->out->interpolation = (enum interpolation)(s->options->interpolation - 1);
    } else if (!stored) {
        s->out->interpolation =
            is_cifar(s) ? INTERPOLATION_BILINEAR : presets[s->like].interpolation;
        if (is_cifar(s) || !s->options->like)
            printf("assumed: interpolation %s (--interpolation)\n", names[s->out->interpolation]);
    } else if (bicubic || pickle_is_text(stored, names[INTERPOLATION_BILINEAR])) {
        s->out->interpolation = bicubic ? INTERPOLATION_BICUBIC : INTERPOLATION_BILINEAR;
        printf("in the checkpoint: interpolation %s\n", names[s->out->interpolation]);
    } else {
        return not_served("interpolation", "bilinear or bicubic", "--interpolation", err);
    }
    return ERR_OK;
}

static int choose_triple(struct settings *s, const char *key, const char *given,
                         const double usual[3], double out[3], struct error *err)
{
    const struct pickle_value *stored = said(s, key);
    if (given) {
        is_triple(given, out);
    } else if (stored && take_triple(stored, out)) {
        printf("in the checkpoint: %s %g,%g,%g\n", key, out[0], out[1], out[2]);
    } else if (stored || is_cifar(s)) {
        return error_set(err, ERR_PARAMETER,
                         stored ? "the %s in the checkpoint is not three numbers; give --%s R,G,B"
                                : "the checkpoint does not say the %s of its pictures, and "
                                  "networks for small pictures have no usual one; give it with "
                                  "--%s R,G,B",
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
    if (code == ERR_OK)
        code = check_network(&s, err);
    if (code == ERR_OK && !options->like && !is_cifar(&s))
        printf("assumed: pictures like those of %s (--like)\n", like_names[s.like]);
    if (code == ERR_OK)
        code = choose_size(&s, err);
    if (code == ERR_OK)
        code = choose_crop_mode(&s, err);
    if (code == ERR_OK)
        code = choose_resize(&s, err);
    if (code == ERR_OK)
        code = choose_interpolation(&s, err);
    if (code == ERR_OK)
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
