#include "model/network_name.h"

#include <stdio.h>
#include <string.h>

static const char *const families[] = {
    [FAMILY_RESNET] = "resnet", [FAMILY_RESNEXT] = "resnext",  [FAMILY_WIDE] = "wide_resnet",
    [FAMILY_SENET] = "net",     [FAMILY_TEST] = "test_resnet",
};
static const char *const attentions[] = {
    [ATTENTION_NONE] = "", [ATTENTION_SE] = "se", [ATTENTION_ESE] = "ese", [ATTENTION_ECA] = "eca"};
static const char *const filters[] = {
    [ANTIALIAS_NONE] = "", [ANTIALIAS_AVG] = "aa", [ANTIALIAS_BLUR] = "blur"};

enum { ATTENTIONS = 4, FAMILIES = 5, FILTERS = 3, MOST_DIGITS = 5 };

/* Moves `*at` behind `word` if it stands there. */
static bool take(const char **at, const char *word)
{
    size_t length = strlen(word);
    bool is_there = strncmp(*at, word, length) == 0;
    *at += is_there ? length : 0;
    return is_there;
}

/* A number of few digits; false, and `*at` stays, if there is none. */
static bool take_number(const char **at, int *out)
{
    size_t digits = strspn(*at, "0123456789");
    if (digits == 0 || digits > MOST_DIGITS)
        return false;
    *out = 0;
    for (; digits > 0; digits--)
        *out = 10 * *out + (*(*at)++ - '0');
    return true;
}

/* Takes the last of `words` that stands there; the first is empty. */
static int take_word(const char **at, const char *const *words, int count)
{
    for (int i = count - 1; i > 0; i--)
        if (take(at, words[i]))
            return i;
    return 0;
}

/* senet154 is an SE network, but no "seresnet"; test_resnet has nothing more. */
static bool take_family(const char **at, struct network_name *name)
{
    name->attention = (enum attention)take_word(at, attentions, ATTENTIONS);
    for (int i = 0; i < FAMILIES; i++)
        if (take(at, families[i])) {
            name->family = (enum network_family)i;
            return i != FAMILY_SENET || name->attention == ATTENTION_SE;
        }
    return false;
}

static void take_form(const char **at, struct network_name *name)
{
    name->antialias = (enum antialias)take_word(at, filters, FILTERS);
    name->rs = take(at, "rs");
    name->light = take(at, "light");
    take_number(at, &name->depth);
    if (name->rs)
        name->attention = ATTENTION_SE;
    if (!name->rs && !name->light && **at && strchr("cdst", **at))
        name->letter = *(*at)++;
    if (name->letter == 't')
        take(at, "n");
}

static bool take_width(const char **at, struct network_name *name)
{
    const char *from = *at;
    bool next = name->family == FAMILY_RESNEXT;
    if ((!next && name->family != FAMILY_WIDE) || !take(at, "_"))
        return true;
    if (next && take_number(at, &name->cardinality) && take(at, "x") &&
        take_number(at, &name->path_width) && take(at, "d"))
        return true;
    if (!next && take_number(at, &name->widening))
        return true;
    *at = from;
    return false;
}

/* GluonCV's own letters; its v1b is the plain network. */
static void take_gluon(const char **at, struct network_name *name)
{
    const char *after = *at;
    if (name->letter || !take(&after, "_v1") || !*after || !strchr("bcds", *after))
        return;
    name->letter = *after == 'b' ? 0 : *after;
    *at = after + 1;
}

bool network_name_parse(const char *text, struct network_name *out)
{
    static const char *const authors[] = {"", "tv_", "ssl_", "swsl_", "ig_", "gluon_"};
    enum { GLUON = 5, AUTHORS };
    int author = take_word(&text, authors, AUTHORS);
    *out = (struct network_name){.legacy = take(&text, "legacy_")};
    if (!take_family(&text, out) || (out->legacy && out->attention != ATTENTION_SE))
        return false;
    if (out->family != FAMILY_TEST)
        take_form(&text, out);
    if (author == GLUON)
        take_gluon(&text, out);
    if (!take_width(&text, out))
        return false;
    out->pruned = take(&text, "_pruned");
    return *text == 0 || *text == '.';
}

void network_name_text(const struct network_name *name, char text[TEMPLATE_NAME_MAX])
{
    char depth[16] = "", width[32] = "";
    if (name->depth)
        snprintf(depth, sizeof depth, "%d", name->depth);
    if (name->cardinality)
        snprintf(width, sizeof width, "_%dx%dd", name->cardinality, name->path_width);
    else if (name->widening)
        snprintf(width, sizeof width, "_%d", name->widening);
    snprintf(text, TEMPLATE_NAME_MAX, "%s%s%s%s%s%s%s%.1s%s%s", name->legacy ? "legacy_" : "",
             name->rs ? "" : attentions[name->attention], families[name->family],
             filters[name->antialias], name->rs ? "rs" : "", name->light ? "light" : "", depth,
             &name->letter, width, name->pruned ? "_pruned" : "");
}

bool network_name_is_deep(const struct network_name *name)
{
    return name->letter || name->rs || name->family == FAMILY_SENET || name->family == FAMILY_TEST;
}

enum stem_pool network_name_pool(const struct network_name *name)
{
    if (name->legacy)
        return STEM_POOL_CEIL;
    return name->rs ? STEM_POOL_CONV : STEM_POOL_MAX;
}

enum down_kind network_name_down(const struct network_name *name)
{
    bool avg = name->letter == 'd' || name->letter == 't' || name->rs || name->light ||
               name->family == FAMILY_TEST;
    return avg ? DOWN_AVG : DOWN_CONV;
}
