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
 * One thread at a time. Nothing of a picture, tables included, is used for the next. */
struct jpeg_decoder;

struct jpeg_limits {
    uint64_t max_pixels;
    bool (*go_on)(void *arg); /* called often; false: ERR_DEADLINE. NULL: no limit */
    void *arg;
};

struct jpeg_header {
    int width, height;
    enum orientation orientation; /* of the first EXIF segment */
};

/* The progressive scripts of libjpeg read 14 samples per pixel with three components, 24 with four.
 */
enum { JPEG_SCANS_MAX = 100, JPEG_SCAN_SAMPLES = 32 };

/* Full size, for jpeg_decoder_start. */
enum { JPEG_EIGHTHS_FULL = 8 };

int jpeg_decoder_create(struct jpeg_decoder **out, struct error *err);
void jpeg_decoder_destroy(struct jpeg_decoder *decoder);

/* The maximum memory of decoding in bytes, without the file. Any thread. */
uint64_t jpeg_decoder_memory(uint64_t max_pixels);

/* Reads up to the first scan. `bytes` must live until close. `header` is filled if the file has
 * one, even if the picture is then refused; otherwise its size is 0. A picture may have max_pixels
 * pixels, take jpeg_decoder_memory of that, and have JPEG_SCANS_MAX scans, which may read
 * JPEG_SCAN_SAMPLES * max_pixels samples in all. A subsampled component counts as if it were not.
 * ERR_NOT_JPEG, ERR_IMAGE_UNDECODABLE, ERR_IMAGE_TOO_LARGE, ERR_DEADLINE, ERR_NO_MEMORY. */
int jpeg_decoder_open(struct jpeg_decoder *decoder, const uint8_t *bytes, size_t length,
                      const struct jpeg_limits *limits, struct jpeg_header *header,
                      struct error *err);

/* Starts the decoding at `eighths` / 8 of the size (DCT scaling; 8 gives every pixel) and returns
 * the size of the decoded picture. A picture with several scans is read to its end marker here,
 * because only that shows that no scan is missing; each component must have one. Errors as above.
 */
int jpeg_decoder_start(struct jpeg_decoder *decoder, int eighths, int *width, int *height,
                       struct error *err);

/* libjpeg-turbo writes rows that are aligned to 32 bytes past the cache. That costs it a fifth of
 * its time, and the next reader has to fetch them from memory. Rows that begin at this offset from
 * an aligned address are never aligned. */
enum { JPEG_ROWS_OFFSET = 1 };

/* Decodes up to `max_rows` > 0 rows of width pixels of 4 bytes (R, G, B, unused) to `rgbx`. Gray is
 * copied to all three; CMYK and YCCK are taken to be inverted, as Pillow does. Nothing after the
 * last row is read, except the end marker of arithmetic coding, which must be there. Zeros at the
 * end of the file are never taken for coded data. Returns the number of rows, 0 after the last one,
 * or an error as above. */
int jpeg_decoder_read(struct jpeg_decoder *decoder, uint8_t *rgbx, int max_rows, struct error *err);

/* Frees what the picture used. Harmless if none is open. */
void jpeg_decoder_close(struct jpeg_decoder *decoder);

#endif
