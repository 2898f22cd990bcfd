/* The free grammar of templates: KEY=VALUE, colons between, numbers in plain decimal. */
#include <stddef.h>
#include <string.h>

#include "base/number.h"
#include "model/template.h"

#define A_NUMBER    "a number from 1 to 131072"
#define FIELD(name) offsetof(struct design, name)

enum { WORDS = 4 };

/* What a key sets: an int of struct design, or the enumerator whose word it is. */
static const struct key {
    const char *name, *wants;
    size_t field;
    const char *words[WORDS]; /* by enumerator */
} keys[] = {
    {"blocks", "1 to 8 numbers from 1 to 256, with commas between", FIELD(blocks), {NULL}},
    {"C", A_NUMBER, FIELD(cardinality), {NULL}},
    {"d", A_NUMBER, FIELD(path_width), {NULL}},
    {"block", "bottleneck or basic", FIELD(block), {"bottleneck", "basic"}},
    {"stem",
     "imagenet, cifar, deep or tiered",
     FIELD(stem),
     {"imagenet", "cifar", "deep", "tiered"}},
    {"stem_width", A_NUMBER, FIELD(stem_channels), {NULL}},
    {"pool", "max or conv", FIELD(stem_pool), {"max", "conv"}},
    {"down", "conv or avg", FIELD(down), {"conv", "avg"}},
    {"aa", "none, avg or blur", FIELD(antialias), {"none", "avg", "blur"}},
    {"attn", "none, se, ese or eca", FIELD(attention), {"none", "se", "ese", "eca"}},
    {"reduction", A_NUMBER, FIELD(reduction), {NULL}},
    {"stride", "3x3 or 1x1", FIELD(stride), {"3x3", "1x1"}},
    {"out", A_NUMBER, FIELD(out), {NULL}},
    {"classes", A_NUMBER, FIELD(classes), {NULL}},
    {"size", A_NUMBER, FIELD(input_size), {NULL}},
};
enum { KEY_COUNT = sizeof keys / sizeof keys[0], KEYS_NEEDED = 3 };

/* A part of the text. */
struct span {
    const char *at;
    size_t length;
};

/* Up to the first of `ends` or the end of the text; `*rest` goes behind that character, or becomes
 * NULL. */
static struct span take_until(const char **rest, const char *ends)
{
    struct span s = {*rest, strcspn(*rest, ends)};
    *rest = s.at[s.length] ? s.at + s.length + 1 : NULL;
    return s;
}

static bool is_word(struct span s, const char *word)
{
    return s.length == strlen(word) && memcmp(s.at, word, s.length) == 0;
}

/* 1..max; no sign, no space, no zero in front. */
static bool read_number(struct span s, int max, int *out)
{
    int64_t number = number_parse(s.at, s.length);
    if (number < 1 || number > max || s.at[0] == '0')
        return false;
    *out = (int)number;
    return true;
}

static bool read_blocks(struct span s, struct design *d)
{
    const char *end = s.at + s.length;
    for (d->stage_count = 0; d->stage_count < TEMPLATE_MAX_STAGES; d->stage_count++) {
        const char *comma = memchr(s.at, ',', s.length);
        s.length = (size_t)((comma ? comma : end) - s.at);
        if (!read_number(s, TEMPLATE_MAX_BLOCKS, &d->blocks[d->stage_count]))
            return false;
        if (!comma) {
            d->stage_count++;
            return true;
        }
        s = (struct span){comma + 1, (size_t)(end - comma - 1)};
    }
    return false;
}

static bool read_value(const struct key *key, struct span value, struct design *d)
{
    int *field = (int *)(void *)((char *)d + key->field);
    if (field == d->blocks)
        return read_blocks(value, d);
    if (!key->words[0])
        return read_number(value, TEMPLATE_MAX_CHANNELS, field);
    for (int i = 0; i < WORDS && key->words[i]; i++)
        if (is_word(value, key->words[i])) {
            *field = i;
            return true;
        }
    return false;
}

static int read_pair(const char **rest, struct design *d, bool seen[KEY_COUNT], struct error *err)
{
    struct span pair = take_until(rest, ":");
    const char *equals = memchr(pair.at, '=', pair.length);
    struct span name = {pair.at, equals ? (size_t)(equals - pair.at) : pair.length};
    int shown = pair.length < 60 ? (int)pair.length : 60;
    size_t key = 0;
    while (key < KEY_COUNT && !is_word(name, keys[key].name))
        key++;
    if (key == KEY_COUNT || !equals)
        return error_set(
            err, ERR_MODEL_UNSUPPORTED,
            "'%.*s': KEY=VALUE is needed, KEY being blocks, C, d, block, stem, "
            "stem_width, pool, down, aa, attn, reduction, stride, out, classes or size",
            shown, pair.at);
    if (seen[key])
        return error_set(err, ERR_MODEL_UNSUPPORTED, "'%.*s': %s is there twice", shown, pair.at,
                         keys[key].name);
    seen[key] = true;
    struct span value = {equals + 1, pair.length - name.length - 1};
    if (!read_value(&keys[key], value, d))
        return error_set(err, ERR_MODEL_UNSUPPORTED, "'%.*s': %s is needed", shown, pair.at,
                         keys[key].wants);
    return ERR_OK;
}

static void set_default(int *number, int value)
{
    if (*number == 0)
        *number = value;
}

static void set_defaults(struct design *d)
{
    bool cifar = d->stem == STEM_FORM_CIFAR;
    set_default(&d->stem_channels, 64);
    set_default(&d->reduction, 16);
    set_default(&d->out, d->block == BLOCK_BOTTLENECK ? 256 : 64);
    set_default(&d->classes, cifar ? 10 : 1000);
    set_default(&d->input_size, cifar ? 32 : 224);
}

int template_parse(const char *text, struct template *out, struct error *err)
{
    struct design d = {0};
    bool seen[KEY_COUNT] = {false};
    for (const char *rest = text; rest;) {
        int code = read_pair(&rest, &d, seen, err);
        if (code != ERR_OK)
            return code;
    }
    for (size_t key = 0; key < KEYS_NEEDED; key++)
        if (!seen[key])
            return error_set(err, ERR_MODEL_UNSUPPORTED, "%s=... is missing: %s is needed",
                             keys[key].name, keys[key].wants);
    if (d.block == BLOCK_BASIC && d.cardinality > 1)
        return error_set(err, ERR_MODEL_UNSUPPORTED,
                         "C=%d: paths of a basic block make one wide dense block (figure 4 of the "
                         "paper); use C=1 and d as wide as all paths together",
                         d.cardinality);
    if (d.stem == STEM_FORM_CIFAR && d.stem_pool != STEM_POOL_MAX)
        return error_set(err, ERR_MODEL_UNSUPPORTED, "pool=...: no pool follows stem=cifar");
    set_defaults(&d);
    if (d.stem >= STEM_FORM_DEEP && d.stem_channels < 8)
        return error_set(err, ERR_MODEL_UNSUPPORTED,
                         "stem_width=%d: 8 is the least for three convolutions", d.stem_channels);
    return template_by_rules(&d, out, err);
}
