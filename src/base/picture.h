/* How pictures are read: values of options, shared with the code that reads pictures. */
#ifndef RESNEXT_BASE_PICTURE_H
#define RESNEXT_BASE_PICTURE_H

#include "base/names.h"

#define EXIF_ORIENTATION_NAMES(NAME) NAME(EXIF_APPLY, "apply") NAME(EXIF_IGNORE, "ignore")

/* Whether a picture is turned by its EXIF orientation. */
enum exif_orientation { EXIF_ORIENTATION_NAMES(NAME_VALUE) };

#define DECODE_MODE_NAMES(NAME) NAME(DECODE_EXACT, "exact") NAME(DECODE_FAST, "fast")

/* DECODE_FAST scales in the DCT: faster, other pixels. */
enum decode_mode { DECODE_MODE_NAMES(NAME_VALUE) };

#define PILLOW_NAMES(NAME) NAME(PILLOW_13, "13") NAME(PILLOW_12_2, "12.2") NAME(PILLOW_9_4, "9.4")

/* The version of Pillow whose pixels are reproduced: they reduce tall pictures in different orders,
 * see preprocess_down_first. 12.2 includes 12.3, and 9.4 all versions up to 12.1. */
enum pillow { PILLOW_NAMES(NAME_VALUE) PILLOW_COUNT };

extern const char *const exif_orientation_names[], *const decode_mode_names[],
                                                       *const pillow_names[];

#endif
