#include "image/preprocess.h"

#include <malloc.h>
#include <string.h>
#include <sys/resource.h>

#include "tests/image/samples.h"
#include "tests/suite.h"

#include "tests/image/pixel_goldens.inc"

enum { GOLDENS = sizeof pixel_goldens / sizeof pixel_goldens[0] };

static const struct preprocess_options plain = {.limits.max_pixels = 100000000};

static struct bytes sample(const char *words)
{
    struct sample made = {0};
    ck_assert(sample_parse(&made, words));
    return sample_make(&made);
}

static struct preprocessor *new_preprocessor(void)
{
    struct preprocessor *p;
    ck_assert_int_eq(preprocessor_create(&p, NULL), ERR_OK);
    return p;
}

static int run(struct preprocessor *p, const struct preprocess_spec *spec,
               const struct preprocess_options *options, struct bytes file, uint8_t *rgb)
{
    struct preprocess_report report;
    return preprocessor_run(p, spec, options, file.data, file.length, rgb, &report, NULL);
}

static void check_golden(struct preprocessor *p, int index)
{
    const struct preprocess_spec *spec = &pixel_goldens[index].spec;
    const struct preprocess_options options = {.limits.max_pixels = 10000,
                                               .orientation = pixel_goldens[index].orientation,
                                               .pillow = pixel_goldens[index].pillow};
    struct bytes file = sample(pixel_goldens[index].sample);
    uint8_t rgb[sizeof pixel_goldens[0].rgb];
    ck_assert_int_eq(run(p, spec, &options, file, rgb), 0);
    size_t size = (size_t)spec->size * (size_t)spec->size * 3;
    ck_assert_msg(memcmp(rgb, pixel_goldens[index].rgb, size) == 0, "golden %d: %s", index,
                  pixel_goldens[index].sample);
    free(file.data);
}

START_TEST(pixels_are_the_references)
{
    for (int i = 0; i < GOLDENS; i++) {
        struct preprocessor *p = new_preprocessor();
        check_golden(p, i);
        preprocessor_destroy(p);
    }
}
END_TEST

START_TEST(a_used_preprocessor_gives_the_same_pixels)
{
    struct preprocessor *p = new_preprocessor();
    for (int i = 0; i < 7 * GOLDENS; i++)
        check_golden(p, i * 5 % GOLDENS);
    preprocessor_destroy(p);
}
END_TEST

static bool down_first(enum pillow pillow, int width, int height, int out_width, int out_height)
{
    const struct preprocess_geometry g = {.out_width = out_width, .out_height = out_height};
    return preprocess_down_first(pillow, &g, width, height);
}

START_TEST(each_pillow_chooses_the_order_by_its_own_rule)
{
    static const struct {
        int width, height, out_width, out_height;
        bool by_13, by_12_2;
    } cases[] = {
        {100, 100, 50, 50, false, false},
        {100, 200, 90, 180, false, false}, /* 20 is not more than 2 x 10 */
        {100, 200, 90, 179, true, false},
        {100, 200, 120, 199, true, false}, /* wider: any loss of height */
        {100, 200, 120, 200, false, false},
        {1080, 2400, 256, 568, true, false},
        {3, 300, 1, 10, true, false}, /* exactly 100 */
        {3, 301, 1, 10, true, true},
        {3, 301, 3, 301, false, false},
        {3, 301, 1, 302, false, false},
        {1, 65535, 4096, 65534, true, true},
        {65535, 1, 1, 1, false, false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        int w = cases[i].width, h = cases[i].height;
        int ow = cases[i].out_width, oh = cases[i].out_height;
        ck_assert_msg(down_first(PILLOW_13, w, h, ow, oh) == cases[i].by_13, "case %zu", i);
        ck_assert_msg(down_first(PILLOW_12_2, w, h, ow, oh) == cases[i].by_12_2, "case %zu", i);
        ck_assert(!down_first(PILLOW_9_4, w, h, ow, oh));
    }
}
END_TEST

/* Only what runs backwards sets these apart: one picture's plan must not serve the next. */
START_TEST(one_orientation_leaves_no_trace_in_the_next)
{
    const struct preprocess_spec spec = {.size = 10, .resize = 12};
    const struct preprocess_options upright = {.limits.max_pixels = 10000,
                                               .orientation = EXIF_APPLY};
    struct preprocessor *used = new_preprocessor();
    for (int orientation = 8; orientation >= 1; orientation--) {
        char words[64];
        uint8_t want[10 * 10 * 3], got[sizeof want];
        snprintf(words, sizeof words, "width=30 height=30 colour=1 orientation=%d", orientation);
        struct bytes file = sample(words);
        struct preprocessor *fresh = new_preprocessor();
        ck_assert_int_eq(run(fresh, &spec, &upright, file, want), 0);
        ck_assert_int_eq(run(used, &spec, &upright, file, got), 0);
        ck_assert_msg(memcmp(got, want, sizeof want) == 0, "orientation %d", orientation);
        preprocessor_destroy(fresh);
        free(file.data);
    }
    preprocessor_destroy(used);
}
END_TEST

START_TEST(normalization_rounds_as_pytorch_does)
{
    const struct preprocess_spec spec = {.mean = {0.485f, 0.456f, 0.406f},
                                         .std = {0.229f, 0.224f, 0.225f}};
    uint8_t rgb[18][3];
    float out[18][3];
    for (int i = 0; i < 18; i++)
        memset(rgb[i], 15 * i, 3);
    preprocess_normalize(&spec, rgb[0], 18, out[0]);
    ck_assert_mem_eq(out, normalize_goldens, sizeof out);
}
END_TEST

START_TEST(the_report_has_the_headers_size_and_both_times)
{
    const struct preprocess_spec spec = {.size = 8, .resize = 8};
    struct preprocessor *p = new_preprocessor();
    struct preprocess_options options = {.limits.max_pixels = 60 * 40, .orientation = EXIF_APPLY};
    struct bytes file = sample("width=60 height=40 colour=1 orientation=6");
    struct preprocess_report report;
    struct error err;
    uint8_t rgb[8 * 8 * 3];
    ck_assert_int_eq(
        preprocessor_run(p, &spec, &options, file.data, file.length, rgb, &report, &err), 0);
    ck_assert_int_eq(report.width, 60);
    ck_assert_int_eq(report.height, 40);
    ck_assert_int_gt(report.decode_ns, 0);
    ck_assert_int_gt(report.preprocess_ns, 0);
    options.limits.max_pixels--;
    ck_assert_int_eq(
        preprocessor_run(p, &spec, &options, file.data, file.length, rgb, &report, &err),
        ERR_IMAGE_TOO_LARGE);
    ck_assert_int_eq(report.width, 60);
    ck_assert_int_eq(report.height, 40);
    ck_assert_ptr_nonnull(strstr(err.message, "2399"));
    options.limits.max_pixels++;
    ck_assert_int_eq(
        preprocessor_run(p, &spec, &options, file.data, file.length - 1, rgb, &report, &err),
        ERR_IMAGE_UNDECODABLE);
    ck_assert_int_eq(report.width, 60);
    ck_assert_int_eq(preprocessor_run(p, &spec, &options, file.data, 1, rgb, &report, &err),
                     ERR_NOT_JPEG);
    ck_assert_int_eq(report.width, 0);
    preprocessor_destroy(p);
    free(file.data);
}
END_TEST

static double mean_difference(const uint8_t *a, const uint8_t *b, size_t count)
{
    double sum = 0;
    for (size_t i = 0; i < count; i++)
        sum += abs(a[i] - b[i]);
    return sum / (double)count;
}

START_TEST(fast_pixels_are_close_and_from_the_same_place)
{
    static const char *const samples[] = {
        "width=1001 height=777 smooth=1 colour=1 sampling=2x2,1x1",
        "width=1001 height=777 smooth=1 colour=0",
        "width=777 height=1001 smooth=1 colour=4 orientation=7",
        "width=400 height=2000 smooth=1 colour=1 orientation=3"};
    const struct preprocess_options fast = {
        .limits.max_pixels = 10000000, .orientation = EXIF_APPLY, .decode = DECODE_FAST};
    const struct preprocess_options exact = {.limits.max_pixels = 10000000,
                                             .orientation = EXIF_APPLY};
    struct preprocessor *p = new_preprocessor();
    for (size_t i = 0; i < sizeof samples / sizeof samples[0]; i++) {
        struct bytes file = sample(samples[i]);
        for (int size = 3; size < 60; size += 8) {
            const struct preprocess_spec spec = {.size = size, .resize = size + 3};
            uint8_t a[59 * 59 * 3], b[59 * 59 * 3];
            ck_assert_int_eq(run(p, &spec, &fast, file, a), 0);
            ck_assert_int_eq(run(p, &spec, &exact, file, b), 0);
            double difference = mean_difference(a, b, (size_t)(size * size) * 3);
            ck_assert_msg(difference < 2, "%s to %d: %g", samples[i], size, difference);
        }
        free(file.data);
    }
    preprocessor_destroy(p);
}
END_TEST

/* Both orders are told apart where the file's columns go down as well. */
START_TEST(fast_pixels_of_a_tall_picture_follow_the_order)
{
    struct preprocess_options options = {
        .limits.max_pixels = 10000000, .orientation = EXIF_APPLY, .decode = DECODE_FAST};
    const struct preprocess_spec spec = {.size = 20, .resize = 24};
    static const char *const samples[] = {"width=401 height=2003 colour=1",
                                          "width=2003 height=401 colour=1 orientation=6"};
    struct preprocessor *p = new_preprocessor();
    for (size_t i = 0; i < sizeof samples / sizeof samples[0]; i++) {
        struct bytes file = sample(samples[i]);
        uint8_t rgb[PILLOW_COUNT][20 * 20 * 3];
        for (options.pillow = 0; options.pillow < PILLOW_COUNT; options.pillow++)
            ck_assert_int_eq(run(p, &spec, &options, file, rgb[options.pillow]), 0);
        ck_assert_mem_eq(rgb[PILLOW_9_4], rgb[PILLOW_12_2], sizeof rgb[0]);
        ck_assert_mem_ne(rgb[PILLOW_9_4], rgb[PILLOW_13], sizeof rgb[0]);
        ck_assert_double_le(mean_difference(rgb[PILLOW_9_4], rgb[PILLOW_13], sizeof rgb[0]), 1);
        free(file.data);
    }
    preprocessor_destroy(p);
}
END_TEST

static bool is_over(void *arg)
{
    (void)arg;
    return false;
}

START_TEST(what_nobody_waits_for_is_given_up)
{
    const struct preprocess_spec spec = {.size = 8, .resize = 8};
    const struct preprocess_options options = {.limits.max_pixels = 10000, .limits.go_on = is_over};
    struct preprocessor *p = new_preprocessor();
    struct bytes file = sample("width=60 height=40 colour=1");
    uint8_t rgb[8 * 8 * 3];
    ck_assert_int_eq(run(p, &spec, &options, file, rgb), ERR_DEADLINE);
    ck_assert_int_eq(run(p, &spec, &plain, file, rgb), 0);
    preprocessor_destroy(p);
    free(file.data);
}
END_TEST

static size_t bytes_in_use(void)
{
    struct mallinfo2 info = mallinfo2();
    return info.uordblks + info.hblkhd;
}

START_TEST(large_buffers_are_given_back)
{
    const struct preprocess_spec spec = {.size = 8, .resize = 8};
    const struct preprocess_options upright = {.limits.max_pixels = 100000000,
                                               .orientation = EXIF_APPLY};
    struct preprocessor *p = new_preprocessor();
    struct bytes file = sample("width=3000 height=2000 colour=0 orientation=6");
    uint8_t rgb[8 * 8 * 3];
    size_t before = bytes_in_use();
    ck_assert_int_eq(run(p, &spec, &upright, file, rgb), 0);
    ck_assert_uint_lt(bytes_in_use(), before + (1 << 20));
    preprocessor_destroy(p);
    free(file.data);
}
END_TEST

static long max_resident_kb(void)
{
    struct rusage usage;
    ck_assert_int_eq(getrusage(RUSAGE_SELF, &usage), 0);
    return usage.ru_maxrss;
}

static void check_memory(struct bytes file, const struct preprocess_spec *spec, long max_kb)
{
    struct preprocess_options options = plain;
    for (options.pillow = 0; options.pillow < PILLOW_COUNT; options.pillow++) {
        struct preprocessor *p = new_preprocessor();
        uint8_t rgb[16 * 16 * 3];
        long before = max_resident_kb();
        ck_assert_int_eq(run(p, spec, &options, file, rgb), 0);
        ck_assert_int_le(max_resident_kb() - before, max_kb);
        preprocessor_destroy(p);
    }
    free(file.data);
}

/* To the short edge's 16 and in proportion, 60000 becomes 960000; never more than the decoded
 * picture, 4 bytes a pixel, and what a decoder takes. */
START_TEST(an_extreme_picture_takes_little_memory_in_any_order)
{
    const struct preprocess_spec center = {.size = 16, .resize = 16},
                                 squash = {.size = 16, .resize = 16, .crop_mode = CROP_SQUASH};
    check_memory(sample("width=1 height=60000 colour=1"), &center, 16 << 10);
    check_memory(sample("width=1 height=60000 colour=1"), &squash, 16 << 10);
    check_memory(sample("width=60000 height=1 colour=1"), &center, 16 << 10);
    check_memory(sample("width=60000 height=1 colour=1"), &squash, 16 << 10);
    check_memory(sample("width=100 height=60000 colour=1"), &squash, 40 << 10);
}
END_TEST

TEST_MAIN("image/preprocess", 60, pixels_are_the_references,
          a_used_preprocessor_gives_the_same_pixels, each_pillow_chooses_the_order_by_its_own_rule,
          one_orientation_leaves_no_trace_in_the_next, normalization_rounds_as_pytorch_does,
          the_report_has_the_headers_size_and_both_times,
          fast_pixels_are_close_and_from_the_same_place,
          fast_pixels_of_a_tall_picture_follow_the_order, what_nobody_waits_for_is_given_up,
          large_buffers_are_given_back, an_extreme_picture_takes_little_memory_in_any_order)
