#include "image/overlay.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>

#include "image/jpeg.h"
#include "image/jpeg_writer.h"

enum { BATCH_ROWS = 8, QUALITY = 90, SHADES = 256 };

/* One pixel's place among the cells of one direction: between `cell` and the next one. */
struct place {
    int cell;      /* OUTSIDE: the network did not see it */
    float towards; /* 0..1, to cell + 1 */
};
enum { OUTSIDE = -1 };

/* The grid as it lies on the file's pixels. */
struct canvas {
    int width, height;    /* of the overlay */
    int rows, cols;       /* of the grid, turned as the file is */
    struct place *across; /* [width] */
    struct place *down;   /* [height] */
    float *lines;         /* [rows][width]: 0..1, the grid's rows stretched to the width */
    uint8_t shades[SHADES][3];
    uint8_t *batch; /* BATCH_ROWS rows of 4-byte pixels */
};

static void canvas_free(struct canvas *c)
{
    free(c->across);
    free(c->down);
    free(c->lines);
    free(c->batch);
}

static int canvas_reserve(struct canvas *c, struct error *err)
{
    size_t width = (size_t)c->width, height = (size_t)c->height; /* each at most 65535 */
    c->across = calloc(width, sizeof *c->across);
    c->down = calloc(height, sizeof *c->down);
    c->lines = calloc(width * (size_t)c->rows, sizeof *c->lines);
    c->batch = calloc(width * 4, BATCH_ROWS);
    if (c->across && c->down && c->lines && c->batch)
        return ERR_OK;
    return error_set(err, ERR_NO_MEMORY, "no memory for an overlay");
}

/* From dark blue over purple and orange to a light yellow: ever lighter, so that it reads in gray
 * as well. */
static void make_shades(uint8_t shades[SHADES][3])
{
    static const struct {
        int at;
        int rgb[3];
    } points[] = {
        {0, {0, 0, 96}}, {85, {136, 24, 152}}, {170, {240, 96, 48}}, {255, {255, 248, 144}}};
    for (int i = 0, p = 0; i < SHADES; i++) {
        if (i > points[p + 1].at)
            p++;
        int along = i - points[p].at, span = points[p + 1].at - points[p].at;
        for (int c = 0; c < 3; c++)
            shades[i][c] = (uint8_t)(points[p].rgb[c] +
                                     (points[p + 1].rgb[c] - points[p].rgb[c]) * along / span);
    }
}

/* One direction of the upright picture: `full` pixels of the file are resized to `resized`, of
 * which the network saw `size` from `offset` on, divided into `cells`. */
struct direction {
    int full, resized, offset, size, cells;
    bool reversed; /* against the file's */
};

/* The places of `count` overlay pixels, each of which stands for `scale` of the file's. */
static void trace(const struct direction *d, double scale, struct place *places, int count)
{
    for (int i = 0; i < count; i++) {
        double at = (i + 0.5) * scale;
        at = at < d->full ? at : d->full; /* the last pixel may stand for less than a whole one */
        if (d->reversed)
            at = d->full - at;
        double seen = at * d->resized / d->full - d->offset;
        double cell = seen * d->cells / d->size - 0.5;
        double last = d->cells - 1;
        cell = cell < 0 ? 0 : cell > last ? last : cell;
        int whole = (int)cell;
        if (whole == d->cells - 1 && whole > 0)
            whole--;
        places[i] = seen < 0 || seen > d->size ? (struct place){OUTSIDE, 0}
                                               : (struct place){whole, (float)(cell - whole)};
    }
}

/* The cell of the grid that lies at (row, col) of the file. */
static float cell_at(const struct overlay_grid *grid, enum orientation o, int row, int col)
{
    int r = orientation_swaps(o) ? col : row, c = orientation_swaps(o) ? row : col;
    return grid->values[(size_t)r * (size_t)grid->cols + (size_t)c];
}

/* In double, in which the distance of two floats does not overflow. */
static void value_range(const struct overlay_grid *grid, double *min, double *span)
{
    size_t count = (size_t)grid->rows * (size_t)grid->cols;
    double max = *min = (double)grid->values[0];
    for (size_t i = 1; i < count; i++) {
        max = fmax(max, (double)grid->values[i]);
        *min = fmin(*min, (double)grid->values[i]);
    }
    *span = max > *min ? max - *min : 1;
}

static float between(float a, float b, float towards)
{
    return a + (b - a) * towards;
}

static void stretch(struct canvas *c, const struct overlay_grid *grid, enum orientation o)
{
    double min, span;
    value_range(grid, &min, &span);
    for (int row = 0; row < c->rows; row++)
        for (int x = 0; x < c->width; x++) {
            struct place p = c->across[x];
            int cell = p.cell == OUTSIDE ? 0 : p.cell, next = cell + 1 < c->cols ? cell + 1 : cell;
            float here = (float)(((double)cell_at(grid, o, row, cell) - min) / span);
            float beyond = (float)(((double)cell_at(grid, o, row, next) - min) / span);
            c->lines[(size_t)row * (size_t)c->width + (size_t)x] = between(here, beyond, p.towards);
        }
}

/* The picture at `eighths` / 8 of its size, as the file has it, and how it is seen upright. */
static void trace_both(struct canvas *c, const struct preprocess_spec *spec,
                       const struct overlay_grid *grid, const struct jpeg_header *header,
                       enum orientation o, int eighths)
{
    bool swaps = orientation_swaps(o);
    double scale = JPEG_EIGHTHS_FULL / (double)eighths;
    int width = swaps ? header->height : header->width;
    int height = swaps ? header->width : header->height;
    struct preprocess_geometry g = preprocess_geometry(spec, width, height);
    const struct direction across = {width,      g.out_width, g.left,
                                     spec->size, grid->cols,  orientation_reverses_columns(o)};
    const struct direction down = {height,     g.out_height, g.top,
                                   spec->size, grid->rows,   orientation_reverses_rows(o)};
    trace(swaps ? &down : &across, scale, c->across, c->width);
    trace(swaps ? &across : &down, scale, c->down, c->height);
    stretch(c, grid, o);
}

static int lightness(const uint8_t *pixel)
{
    return (pixel[0] * 77 + pixel[1] * 150 + pixel[2] * 29) >> 8;
}

static void dim(uint8_t *pixel)
{
    pixel[0] = pixel[1] = pixel[2] = (uint8_t)(lightness(pixel) / 2);
}

/* The picture gives the light and the grid the colour, so that no colour of the picture is mistaken
 * for one of the grid. */
static void tint(uint8_t *pixel, const uint8_t shade[3])
{
    int light = lightness(pixel);
    for (int i = 0; i < 3; i++)
        pixel[i] = (uint8_t)((light + shade[i]) / 2);
}

static void colour_row(const struct canvas *c, int y, uint8_t *rgbx)
{
    struct place p = c->down[y];
    int cell = p.cell == OUTSIDE ? 0 : p.cell, next = cell + 1 < c->rows ? cell + 1 : cell;
    const float *upper = c->lines + (size_t)cell * (size_t)c->width;
    const float *lower = c->lines + (size_t)next * (size_t)c->width;
    for (int x = 0; x < c->width; x++, rgbx += 4) {
        if (p.cell == OUTSIDE || c->across[x].cell == OUTSIDE)
            dim(rgbx);
        else
            tint(rgbx, c->shades[(int)(between(upper[x], lower[x], p.towards) * (SHADES - 1))]);
    }
}

static int draw_rows(const struct canvas *c, struct jpeg_decoder *decoder,
                     struct jpeg_writer *writer, struct error *err)
{
    for (int y = 0;;) {
        int rows = jpeg_decoder_read(decoder, c->batch, BATCH_ROWS, err);
        if (rows <= 0)
            return rows;
        for (int i = 0; i < rows; i++, y++)
            colour_row(c, y, c->batch + (size_t)i * (size_t)c->width * 4);
        int code = jpeg_writer_put(writer, c->batch, rows, err);
        if (code != ERR_OK)
            return code;
    }
}

static int choose_eighths(const struct jpeg_header *header)
{
    int edge = header->width > header->height ? header->width : header->height;
    int eighths = JPEG_EIGHTHS_FULL;
    while (eighths > 1 && (int64_t)edge * eighths > (int64_t)OVERLAY_EDGE * JPEG_EIGHTHS_FULL)
        eighths /= 2;
    return eighths;
}

static int draw(struct jpeg_decoder *decoder, const struct preprocess_spec *spec,
                const struct overlay_grid *grid, const struct jpeg_header *header,
                enum orientation o, uint8_t **bytes, size_t *length, struct error *err)
{
    struct canvas c = {.rows = orientation_swaps(o) ? grid->cols : grid->rows,
                       .cols = orientation_swaps(o) ? grid->rows : grid->cols};
    struct jpeg_writer *writer = NULL;
    int eighths = choose_eighths(header);
    int code = jpeg_decoder_start(decoder, eighths, &c.width, &c.height, err);
    if (code == ERR_OK)
        code = canvas_reserve(&c, err);
    if (code != ERR_OK)
        goto fail;
    make_shades(c.shades);
    trace_both(&c, spec, grid, header, o, eighths);
    const struct jpeg_format format = {c.width, c.height, QUALITY, o};
    code = jpeg_writer_create(&writer, &format, err);
    if (code == ERR_OK)
        code = draw_rows(&c, decoder, writer, err);
    if (code == ERR_OK)
        code = jpeg_writer_finish(writer, bytes, length, err);
fail:
    jpeg_writer_destroy(writer);
    canvas_free(&c);
    return code;
}

int overlay_draw(const struct preprocess_spec *spec, const struct preprocess_options *options,
                 const struct overlay_grid *grid, const uint8_t *jpeg, size_t length,
                 uint8_t **bytes, size_t *bytes_length, struct error *err)
{
    struct jpeg_decoder *decoder;
    struct jpeg_header header;
    int code = jpeg_decoder_create(&decoder, err);
    if (code != ERR_OK)
        return code;
    code = jpeg_decoder_open(decoder, jpeg, length, &options->limits, &header, err);
    bool turned = options->orientation == EXIF_APPLY;
    if (code == ERR_OK)
        code = draw(decoder, spec, grid, &header, turned ? header.orientation : ORIENTATION_NORMAL,
                    bytes, bytes_length, err);
    jpeg_decoder_destroy(decoder);
    return code;
}
