#include "image/overlay.h"

#include <stdlib.h>
#include <string.h>

#include "image/jpeg.h"
#include "image/jpeg_writer.h"
#include "tests/image/samples.h"
#include "tests/suite.h"

static struct error err;

/* A decoded picture. */
struct picture {
    int width, height;
    enum orientation orientation;
    uint8_t *rgbx;
};

static struct picture decode(const uint8_t *bytes, size_t length)
{
    struct jpeg_decoder *decoder;
    struct jpeg_header header;
    const struct jpeg_limits limits = {.max_pixels = 100000000};
    struct picture p;
    ck_assert_int_eq(jpeg_decoder_create(&decoder, &err), ERR_OK);
    ck_assert_msg(jpeg_decoder_open(decoder, bytes, length, &limits, &header, &err) == 0, "%s",
                  err.message);
    ck_assert_int_eq(jpeg_decoder_start(decoder, 8, &p.width, &p.height, &err), ERR_OK);
    p.orientation = header.orientation;
    p.rgbx = malloc((size_t)p.width * (size_t)p.height * 4);
    ck_assert_int_eq(jpeg_decoder_read(decoder, p.rgbx, p.height, &err), p.height);
    jpeg_decoder_destroy(decoder);
    return p;
}

/* A gray picture of one tone. */
static void make_gray(int width, int height, enum orientation orientation, uint8_t **bytes,
                      size_t *length)
{
    const struct jpeg_format format = {width, height, 90, orientation};
    struct jpeg_writer *writer;
    uint8_t *rows = malloc((size_t)width * 4);
    memset(rows, 128, (size_t)width * 4);
    ck_assert_int_eq(jpeg_writer_create(&writer, &format, &err), ERR_OK);
    for (int y = 0; y < height; y++)
        ck_assert_int_eq(jpeg_writer_put(writer, rows, 1, &err), ERR_OK);
    ck_assert_int_eq(jpeg_writer_finish(writer, bytes, length, &err), ERR_OK);
    jpeg_writer_destroy(writer);
    free(rows);
}

static struct picture draw(int width, int height, enum orientation orientation,
                           const struct preprocess_spec *spec, enum exif_orientation exif,
                           const struct overlay_grid *grid)
{
    const struct preprocess_options options = {.limits.max_pixels = 100000000, .orientation = exif};
    uint8_t *bytes, *overlay;
    size_t length, overlay_length;
    make_gray(width, height, orientation, &bytes, &length);
    ck_assert_msg(
        overlay_draw(spec, &options, grid, bytes, length, &overlay, &overlay_length, &err) == 0,
        "%s", err.message);
    struct picture p = decode(overlay, overlay_length);
    free(bytes);
    free(overlay);
    return p;
}

static const uint8_t *pixel(const struct picture *p, int x, int y)
{
    return p->rgbx + ((size_t)y * (size_t)p->width + (size_t)x) * 4;
}

/* How much warmer than blue: the greatest value is light yellow, the least dark blue. */
static int warmth(const struct picture *p, int x, int y)
{
    const uint8_t *rgb = pixel(p, x, y);
    return rgb[0] + rgb[1] - rgb[2];
}

static bool is_gray(const struct picture *p, int x, int y)
{
    const uint8_t *rgb = pixel(p, x, y);
    return abs(rgb[0] - rgb[1]) < 6 && abs(rgb[1] - rgb[2]) < 6;
}

static const struct preprocess_spec square = {
    .size = 32, .resize = 32, .crop_mode = CROP_CENTER, .std = {1, 1, 1}};

/* Only the upper left cell of four is high. */
static const float corner_values[] = {1, 0, 0, 0};
static const struct overlay_grid corner = {2, 2, corner_values};

START_TEST(the_hot_cell_lies_where_it_was_seen)
{
    struct picture p = draw(64, 64, ORIENTATION_NORMAL, &square, EXIF_IGNORE, &corner);
    ck_assert(p.width == 64 && p.height == 64);
    int hot = warmth(&p, 8, 8);
    ck_assert_int_gt(hot, 200);
    ck_assert_int_lt(warmth(&p, 56, 8), 80);
    ck_assert_int_lt(warmth(&p, 8, 56), 80);
    ck_assert_int_lt(warmth(&p, 56, 56), 80);
    int between = warmth(&p, 32, 8);
    ck_assert(between < hot && between > warmth(&p, 56, 8));
    free(p.rgbx);
}
END_TEST

START_TEST(what_the_crop_cut_off_is_gray)
{
    struct picture wide = draw(160, 64, ORIENTATION_NORMAL, &square, EXIF_IGNORE, &corner);
    /* The square is 64 pixels wide and starts at 48. */
    ck_assert(is_gray(&wide, 36, 32) && is_gray(&wide, 124, 32));
    ck_assert(!is_gray(&wide, 56, 8) && !is_gray(&wide, 104, 32));
    ck_assert_int_gt(warmth(&wide, 56, 8), warmth(&wide, 104, 8) + 100);
    free(wide.rgbx);
    const struct preprocess_spec inner = {.size = 16, .resize = 32, .crop_mode = CROP_CENTER};
    struct picture p = draw(64, 64, ORIENTATION_NORMAL, &inner, EXIF_IGNORE, &corner);
    /* The square is the middle half. */
    ck_assert(is_gray(&p, 6, 32) && is_gray(&p, 32, 58) && !is_gray(&p, 20, 20));
    ck_assert_int_gt(warmth(&p, 20, 20), warmth(&p, 44, 44) + 100);
    free(p.rgbx);
    const struct preprocess_spec squash = {.size = 32, .resize = 32, .crop_mode = CROP_SQUASH};
    struct picture all = draw(160, 64, ORIENTATION_NORMAL, &squash, EXIF_IGNORE, &corner);
    ck_assert(!is_gray(&all, 1, 32) && !is_gray(&all, 158, 32));
    ck_assert_int_gt(warmth(&all, 20, 8), warmth(&all, 140, 8) + 100);
    free(all.rgbx);
}
END_TEST

/* Where the upright picture's upper left corner lies in the file (EXIF 2.3, tag 0x0112). */
START_TEST(turned_pictures_are_traced_back)
{
    static const struct {
        enum orientation orientation;
        bool right, bottom;
    } cases[] = {
        {ORIENTATION_NORMAL, false, false},    {ORIENTATION_FLIP_X, true, false},
        {ORIENTATION_ROTATE_180, true, true},  {ORIENTATION_FLIP_Y, false, true},
        {ORIENTATION_TRANSPOSE, false, false}, {ORIENTATION_ROTATE_90, false, true},
        {ORIENTATION_TRANSVERSE, true, true},  {ORIENTATION_ROTATE_270, true, false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        enum orientation o = cases[i].orientation;
        struct picture p = draw(96, 64, o, &square, EXIF_APPLY, &corner);
        ck_assert(p.width == 96 && p.height == 64);
        ck_assert_int_eq(p.orientation, o);
        for (int right = 0; right < 2; right++)
            for (int bottom = 0; bottom < 2; bottom++) {
                bool hot = right == cases[i].right && bottom == cases[i].bottom;
                int found = warmth(&p, right ? 72 : 24, bottom ? 56 : 8);
                ck_assert_msg(hot == (found > 150), "orientation %d, corner %d %d: %d", (int)o,
                              right, bottom, found);
            }
        free(p.rgbx);
        struct picture ignored = draw(96, 64, o, &square, EXIF_IGNORE, &corner);
        ck_assert_int_eq(ignored.orientation, ORIENTATION_NORMAL);
        ck_assert_int_gt(warmth(&ignored, 24, 8), 150);
        free(ignored.rgbx);
    }
}
END_TEST

START_TEST(large_pictures_are_scaled_down)
{
    struct picture p = draw(4100, 40, ORIENTATION_NORMAL, &square, EXIF_IGNORE, &corner);
    ck_assert(p.width == 1025 && p.height == 10);
    ck_assert(is_gray(&p, 0, 5) && is_gray(&p, 1024, 5) && !is_gray(&p, 512, 5));
    free(p.rgbx);
}
END_TEST

START_TEST(any_grid_can_be_drawn)
{
    static const float flat[] = {-3, -3}, wild[] = {-3e38F, 3e38F}, one[] = {7};
    const struct overlay_grid grids[] = {{1, 2, flat}, {2, 1, wild}, {1, 1, one}};
    for (size_t i = 0; i < sizeof grids / sizeof grids[0]; i++) {
        struct picture p = draw(33, 17, ORIENTATION_NORMAL, &square, EXIF_IGNORE, &grids[i]);
        ck_assert(p.width == 33 && p.height == 17);
        if (i == 1)
            ck_assert_int_gt(warmth(&p, 16, 16), warmth(&p, 16, 0) + 100);
        free(p.rgbx);
    }
}
END_TEST

START_TEST(every_kind_of_jpeg_can_be_drawn_over)
{
    static const char *const kinds[] = {
        "width=50 height=40 colour=0", "width=50 height=40 colour=3",
        "width=50 height=40 colour=4", "width=50 height=40 colour=1 scans=2 sampling=2x2,1x1",
        "width=1 height=1 colour=1",   "width=1 height=3000 colour=0 smooth=1",
    };
    const struct preprocess_options options = {.limits.max_pixels = 1000000};
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        struct sample made = {0};
        ck_assert(sample_parse(&made, kinds[i]));
        struct bytes file = sample_make(&made);
        uint8_t *overlay;
        size_t length;
        ck_assert_msg(overlay_draw(&square, &options, &corner, file.data, file.length, &overlay,
                                   &length, &err) == 0,
                      "%s: %s", kinds[i], err.message);
        struct picture p = decode(overlay, length);
        ck_assert(p.width == made.width || p.height < made.height);
        free(p.rgbx);
        free(overlay);
        free(file.data);
    }
}
END_TEST

static bool is_over(void *arg)
{
    (void)arg;
    return false;
}

START_TEST(bad_pictures_are_refused)
{
    struct sample made = {0};
    ck_assert(sample_parse(&made, "width=60 height=60 colour=1"));
    struct bytes file = sample_make(&made);
    uint8_t *overlay = NULL;
    size_t length;
    const struct preprocess_options small = {.limits.max_pixels = 100},
                                    late = {.limits.max_pixels = 10000, .limits.go_on = is_over},
                                    plain = {.limits.max_pixels = 10000};
    ck_assert_int_eq(
        overlay_draw(&square, &small, &corner, file.data, file.length, &overlay, &length, &err),
        ERR_IMAGE_TOO_LARGE);
    ck_assert_int_eq(
        overlay_draw(&square, &late, &corner, file.data, file.length, &overlay, &length, &err),
        ERR_DEADLINE);
    ck_assert_int_eq(
        overlay_draw(&square, &plain, &corner, file.data, file.length / 2, &overlay, &length, &err),
        ERR_IMAGE_UNDECODABLE);
    ck_assert_int_eq(overlay_draw(&square, &plain, &corner, file.data, 1, &overlay, &length, &err),
                     ERR_NOT_JPEG);
    ck_assert_ptr_null(overlay);
    free(file.data);
}
END_TEST

/* Noise does not compress: the file outgrows the writer's first buffer several times. */
START_TEST(the_writer_grows)
{
    enum { EDGE = 700 };
    const struct jpeg_format format = {EDGE, EDGE, 100, ORIENTATION_NORMAL};
    struct jpeg_writer *writer;
    uint8_t *bytes, row[EDGE * 4];
    size_t length;
    uint32_t state = 1;
    ck_assert_int_eq(jpeg_writer_create(&writer, &format, &err), ERR_OK);
    for (int y = 0; y < EDGE; y++) {
        for (size_t i = 0; i < sizeof row; i++) {
            state = state * 1664525 + 1013904223;
            row[i] = (uint8_t)(state >> 24);
        }
        ck_assert_int_eq(jpeg_writer_put(writer, row, 1, &err), ERR_OK);
    }
    ck_assert_int_eq(jpeg_writer_finish(writer, &bytes, &length, &err), ERR_OK);
    jpeg_writer_destroy(writer);
    ck_assert_uint_gt(length, 300000);
    struct picture p = decode(bytes, length);
    /* The last row survived as well; chroma is subsampled, so only roughly. */
    int off = 0;
    for (size_t i = 0; i < sizeof row; i += 4)
        off += abs(row[i + 1] - pixel(&p, (int)i / 4, EDGE - 1)[1]);
    ck_assert_int_lt(off / EDGE, 60);
    free(p.rgbx);
    free(bytes);
    jpeg_writer_destroy(NULL);
}
END_TEST

TEST_MAIN("image/overlay", 30, the_hot_cell_lies_where_it_was_seen, what_the_crop_cut_off_is_gray,
          turned_pictures_are_traced_back, large_pictures_are_scaled_down, any_grid_can_be_drawn,
          every_kind_of_jpeg_can_be_drawn_over, bad_pictures_are_refused, the_writer_grows)
