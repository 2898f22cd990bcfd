/* JPEG encoding into memory, a few rows at a time, on libjpeg-turbo. */
#ifndef RESNEXT_IMAGE_JPEG_WRITER_H
#define RESNEXT_IMAGE_JPEG_WRITER_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "image/orientation.h"

/* Life of a picture: create, put until all rows are there, finish; destroy at any point. One thread
 * at a time. */
struct jpeg_writer;

struct jpeg_format {
    int width, height;            /* 1 to 65500 */
    int quality;                  /* 1 to 100 */
    enum orientation orientation; /* how viewers turn it: the EXIF tag, left out if normal */
};

/* ERR_NO_MEMORY. `*out` belongs to the caller. */
int jpeg_writer_create(struct jpeg_writer **out, const struct jpeg_format *format,
                       struct error *err);
void jpeg_writer_destroy(struct jpeg_writer *writer);

/* Encodes `rows` rows of width pixels of 4 bytes (R, G, B, unused). ERR_NO_MEMORY. */
int jpeg_writer_put(struct jpeg_writer *writer, const uint8_t *rgbx, int rows, struct error *err);

/* After the last row: the file, which belongs to the caller (free). ERR_NO_MEMORY. */
int jpeg_writer_finish(struct jpeg_writer *writer, uint8_t **bytes, size_t *length,
                       struct error *err);

#endif
