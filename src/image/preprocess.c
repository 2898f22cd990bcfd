/* Rows flow: the decoder fills a batch, each row of it that the crop needs goes through the
 * horizontal pass into a ring, and an output row is made as soon as its last input row is in the
 * ring. So a picture never exists whole in memory, except where EXIF orientation is applied. */
#include "image/preprocess.h"

#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/clock.h"
#include "image/jpeg.h"
#include "image/resize.h"

enum { BATCH_ROWS = 8, KEPT_BYTES = 8 << 20 };

struct preprocessor {
    struct jpeg_decoder *decoder;
    struct resize_axis across, down;
    struct buffer batch;  /* BATCH_ROWS decoded rows of 4-byte pixels */
    struct buffer ring;   /* down.max_taps rows of `size` RGB pixels */
    struct buffer canvas; /* the upright picture, 4-byte pixels */
};

/* A picture under way. */
struct job {
    struct preprocessor *p;
    const struct preprocess_spec *spec;
    uint8_t *rgb;
    int width, height; /* of the picture that is resized */
    int row;           /* the next input row */
    int output;        /* the next output row */
    struct preprocess_report *report;
    int64_t mark_ns; /* when the clock was last read */
};

int preprocessor_create(struct preprocessor **out, struct error *err)
{
    struct preprocessor *p = calloc(1, sizeof *p);
    *out = p;
    if (!p)
        return error_set(err, ERR_NO_MEMORY, "no memory for a preprocessor");
    int code = jpeg_decoder_create(&p->decoder, err);
    if (code) {
        preprocessor_destroy(p);
        *out = NULL;
    }
    return code;
}

void preprocessor_destroy(struct preprocessor *p)
{
    if (!p)
        return;
    jpeg_decoder_destroy(p->decoder);
    resize_axis_free(&p->across);
    resize_axis_free(&p->down);
    buffer_free(&p->batch);
    buffer_free(&p->ring);
    buffer_free(&p->canvas);
    free(p);
}

static void give_back(struct preprocessor *p)
{
    jpeg_decoder_close(p->decoder);
    resize_axis_trim(&p->across, KEPT_BYTES);
    resize_axis_trim(&p->down, KEPT_BYTES);
    buffer_trim(&p->batch, KEPT_BYTES);
    buffer_trim(&p->ring, KEPT_BYTES);
    buffer_trim(&p->canvas, KEPT_BYTES);
}

/* Adds the time since the last call to `account`. */
static void book(struct job *job, int64_t *account)
{
    int64_t now = clock_monotonic_ns();
    *account += now - job->mark_ns;
    job->mark_ns = now;
}

/* (total - part) / 2, a half rounded to the even neighbour. */
static int crop_offset(int total, int part)
{
    int whole = (total - part) / 2;
    bool half = (total - part) % 2;
    return whole + (half && whole % 2);
}

static int proportional(int edge, int length, int shortest)
{
    return (int)((int64_t)edge * length / shortest);
}

/* Plans both directions for an upright picture of full_width x full_height, of which the decoder
 * gives job->width x job->height pixels. */
static int plan(struct job *job, int full_width, int full_height, struct error *err)
{
    const struct preprocess_spec *spec = job->spec;
    struct preprocessor *p = job->p;
    int out_width = spec->resize, out_height = spec->resize;
    if (spec->crop_mode == CROP_CENTER && full_width <= full_height)
        out_height = proportional(spec->resize, full_height, full_width);
    else if (spec->crop_mode == CROP_CENTER)
        out_width = proportional(spec->resize, full_width, full_height);
    const struct resize_shape across = {job->width, out_width, crop_offset(out_width, spec->size),
                                        spec->size, spec->interpolation};
    const struct resize_shape down = {job->height, out_height, crop_offset(out_height, spec->size),
                                      spec->size, spec->interpolation};
    int code = resize_axis_plan(&p->across, &across, err);
    if (!code)
        code = resize_axis_plan(&p->down, &down, err);
    if (!code)
        code = buffer_reserve(&p->ring, (size_t)p->down.max_taps, (size_t)spec->size * 3, err);
    return code;
}

/* Makes the output rows whose inputs are complete. */
static void emit_rows(struct job *job)
{
    const struct preprocessor *p = job->p;
    const struct resize_span *spans = resize_axis_spans(&p->down);
    size_t bytes = (size_t)job->spec->size * 3;
    while (job->output < job->spec->size &&
           spans[job->output].first + spans[job->output].taps <= job->row) {
        resize_vertical(&p->down, job->output, p->ring.data, p->down.max_taps, bytes,
                        job->rgb + (size_t)job->output * bytes);
        job->output++;
    }
}

/* Takes the next `rows` rows of the picture. */
static void take_rows(struct job *job, const uint8_t *rgbx, int rows)
{
    const struct preprocessor *p = job->p;
    const struct resize_span *spans = resize_axis_spans(&p->down);
    const size_t stride = (size_t)job->width * 4, bytes = (size_t)job->spec->size * 3;
    for (int i = 0; i < rows; i++, rgbx += stride) {
        int row = job->row++;
        if (job->output == job->spec->size || row < spans[job->output].first)
            continue;
        uint8_t *ring_row = (uint8_t *)p->ring.data + (size_t)(row % p->down.max_taps) * bytes;
        resize_horizontal(&p->across, rgbx, ring_row);
        emit_rows(job);
    }
}

/* Decodes straight into the passes. */
static int run_streaming(struct job *job, struct error *err)
{
    struct preprocessor *p = job->p;
    for (;;) {
        int rows = jpeg_decoder_read(p->decoder, p->batch.data, BATCH_ROWS, err);
        book(job, &job->report->decode_ns);
        if (rows <= 0)
            return rows;
        take_rows(job, p->batch.data, rows);
        book(job, &job->report->preprocess_ns);
    }
}

/* Decodes all, turned upright on the way, then resizes. */
static int run_turned(struct job *job, int width, int height, enum orientation orientation,
                      struct error *err)
{
    struct preprocessor *p = job->p;
    int code = buffer_reserve(&p->canvas, (size_t)width * (size_t)height, 4, err);
    if (code)
        return code;
    for (int row = 0;;) {
        int rows = jpeg_decoder_read(p->decoder, p->batch.data, BATCH_ROWS, err);
        book(job, &job->report->decode_ns);
        if (rows < 0)
            return rows;
        if (rows == 0)
            break;
        orientation_place(orientation, width, height, p->batch.data, row, rows, p->canvas.data);
        book(job, &job->report->preprocess_ns);
        row += rows;
    }
    take_rows(job, p->canvas.data, job->height);
    book(job, &job->report->preprocess_ns);
    return 0;
}

/* The smallest DCT scaling that leaves the short edge twice as long as needed; 3, 5, 6 and 7
 * eighths have no fast inverse transform. */
static int fast_eighths(const struct preprocess_spec *spec, const struct jpeg_header *header)
{
    int edge = header->width < header->height ? header->width : header->height;
    int eighths = JPEG_EIGHTHS_FULL;
    while (eighths > 1 && (int64_t)edge * eighths / 2 >= (int64_t)16 * spec->resize)
        eighths /= 2;
    return eighths;
}

static int decode(struct job *job, const struct preprocess_options *options,
                  const struct jpeg_header *header, struct error *err)
{
    struct preprocessor *p = job->p;
    int eighths =
        options->decode == DECODE_FAST ? fast_eighths(job->spec, header) : JPEG_EIGHTHS_FULL;
    enum orientation orientation =
        options->orientation == EXIF_APPLY ? header->orientation : ORIENTATION_NORMAL;
    bool swaps = orientation_swaps(orientation);
    int width, height;
    int code = jpeg_decoder_start(p->decoder, eighths, &width, &height, err);
    book(job, &job->report->decode_ns);
    if (code)
        return code;
    job->width = swaps ? height : width;
    job->height = swaps ? width : height;
    code = plan(job, swaps ? header->height : header->width, swaps ? header->width : header->height,
                err);
    if (!code)
        code = buffer_reserve(&p->batch, (size_t)width * 4, BATCH_ROWS, err);
    book(job, &job->report->preprocess_ns);
    if (code)
        return code;
    code = orientation == ORIENTATION_NORMAL ? run_streaming(job, err)
                                             : run_turned(job, width, height, orientation, err);
    if (!code)
        code = jpeg_decoder_finish(p->decoder, err);
    book(job, &job->report->decode_ns);
    return code;
}

int preprocessor_run(struct preprocessor *p, const struct preprocess_spec *spec,
                     const struct preprocess_options *options, const uint8_t *jpeg, size_t length,
                     uint8_t *rgb, struct preprocess_report *report, struct error *err)
{
    CHECK(1 <= spec->size && spec->size <= spec->resize && spec->resize <= 4096);
    struct job job = {.p = p, .spec = spec, .rgb = rgb, .report = report};
    const struct jpeg_limits limits = {options->max_pixels, options->deadline_ns};
    struct jpeg_header header;
    *report = (struct preprocess_report){0};
    job.mark_ns = clock_monotonic_ns();
    int code = jpeg_decoder_open(p->decoder, jpeg, length, &limits, &header, err);
    report->width = header.width;
    report->height = header.height;
    book(&job, &report->decode_ns);
    if (!code)
        code = decode(&job, options, &header, err);
    give_back(p);
    return code;
}

/* Each step is rounded to float, as element-wise operations on float32 tensors are. */
static float normalized(int value, float mean, float std)
{
    float scaled = (float)value / 255.0f;
    float centered = scaled - mean;
    return centered / std;
}

void preprocess_normalize(const struct preprocess_spec *spec, const uint8_t *rgb, size_t pixels,
                          float *out)
{
    float table[3][256];
    for (int c = 0; c < 3; c++) {
        for (int value = 0; value < 256; value++)
            table[c][value] = normalized(value, spec->mean[c], spec->std[c]);
    }
    for (size_t i = 0; i < 3 * pixels; i += 3) {
        out[i] = table[0][rgb[i]];
        out[i + 1] = table[1][rgb[i + 1]];
        out[i + 2] = table[2][rgb[i + 2]];
    }
}
