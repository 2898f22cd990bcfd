/* What libjpeg says of a file when nobody stops it. */
#ifndef RESNEXT_TESTS_IMAGE_WITNESS_H
#define RESNEXT_TESTS_IMAGE_WITNESS_H

#include "tests/image/samples.h"

/* Decodes every row as Pillow does, which goes on after every warning and does not tell of it.
 * Prints a line: "fails: MESSAGE" if libjpeg gives up, else "decodes"; then "; TEXT" for each kind
 * of warning, which is libjpeg's with its numbers left open. */
void witness_print(struct bytes file);

#endif
