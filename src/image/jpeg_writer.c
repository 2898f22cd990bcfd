#include "image/jpeg_writer.h"

#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jpeglib.h>

#include <jerror.h>

#include "base/check.h"

struct jpeg_writer {
    struct jpeg_compress_struct info;
    struct jpeg_error_mgr callbacks;
    jmp_buf escape; /* set in guarded() */
    const struct jpeg_format *format;
    const uint8_t *rows;
    int row_count;
    FILE *stream; /* of `file` */
    char *file;   /* [length] */
    size_t length;
};

/* Runs `body`, the only place from which libjpeg is called: its errors jump back to here. Rows are
 * well formed and the stream is in memory, so that memory is the only thing it can lack. */
static int guarded(struct jpeg_writer *w, void (*body)(struct jpeg_writer *), struct error *err)
{
    if (setjmp(w->escape))
        return error_set(err, ERR_NO_MEMORY, "no memory to encode a JPEG");
    body(w);
    return ERR_OK;
}

static void on_error(j_common_ptr info)
{
    struct jpeg_writer *w = info->client_data;
    CHECK(info->err->msg_code == JERR_OUT_OF_MEMORY || info->err->msg_code == JERR_FILE_WRITE);
    longjmp(w->escape, 1);
}

/* libjpeg would print to standard error. */
static void on_output(j_common_ptr info)
{
    (void)info;
}

/* APP1 with nothing but an orientation: a TIFF header and one entry, little-endian. */
static void write_orientation(struct jpeg_writer *w)
{
    uint8_t exif[] = {'E',  'x', 'i', 'f', 0, 0, 'I', 'I', '*', 0, 8, 0, 0, 0, 1, 0,
                      0x12, 1,   3,   0,   1, 0, 0,   0,   0,   0, 0, 0, 0, 0, 0, 0};
    enum { VALUE_AT = 24 };
    exif[VALUE_AT] = (uint8_t)w->format->orientation;
    jpeg_write_marker(&w->info, JPEG_APP0 + 1, exif, sizeof exif);
}

static void begin(struct jpeg_writer *w)
{
    jpeg_create_compress(&w->info);
    jpeg_stdio_dest(&w->info, w->stream);
    w->info.image_width = (JDIMENSION)w->format->width;
    w->info.image_height = (JDIMENSION)w->format->height;
    w->info.input_components = 4;
    w->info.in_color_space = JCS_EXT_RGBX;
    jpeg_set_defaults(&w->info);
    jpeg_set_quality(&w->info, w->format->quality, TRUE);
    jpeg_start_compress(&w->info, TRUE);
    if (w->format->orientation != ORIENTATION_NORMAL)
        write_orientation(w);
}

int jpeg_writer_create(struct jpeg_writer **out, const struct jpeg_format *format,
                       struct error *err)
{
    struct jpeg_writer *w = calloc(1, sizeof *w);
    if (!w || !(w->stream = open_memstream(&w->file, &w->length))) {
        free(w);
        return error_set(err, ERR_NO_MEMORY, "no memory for a JPEG writer");
    }
    w->info.err = jpeg_std_error(&w->callbacks);
    w->callbacks.error_exit = on_error;
    w->callbacks.output_message = on_output;
    w->info.client_data = w;
    w->format = format;
    int code = guarded(w, begin, err);
    w->format = NULL;
    if (code == ERR_OK)
        *out = w;
    else
        jpeg_writer_destroy(w);
    return code;
}

void jpeg_writer_destroy(struct jpeg_writer *w)
{
    if (!w)
        return;
    jpeg_destroy_compress(&w->info);
    if (w->stream)
        fclose(w->stream);
    free(w->file);
    free(w);
}

static void put(struct jpeg_writer *w)
{
    for (int i = 0; i < w->row_count; i++) {
        /* libjpeg takes rows that are not const, and only reads them. */
        JSAMPROW row = (JSAMPROW)(uintptr_t)(w->rows + (size_t)i * w->info.image_width * 4);
        jpeg_write_scanlines(&w->info, &row, 1);
    }
}

int jpeg_writer_put(struct jpeg_writer *w, const uint8_t *rgbx, int rows, struct error *err)
{
    w->rows = rgbx;
    w->row_count = rows;
    return guarded(w, put, err);
}

static void finish(struct jpeg_writer *w)
{
    jpeg_finish_compress(&w->info);
}

int jpeg_writer_finish(struct jpeg_writer *w, uint8_t **bytes, size_t *length, struct error *err)
{
    int code = guarded(w, finish, err);
    if (code != ERR_OK)
        return code;
    fclose(w->stream); /* moves the file to where it stays */
    w->stream = NULL;
    *bytes = (uint8_t *)w->file;
    *length = w->length;
    w->file = NULL;
    return *bytes ? ERR_OK : error_set(err, ERR_NO_MEMORY, "no memory to encode a JPEG");
}
