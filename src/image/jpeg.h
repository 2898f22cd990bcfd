/* JPEG decoding a few rows at a time, on libjpeg-turbo. Strict where libjpeg is lenient: a file
 * that ends early or has damaged entropy data is refused, never half grey. */
#ifndef RESNEXT_IMAGE_JPEG_H
#define RESNEXT_IMAGE_JPEG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "image/orientation.h"

/* Life of a picture: open, start, read until all rows are there; close at any point.
 * One thread at a time. Nothing of one picture (tables included) is left for the next. */
struct jpeg_decoder;

struct jpeg_limits {
    uint64_t max_pixels;
    bool (*go_on)(void *arg); /* asked again and again; false: ERR_DEADLINE. NULL: to the end */
    void *arg;
};

struct jpeg_header {
    int width, height;
    enum orientation orientation; /* of the first EXIF segment */
};

/* The scripts of libjpeg read 14 samples a pixel with three components, 24 with four. */
enum { JPEG_SCANS_MAX = 100, JPEG_SCAN_SAMPLES = 32 };

/* Full size, for jpeg_decoder_start. */
enum { JPEG_EIGHTHS_FULL = 8 };

int jpeg_decoder_create(struct jpeg_decoder **out, struct error *err);
void jpeg_decoder_destroy(struct jpeg_decoder *decoder);

/* The most bytes that decoding takes, those of the file not counted. Any thread. */
uint64_t jpeg_decoder_memory(uint64_t max_pixels);

/* Reads up to the first scan. `bytes` must live until close. `header` is filled if there is one,
 * also of a picture that is refused then; else it has no size. A picture may use max_pixels pixels,
 * and jpeg_decoder_memory of them. It may have 100 scans, which read JPEG_SCAN_SAMPLES samples for
 * each of max_pixels together; a component that is coarser than the picture counts like the others.
 * ERR_NOT_JPEG, ERR_IMAGE_UNDECODABLE, ERR_IMAGE_TOO_LARGE, ERR_DEADLINE, ERR_NO_MEMORY. */
int jpeg_decoder_open(struct jpeg_decoder *decoder, const uint8_t *bytes, size_t length,
                      const struct jpeg_limits *limits, struct jpeg_header *header,
                      struct error *err);

/* Starts the decoding at `eighths` / 8 of the size (DCT scaling; 8 gives every pixel) and tells the
 * size of the rows to come. A picture of several scans is read to its end marker here, as only that
 * tells that no scan is missing; each component must have had one. Errors as above. */
int jpeg_decoder_start(struct jpeg_decoder *decoder, int eighths, int *width, int *height,
                       struct error *err);

/* libjpeg-turbo writes rows that are aligned to 32 bytes past the cache, which costs it a fifth of
 * its time, and whoever reads them next the way to memory. Behind an aligned address by this
 * offset, no row is. */
enum { JPEG_ROWS_OFFSET = 1 };

/* Decodes up to `max_rows` > 0 rows of width pixels of 4 bytes (R, G, B, unused) to `rgbx`. Gray is
 * spread over the three; CMYK and YCCK are taken as inverted, as Pillow does. What stands behind
 * the last row is not read, but for the end marker of arithmetic coding, which must be there; zeros
 * at the end of the file are never coded data. Returns the number of rows, 0 after the last one, or
 * an error as above. */
int jpeg_decoder_read(struct jpeg_decoder *decoder, uint8_t *rgbx, int max_rows, struct error *err);

/* Gives back what the picture used. Harmless without an open one. */
void jpeg_decoder_close(struct jpeg_decoder *decoder);

#endif
