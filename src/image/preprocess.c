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

/* The window holds two spans, so that rows are seldom moved. */
enum { BATCH_ROWS = 8, WINDOW_SPANS = 2, KEPT_BYTES = 8 << 20 };

struct preprocessor {
    struct jpeg_decoder *decoder;
    struct resize_axis across, down;
    struct buffer batch;  /* BATCH_ROWS decoded rows of 4-byte pixels */
    struct buffer window; /* WINDOW_SPANS * down.max_taps rows of `size` RGB pixels */
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
    int top;           /* the input row at the window's start */
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
    buffer_free(&p->window);
    buffer_free(&p->canvas);
    free(p);
}

static void give_back(struct preprocessor *p)
{
    jpeg_decoder_close(p->decoder);
    resize_axis_trim(&p->across, KEPT_BYTES);
    resize_axis_trim(&p->down, KEPT_BYTES);
    buffer_trim(&p->batch, KEPT_BYTES);
    buffer_trim(&p->window, KEPT_BYTES);
    buffer_trim(&p->canvas, KEPT_BYTES);
}

/* Width or height of the upright picture: by the header, as decoded at eighths / 8 (rounded up),
 * and whether it runs against the file's. */
struct edge {
    int full, decoded, eighths;
    bool reversed;
};

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

/* One direction: `edge` has `full` pixels, of which the decoder gives eighths / 8, rounded up. */
static int plan_axis(struct resize_axis *axis, const struct preprocess_spec *spec,
                     const struct edge *edge, int out_size, struct error *err)
{
    double part = edge->full * (edge->eighths / (double)JPEG_EIGHTHS_FULL);
    const struct resize_shape shape = {
        .in_size = edge->decoded,
        .start = edge->reversed ? edge->decoded - part : 0,
        .end = edge->reversed ? edge->decoded : part,
        .out_size = out_size,
        .offset = crop_offset(out_size, spec->size),
        .count = spec->size,
        .interpolation = spec->interpolation,
    };
    return resize_axis_plan(axis, &shape, err);
}

static int window_rows(const struct preprocessor *p)
{
    return WINDOW_SPANS * p->down.max_taps;
}

/* Plans both directions of the upright picture. */
static int plan(struct preprocessor *p, const struct preprocess_spec *spec,
                const struct edge *across, const struct edge *down, struct error *err)
{
    int out_width = spec->resize, out_height = spec->resize;
    if (spec->crop_mode == CROP_CENTER && across->full <= down->full)
        out_height = proportional(spec->resize, down->full, across->full);
    else if (spec->crop_mode == CROP_CENTER)
        out_width = proportional(spec->resize, across->full, down->full);
    int code = plan_axis(&p->across, spec, across, out_width, err);
    if (!code)
        code = plan_axis(&p->down, spec, down, out_height, err);
    if (!code)
        code = buffer_reserve(&p->window, (size_t)window_rows(p) + RESIZE_SLACK_ROWS,
                              resize_stride((size_t)spec->size * 3), err);
    return code;
}

static uint8_t *window_row(const struct job *job, int row)
{
    size_t stride = resize_stride((size_t)job->spec->size * 3);
    return (uint8_t *)job->p->window.data + (size_t)(row - job->top) * stride;
}

/* Makes the output rows whose inputs are complete. */
static void emit_rows(struct job *job)
{
    const struct resize_axis *down = &job->p->down;
    const struct resize_span *spans = resize_axis_spans(down);
    size_t bytes = (size_t)job->spec->size * 3, stride = resize_stride(bytes);
    while (job->output < job->spec->size &&
           spans[job->output].first + spans[job->output].taps <= job->row) {
        resize_vertical(down, job->output, window_row(job, spans[job->output].first), stride, bytes,
                        job->rgb + (size_t)job->output * bytes);
        job->output++;
    }
}

/* Lets `first`, the first row still needed, start the window, if there is no room for `row`. */
static void make_room(struct job *job, int row, int first)
{
    if (row - job->top < window_rows(job->p))
        return;
    if (first < row)
        memmove(window_row(job, job->top), window_row(job, first),
                (size_t)(window_row(job, row) - window_row(job, first)));
    job->top = first;
}

/* Takes the next `rows` rows of the picture. */
static void take_rows(struct job *job, const uint8_t *rgbx, int rows)
{
    const struct preprocessor *p = job->p;
    const struct resize_span *spans = resize_axis_spans(&p->down);
    for (int i = 0; i < rows; i++, rgbx += (size_t)job->width * 4) {
        int row = job->row++;
        if (job->output == job->spec->size || row < spans[job->output].first)
            continue;
        make_room(job, row, spans[job->output].first);
        resize_horizontal(&p->across, rgbx, window_row(job, row));
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
    int code = buffer_reserve(&p->canvas, (size_t)width * (size_t)height + RESIZE_GROUP, 4, err);
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

/* The smallest DCT scaling that leaves the short edge twice as long as needed, so that the filter
 * still has something to average: pixels are then 0.2 to 0.5 of 255 off on average. 3, 5, 6 and 7
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
    bool fast = options->decode == DECODE_FAST, upright = options->orientation == EXIF_APPLY;
    enum orientation orientation = upright ? header->orientation : ORIENTATION_NORMAL;
    int eighths = fast ? fast_eighths(job->spec, header) : JPEG_EIGHTHS_FULL, width, height;
    int code = jpeg_decoder_start(p->decoder, eighths, &width, &height, err);
    book(job, &job->report->decode_ns);
    if (code)
        return code;
    struct edge across = {header->width, width, eighths, false};
    struct edge down = {header->height, height, eighths, false};
    if (orientation_swaps(orientation)) {
        struct edge other = across;
        across = down;
        down = other;
    }
    across.reversed = orientation_reverses_columns(orientation);
    down.reversed = orientation_reverses_rows(orientation);
    job->width = across.decoded;
    job->height = down.decoded;
    code = plan(p, job->spec, &across, &down, err);
    if (!code)
        code = buffer_reserve(&p->batch, (size_t)width * BATCH_ROWS + RESIZE_GROUP, 4, err);
    book(job, &job->report->preprocess_ns);
    if (!code && orientation == ORIENTATION_NORMAL)
        code = run_streaming(job, err);
    else if (!code)
        code = run_turned(job, width, height, orientation, err);
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
