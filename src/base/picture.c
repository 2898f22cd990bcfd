#include "base/picture.h"

#include <stddef.h>

const char *const exif_orientation_names[] = {EXIF_ORIENTATION_NAMES(NAME_TEXT) NULL};
const char *const decode_mode_names[] = {DECODE_MODE_NAMES(NAME_TEXT) NULL};
const char *const pillow_names[] = {PILLOW_NAMES(NAME_TEXT) NULL};
