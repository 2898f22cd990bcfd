/* Enums whose values have names, as options and messages say them. One list makes both the enum and
 * its table of names, so that neither can change without the other:
 *
 *     #define COLOR_NAMES(NAME) NAME(COLOR_RED, "red") NAME(COLOR_BLUE, "blue")
 *     enum color { COLOR_NAMES(NAME_VALUE) };
 *     const char *const color_names[] = {COLOR_NAMES(NAME_TEXT) NULL};
 *
 * man/options.py reads these lists, too. */
#ifndef RESNEXT_BASE_NAMES_H
#define RESNEXT_BASE_NAMES_H

#include <stdbool.h>

#define NAME_VALUE(value, text) value,
#define NAME_TEXT(value, text)  [value] = text,

/* The index of `name` in the NULL-terminated `names`, or -1. Any thread. */
int names_find(const char *const *names, const char *name);

/* Whether `list`, items with commas and blanks between them, has `item`; case does not matter. Any
 * thread. */
bool names_list_has(const char *list, const char *item);

#endif
