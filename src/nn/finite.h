/* Finds NaN and infinity. */
#ifndef RESNEXT_NN_FINITE_H
#define RESNEXT_NN_FINITE_H

#include <stddef.h>

#include "base/error.h"

/* The index of the first number that is NaN or infinite; `count` if there is none. */
size_t first_not_finite(const float *numbers, size_t count);

/* ERR_NOT_FINITE if one of `count` numbers is NaN or infinite; the message calls them `what`. */
int finite_check(const float *numbers, size_t count, const char *what, struct error *err);

#endif
