/* Rows are processed as they are decoded: the decoder fills a batch, the rows that the crop needs
 * are copied to a window, and the output of a span is computed as soon as its last row is there. So
 * the whole picture is never in memory.
 *
 * The order of the two passes is that of the reference, because each pass rounds. If the pass along
 * the file's rows comes first, each row is resized before it goes to the window, and a span of rows
 * gives a line of the crop. Otherwise the window holds decoded rows: a span of them gives one line
 * of full length, which is then resized. A line is a row of the crop, or a column if the file's
 * rows become columns. The plans of the two axes handle reversed order.
 */
#include "image/preprocess.h"

#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/clock.h"
#include "base/size.h"
#include "image/jpeg.h"
#include "image/resize.h"

/* The window has space for two spans, so that rows are seldom moved. */
enum { BATCH_ROWS = 8, WINDOW_SPANS = 2, KEPT_BYTES = 4 << 20 };

struct preprocessor {
    struct jpeg_decoder *decoder;
    struct resize_axis across, down;
    struct buffer batch;  /* BATCH_ROWS decoded rows of 4-byte pixels */
    struct buffer window; /* of rows; see window_rows */
    struct buffer line;   /* a decoded row, then a line of `size` RGB pixels */
};

/* A picture under way. "Rows" and "columns" are the file's. */
struct job {
    struct preprocessor *p;
    const struct preprocess_spec *spec;
    uint8_t *rgb;
    bool swaps;                          /* the upright picture's columns are the file's rows */
    bool along_first;                    /* the pass along the file's rows comes first */
    const struct resize_axis *by_row;    /* the plan of the direction in which rows follow, */
    const struct resize_axis *by_column; /* and of the other one */
    size_t row_bytes;                    /* of a decoded row */
    size_t window_bytes;                 /* of a row in the window */
    int row;                             /* the next input row */
    int span;                            /* the next span of by_row */
    int top;                             /* the input row at the window's start */
    struct preprocess_report *report;
    int64_t mark_ns; /* when the clock was last read */
};

/* Width or height of the upright picture: by the header, as decoded at eighths / 8 (rounded up),
 * and whether its order is reversed. */
struct edge {
    int full, decoded, eighths;
    bool reversed;
};

/* Frees buffers of more than `limit` bytes. */
static void trim(struct preprocessor *p, size_t limit)
{
    resize_axis_trim(&p->across, limit);
    resize_axis_trim(&p->down, limit);
    buffer_trim(&p->batch, limit);
    buffer_trim(&p->window, limit);
    buffer_trim(&p->line, limit);
}

int preprocessor_create(struct preprocessor **out, struct error *err)
{
    struct preprocessor *p = calloc(1, sizeof *p);
    int code = p ? jpeg_decoder_create(&p->decoder, err)
                 : error_set(err, ERR_NO_MEMORY, "no memory for a preprocessor");
    if (code == ERR_OK)
        *out = p;
    else
        preprocessor_destroy(p);
    return code;
}

void preprocessor_destroy(struct preprocessor *p)
{
    if (!p)
        return;
    jpeg_decoder_destroy(p->decoder);
    trim(p, 0);
    free(p);
}

/* Adds the time since the last call to `account`. */
static void book(struct job *job, int64_t *account)
{
    int64_t now = clock_monotonic_ns();
    *account += now - job->mark_ns;
    job->mark_ns = now;
}

/* Half of what a crop of spec->size leaves out. */
static int crop_begin(const struct preprocess_spec *spec, int total)
{
    int whole = (total - spec->size) / 2;
    bool half = (total - spec->size) % 2;
    return whole + (spec->crop_offset == CROP_OFFSET_EVEN && half && whole % 2);
}

static int proportional(int edge, int length, int shortest)
{
    return (int)((int64_t)edge * length / shortest);
}

struct preprocess_geometry preprocess_geometry(const struct preprocess_spec *spec, int width,
                                               int height)
{
    struct preprocess_geometry g = {.out_width = spec->resize, .out_height = spec->resize};
    if (spec->crop_mode == CROP_CENTER && width <= height)
        g.out_height = proportional(spec->resize, height, width);
    else if (spec->crop_mode == CROP_CENTER)
        g.out_width = proportional(spec->resize, width, height);
    g.left = crop_begin(spec, g.out_width);
    g.top = crop_begin(spec, g.out_height);
    return g;
}

bool preprocess_down_first(enum pillow pillow, const struct preprocess_geometry *geometry,
                           int width, int height)
{
    int less_height = height - geometry->out_height, less_width = width - geometry->out_width;
    if (pillow == PILLOW_9_4 || less_height <= 0)
        return false;
    return pillow == PILLOW_12_2 ? height > (int64_t)100 * width
                                 : less_height > (int64_t)2 * less_width;
}

/* One direction: `edge` has `full` pixels, of which the decoder gives eighths / 8, rounded up. */
static int plan_axis(struct resize_axis *axis, const struct preprocess_spec *spec,
                     const struct edge *edge, int out_size, int offset, struct error *err)
{
    double part = edge->full * (edge->eighths / (double)JPEG_EIGHTHS_FULL);
    const struct resize_shape shape = {
        .in_size = edge->decoded,
        .start = edge->reversed ? edge->decoded - part : 0,
        .end = edge->reversed ? edge->decoded : part,
        .out_size = out_size,
        .offset = offset,
        .count = spec->size,
        .mirrored = edge->reversed,
        .interpolation = spec->interpolation,
    };
    return resize_axis_plan(axis, &shape, err);
}

/* Plans both directions of the upright picture, and their order. */
static int plan(struct job *job, enum pillow pillow, const struct edge *across,
                const struct edge *down, struct error *err)
{
    struct preprocessor *p = job->p;
    const struct preprocess_spec *spec = job->spec;
    struct preprocess_geometry g = preprocess_geometry(spec, across->full, down->full);
    job->along_first = job->swaps == preprocess_down_first(pillow, &g, across->full, down->full);
    int code = plan_axis(&p->across, spec, across, g.out_width, g.left, err);
    if (code == ERR_OK)
        code = plan_axis(&p->down, spec, down, g.out_height, g.top, err);
    return code;
}

static int window_rows(const struct job *job)
{
    int spans = WINDOW_SPANS * job->by_row->max_taps, all = job->by_row->shape.in_size;
    return spans < all ? spans : all;
}

/* Buffers for rows of `width` decoded pixels. */
static int reserve(struct job *job, int width, struct error *err)
{
    struct preprocessor *p = job->p;
    size_t size = (size_t)job->spec->size;
    job->by_row = job->swaps ? &p->across : &p->down;
    job->by_column = job->swaps ? &p->down : &p->across;
    job->row_bytes = (size_t)width * 4;
    job->window_bytes = size_round_up(job->along_first ? size * 3 : job->row_bytes, RESIZE_BLOCK);
    int code = buffer_reserve(
        &p->batch, JPEG_ROWS_OFFSET + job->row_bytes * BATCH_ROWS + RESIZE_SLACK_BYTES, 1, err);
    if (code == ERR_OK)
        code = buffer_reserve(&p->window, (size_t)window_rows(job) + RESIZE_SLACK_ROWS,
                              job->window_bytes, err);
    if (code == ERR_OK)
        code = buffer_reserve(&p->line, job->row_bytes + RESIZE_SLACK_BYTES + size * 3, 1, err);
    return code;
}

static uint8_t *window_row(const struct job *job, int row)
{
    return (uint8_t *)job->p->window.data + (size_t)(row - job->top) * job->window_bytes;
}

/* Resizes a span of decoded rows to a line of full length, and that to a line of the crop. */
static void reduce_twice(const struct job *job, const uint8_t *rows, uint8_t *to)
{
    const struct resize_span *spans = resize_axis_spans(job->by_column);
    const struct resize_span *last = &spans[job->spec->size - 1];
    /* A multiple of a block, so that blocks end where the row's stride ends. */
    size_t first = (size_t)spans[0].first * 4 / RESIZE_BLOCK * RESIZE_BLOCK;
    size_t end = (size_t)(last->first + last->taps) * 4;
    uint8_t *line = job->p->line.data;
    resize_vertical(job->by_row, job->span, rows + first, job->window_bytes, end - first,
                    line + first);
    resize_horizontal(job->by_column, line, to);
}

/* Makes the line of the crop that belongs to the span in the window. */
static void make_line(const struct job *job, const uint8_t *rows)
{
    const size_t size = (size_t)job->spec->size, bytes = size * 3;
    const size_t output = (size_t)resize_axis_output(job->by_row, job->span);
    uint8_t *column = (uint8_t *)job->p->line.data + job->row_bytes + RESIZE_SLACK_BYTES;
    uint8_t *to = job->swaps ? column : job->rgb + output * bytes;
    if (job->along_first)
        resize_vertical(job->by_row, job->span, rows, job->window_bytes, bytes, to);
    else
        reduce_twice(job, rows, to);
    for (size_t i = 0; job->swaps && i < size; i++)
        memcpy(job->rgb + i * bytes + output * 3, column + i * 3, 3);
}

/* If there is no space for `row`, moves `first`, the first row still needed, to the start of the
 * window. */
static void make_space(struct job *job, int row, int first)
{
    if (row - job->top < window_rows(job))
        return;
    if (first < row)
        memmove(window_row(job, job->top), window_row(job, first),
                (size_t)(window_row(job, row) - window_row(job, first)));
    job->top = first;
}

static void take_row(struct job *job, const uint8_t *rgbx)
{
    const struct resize_span *spans = resize_axis_spans(job->by_row);
    int row = job->row++;
    if (job->span == job->spec->size || row < spans[job->span].first)
        return;
    make_space(job, row, spans[job->span].first);
    if (job->along_first)
        resize_horizontal(job->by_column, rgbx, window_row(job, row));
    else
        memcpy(window_row(job, row), rgbx, job->row_bytes);
    for (; job->span < job->spec->size; job->span++) {
        struct resize_span span = spans[job->span];
        if (span.first + span.taps > job->row)
            break;
        make_line(job, window_row(job, span.first));
    }
}

static int run(struct job *job, struct error *err)
{
    struct preprocessor *p = job->p;
    uint8_t *batch = (uint8_t *)p->batch.data + JPEG_ROWS_OFFSET;
    for (;;) {
        int rows = jpeg_decoder_read(p->decoder, batch, BATCH_ROWS, err);
        book(job, &job->report->decode_ns);
        if (rows <= 0)
            return rows;
        for (int i = 0; i < rows; i++)
            take_row(job, batch + (size_t)i * job->row_bytes);
        book(job, &job->report->preprocess_ns);
    }
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
    if (code != ERR_OK)
        return code;
    const struct edge columns = {header->width, width, eighths, false};
    const struct edge rows = {header->height, height, eighths, false};
    job->swaps = orientation_swaps(orientation);
    struct edge across = job->swaps ? rows : columns, down = job->swaps ? columns : rows;
    across.reversed = orientation_reverses_columns(orientation);
    down.reversed = orientation_reverses_rows(orientation);
    code = plan(job, options->pillow, &across, &down, err);
    if (code == ERR_OK)
        code = reserve(job, width, err);
    book(job, &job->report->preprocess_ns);
    if (code == ERR_OK)
        code = run(job, err);
    return code;
}

int preprocessor_run(struct preprocessor *p, const struct preprocess_spec *spec,
                     const struct preprocess_options *options, const uint8_t *jpeg, size_t length,
                     uint8_t *rgb, struct preprocess_report *report, struct error *err)
{
    CHECK(1 <= spec->size && spec->size <= spec->resize && spec->resize <= 4096);
    struct job job = {.p = p, .spec = spec, .rgb = rgb, .report = report};
    struct jpeg_header header;
    *report = (struct preprocess_report){0};
    job.mark_ns = clock_monotonic_ns();
    int code = jpeg_decoder_open(p->decoder, jpeg, length, &options->limits, &header, err);
    report->width = header.width;
    report->height = header.height;
    book(&job, &report->decode_ns);
    if (code == ERR_OK)
        code = decode(&job, options, &header, err);
    jpeg_decoder_close(p->decoder);
    trim(p, KEPT_BYTES);
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
