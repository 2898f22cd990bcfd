/* Files that libjpeg would half decode, or decode at any cost. */
#include "image/jpeg.h"

#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "tests/image/samples.h"
#include "tests/suite.h"

static const struct jpeg_limits limits = {.max_pixels = 1000000};

/* A picture from open to close. *sum is a checksum of its pixels. */
static int decode(struct jpeg_decoder *decoder, struct bytes file, const struct jpeg_limits *within,
                  uint32_t *sum, struct error *err)
{
    struct jpeg_header header;
    int width = 0, height = 0;
    uint8_t *rows = NULL;
    int code = jpeg_decoder_open(decoder, file.data, file.length, within, &header, err);
    if (code == ERR_OK)
        code = jpeg_decoder_start(decoder, JPEG_EIGHTHS_FULL, &width, &height, err);
    if (code == ERR_OK) {
        rows = malloc((size_t)width * 4 * 5);
        ck_assert_ptr_nonnull(rows);
    }
    for (int count = 1; code == ERR_OK && count > 0;) {
        count = jpeg_decoder_read(decoder, rows, 5, err);
        if (count < 0)
            code = count;
        for (int i = 0; i < count * width * 4; i++)
            *sum = (*sum ^ (i % 4 == 3 ? 0 : rows[i])) * 16777619u;
    }
    jpeg_decoder_close(decoder);
    free(rows);
    return code;
}

static struct jpeg_decoder *new_decoder(void)
{
    struct jpeg_decoder *decoder;
    ck_assert_int_eq(jpeg_decoder_create(&decoder, NULL), ERR_OK);
    return decoder;
}

static int decode_alone(struct bytes file, struct error *err)
{
    struct jpeg_decoder *decoder = new_decoder();
    uint32_t sum = 0;
    int code = decode(decoder, file, &limits, &sum, err);
    jpeg_decoder_destroy(decoder);
    return code;
}

static struct bytes sample(const char *words)
{
    struct sample made = {0};
    ck_assert(sample_parse(&made, words));
    return sample_make(&made);
}

/* Where the two bytes FF `marker` of a segment stand. */
static size_t find_marker(struct bytes file, uint8_t marker)
{
    size_t at = 2;
    while (file.data[at + 1] != marker) {
        ck_assert_uint_eq(file.data[at], 0xff);
        at += 2u + (size_t)(file.data[at + 2] << 8 | file.data[at + 3]);
        ck_assert_uint_lt(at + 1, file.length);
    }
    return at;
}

/* Replaces `removed` bytes at `at` by `text`. */
static void splice(struct bytes *file, size_t at, size_t removed, const void *text, size_t length)
{
    uint8_t *data = malloc(file->length - removed + length);
    ck_assert_ptr_nonnull(data);
    memcpy(data, file->data, at);
    memcpy(data + at, text, length);
    memcpy(data + at + length, file->data + at + removed, file->length - at - removed);
    free(file->data);
    *file = (struct bytes){data, file->length - removed + length};
}

static void remove_segments(struct bytes *file, uint8_t marker, int count)
{
    while (count-- > 0) {
        size_t at = find_marker(*file, marker);
        splice(file, at, 2u + (size_t)(file->data[at + 2] << 8 | file->data[at + 3]), "", 0);
    }
}

#define SMALL "width=19 height=13 sampling=2x2,1x1 quality=50"
static const char *const small_samples[] = {
    SMALL " colour=1",
    SMALL " colour=1 scans=2",
    SMALL " colour=1 arithmetic=1",
    SMALL " colour=1 scans=1 restart_rows=1",
    SMALL " colour=4 optimize=1",
    "width=9 height=9 colour=0",
};
enum { SMALL_SAMPLES = sizeof small_samples / sizeof small_samples[0] };

START_TEST(what_is_no_jpeg_is_named)
{
    static const struct {
        const char *bytes;
        size_t length;
        const char *named;
    } cases[] = {
        {"", 0, "no bytes"},
        {"\xff", 1, "does not start like a JPEG"},
        {"\xd8\xff\xe0", 3, "does not start like a JPEG"},
        {"\xff\xd8\x80\xff\xe0", 5, "does not start like a JPEG"},
        {"\x89PNG\r\n\x1a\n", 8, "a PNG"},
        {"GIF89a", 6, "a GIF"},
        {"RIFF\x10\0\0\0WEBPVP8 ", 16, "a WebP"},
        {"RIFF\x10\0\0\0WAVE", 12, "does not start like a JPEG"},
        {"\0\0\0\x18"
         "ftypheic",
         12, "a HEIC"},
        {"\0\0\0\x18"
         "ftypmif1",
         12, "a HEIC"},
        {"\0\0\0\x18"
         "ftypavif",
         12, "an AVIF"},
        {"%PDF-1.7", 8, "a PDF"},
        {"II*\0", 4, "a TIFF"},
        {"BM\x10\0\0\0\0\0\0\0", 10, "a BMP"},
        {"<!DOCTYPE html>", 15, "HTML"},
        {"{\"a\":1}", 7, "JSON"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct error err;
        struct bytes file = {(uint8_t *)cases[i].bytes, cases[i].length};
        ck_assert_int_eq(decode_alone(file, &err), ERR_NOT_JPEG);
        ck_assert_msg(strstr(err.message, cases[i].named), "%zu: %s", i, err.message);
    }
}
END_TEST

START_TEST(a_file_cut_anywhere_is_refused)
{
    struct jpeg_decoder *decoder = new_decoder();
    for (int i = 0; i < SMALL_SAMPLES; i++) {
        struct bytes file = sample(small_samples[i]);
        for (size_t length = 0; length < file.length; length++) {
            uint32_t sum = 0;
            struct error err;
            int want = length < 2 ? ERR_NOT_JPEG : ERR_IMAGE_UNDECODABLE;
            int got = decode(decoder, (struct bytes){file.data, length}, &limits, &sum, &err);
            ck_assert_msg(got == want, "%s cut at %zu: %d", small_samples[i], length, got);
        }
        uint32_t sum = 0;
        ck_assert_int_eq(decode(decoder, file, &limits, &sum, NULL), ERR_OK);
        free(file.data);
    }
    jpeg_decoder_destroy(decoder);
}
END_TEST

START_TEST(missing_data_before_the_end_marker_are_refused)
{
    struct bytes file = sample(small_samples[0]);
    struct jpeg_decoder *decoder = new_decoder();
    for (size_t length = find_marker(file, 0xda) + 14; length + 2 < file.length; length++) {
        struct bytes cut = {malloc(length + 2), length + 2};
        memcpy(cut.data, file.data, length);
        memcpy(cut.data + length, "\xff\xd9", 2);
        uint32_t sum = 0;
        ck_assert_int_eq(decode(decoder, cut, &limits, &sum, NULL), ERR_IMAGE_UNDECODABLE);
        free(cut.data);
    }
    jpeg_decoder_destroy(decoder);
    free(file.data);
}
END_TEST

START_TEST(no_flipped_bit_is_a_fault_of_ours)
{
    struct jpeg_decoder *decoder = new_decoder();
    struct bytes good = sample("width=21 height=9 colour=1");
    uint32_t want = 0;
    ck_assert_int_eq(decode(decoder, good, &limits, &want, NULL), ERR_OK);
    for (int i = 0; i < SMALL_SAMPLES; i++) {
        struct bytes file = sample(small_samples[i]);
        for (size_t bit = 0; bit < 8 * file.length; bit++) {
            uint32_t sum = 0;
            file.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
            int code = decode(decoder, file, &limits, &sum, NULL);
            file.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
            ck_assert_msg(code == 0 || code == ERR_NOT_JPEG || code == ERR_IMAGE_UNDECODABLE ||
                              code == ERR_IMAGE_TOO_LARGE,
                          "%s bit %zu: %d", small_samples[i], bit, code);
        }
        uint32_t sum = 0;
        ck_assert_int_eq(decode(decoder, good, &limits, &sum, NULL), ERR_OK);
        ck_assert_uint_eq(sum, want);
        free(file.data);
    }
    free(good.data);
    jpeg_decoder_destroy(decoder);
}
END_TEST

/* A sample with the frame header's bytes overwritten: marker, precision, height, width. */
static struct bytes with_frame(uint8_t marker, uint8_t precision, unsigned height, unsigned width)
{
    struct bytes file = sample("width=16 height=16 colour=1");
    uint8_t *frame = file.data + find_marker(file, 0xc0);
    frame[1] = marker;
    frame[4] = precision;
    frame[5] = (uint8_t)(height >> 8);
    frame[6] = (uint8_t)height;
    frame[7] = (uint8_t)(width >> 8);
    frame[8] = (uint8_t)width;
    return file;
}

START_TEST(headers_that_cannot_be_served_are_refused)
{
    static const struct {
        uint8_t marker, precision;
        unsigned height, width;
        int code;
    } cases[] = {
        {0xc0, 8, 16, 16, 0},
        {0xc0, 8, 65500, 65500, ERR_IMAGE_TOO_LARGE},
        {0xc0, 8, 65284, 62994, ERR_IMAGE_TOO_LARGE},
        {0xc0, 8, 65535, 65535, ERR_IMAGE_UNDECODABLE},
        {0xc0, 8, 1000, 1001, ERR_IMAGE_TOO_LARGE},
        {0xc0, 8, 1000, 1000, ERR_IMAGE_UNDECODABLE}, /* allowed, but the data are not there */
        {0xc0, 8, 0, 16, ERR_IMAGE_UNDECODABLE},
        {0xc0, 8, 16, 0, ERR_IMAGE_UNDECODABLE},
        {0xc1, 12, 16, 16, ERR_IMAGE_UNDECODABLE},
        {0xc0, 16, 16, 16, ERR_IMAGE_UNDECODABLE},
        {0xc3, 8, 16, 16, ERR_IMAGE_UNDECODABLE},
        {0xc5, 8, 16, 16, ERR_IMAGE_UNDECODABLE},
        {0xcb, 8, 16, 16, ERR_IMAGE_UNDECODABLE},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct bytes file =
            with_frame(cases[i].marker, cases[i].precision, cases[i].height, cases[i].width);
        struct error err;
        int code = decode_alone(file, &err);
        ck_assert_msg(code == cases[i].code, "case %zu: %d", i, code);
        free(file.data);
    }
}
END_TEST

START_TEST(two_components_have_no_colours)
{
    struct bytes file = sample("width=8 height=8 colour=5");
    struct error err;
    ck_assert_int_eq(decode_alone(file, &err), ERR_IMAGE_UNDECODABLE);
    ck_assert_ptr_nonnull(strstr(err.message, "2 components"));
    free(file.data);
}
END_TEST

START_TEST(a_thousand_scans_are_given_up)
{
    struct bytes file = sample("width=16 height=16 colour=1 scans=3");
    int scans = 0;
    for (size_t i = 0; i + 1 < file.length; i++)
        scans += file.data[i] == 0xff && file.data[i + 1] == 0xda;
    ck_assert_int_ge(scans, 1000);
    struct error err;
    ck_assert_int_eq(decode_alone(file, &err), ERR_IMAGE_UNDECODABLE);
    ck_assert_ptr_nonnull(strstr(err.message, "100 scans"));
    free(file.data);
}
END_TEST

static int open_alone(struct bytes file, const struct jpeg_limits *within, struct error *err)
{
    struct jpeg_decoder *decoder = new_decoder();
    struct jpeg_header header;
    int code = jpeg_decoder_open(decoder, file.data, file.length, within, &header, err);
    jpeg_decoder_destroy(decoder);
    return code;
}

/* The scripts of libjpeg are served at every size; what they read is counted by components. */
START_TEST(scans_read_32_samples_for_each_of_max_pixels)
{
    enum { SCRIPT = 14, EDGE = 16 };
    static const struct jpeg_limits tight = {.max_pixels = EDGE * EDGE},
                                    wider = {.max_pixels = EDGE * EDGE * 33 / 32};
    static const struct {
        const char *text;
        size_t length;
    } between[] = {
        {"", 0},
        {"\xff\xfe\0\x06\xff\xd9\xff\xda", 8},
        {"\xff\xff\xff", 3},
        {"\x01\xff\0\x02", 4},
        {"\xff\xd3\xff\x01", 4},
    };
    struct bytes four = sample("width=16 height=16 colour=3 scans=2");
    ck_assert_int_eq(decode_alone(four, NULL), ERR_OK);
    ck_assert_int_eq(open_alone(four, &tight, NULL), ERR_OK);
    for (size_t i = 0; i < sizeof between / sizeof between[0]; i++) {
        struct bytes file = sample("width=16 height=16 colour=1 scans=2");
        struct error err;
        size_t end = file.length - 2, last = end;
        while (file.data[last] != 0xff || file.data[last + 1] != 0xda)
            last--;
        for (int scans = SCRIPT + 1; scans <= JPEG_SCAN_SAMPLES + 1; scans++) {
            ck_assert_int_eq(open_alone(file, &tight, NULL), ERR_OK);
            uint8_t scan[1000];
            ck_assert_uint_lt(end - last, sizeof scan);
            memcpy(scan, file.data + last, end - last);
            splice(&file, file.length - 2, 0, between[i].text, between[i].length);
            splice(&file, file.length - 2, 0, scan, end - last);
        }
        ck_assert_int_eq(open_alone(file, &tight, &err), ERR_IMAGE_TOO_LARGE);
        ck_assert_ptr_nonnull(strstr(err.message, "max_pixels (256)"));
        ck_assert_int_eq(open_alone(file, &wider, NULL), ERR_OK);
        free(file.data);
    }
    free(four.data);
}
END_TEST

START_TEST(what_is_around_the_picture_does_not_matter)
{
    static const struct {
        const char *text;
        size_t length;
        bool behind;
    } cases[] = {
        {"\0\0trailing bytes", 16, true},
        {"\xff\xd8\xff\xd9\xff\xd8\xff", 7, true},
        {"\xff\xe1\0\x10"
         "Exif\0\0MM\0*\xff\xff\xff\xff",
         18, false},
        {"\xff\xe1\0\x08"
         "Exif\0\0",
         10, false},
        {"\xff\xe2\0\x10"
         "ICC_PROFILE\0\x07\x02",
         18, false},
        {"\xff\xe2\0\x02", 4, false},
        {"\xff\xee\0\x0e"
         "Adobe\0d\0\0\0\0\xfe",
         16, false},
        {"\xff\xfe\0\x06"
         "%s%n",
         8, false},
        {"\xff\xff\xff\xff\xff", 5, false}, /* fill bytes */
        {"\xff\xe2\0\x02"
         "junk",
         8, false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct bytes file = sample("width=16 height=16 colour=1 sampling=2x1,1x1");
        splice(&file, cases[i].behind ? file.length : 2, 0, cases[i].text, cases[i].length);
        struct error err = {.message = ""};
        ck_assert_msg(decode_alone(file, &err) == 0, "case %zu: %s", i, err.message);
        free(file.data);
    }
}
END_TEST

/* Where one scan has all components, and nowhere else. */
START_TEST(what_stands_instead_of_the_end_does_not_matter)
{
    static const struct {
        const char *text;
        size_t length;
    } cases[] = {
        {"\0\0\0\0\0\0\0\0", 8}, {"a trailer", 9},       {"\xff\xd8\xff\xe0\0\x10", 6},
        {"\xff\xe2\0\x80", 4},   {"\xff\xda\0\2abc", 7}, {"\xff\x02\0\0", 4},
    };
    struct jpeg_decoder *decoder = new_decoder();
    for (int several = 0; several < 2; several++) {
        const char *words = several ? SMALL " colour=1 scans=2" : SMALL " colour=1";
        for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
            struct bytes file = sample(words);
            uint32_t want = 0, got = 0;
            ck_assert_int_eq(decode(decoder, file, &limits, &want, NULL), ERR_OK);
            splice(&file, file.length - 2, 2, cases[i].text, cases[i].length);
            int code = decode(decoder, file, &limits, &got, NULL);
            ck_assert_msg(code == (several ? ERR_IMAGE_UNDECODABLE : 0), "case %zu: %d", i, code);
            ck_assert(several || got == want);
            free(file.data);
        }
    }
    jpeg_decoder_destroy(decoder);
}
END_TEST

START_TEST(zeros_instead_of_the_rest_are_refused)
{
    enum { ZEROS = 5000 };
    struct jpeg_decoder *decoder = new_decoder();
    struct bytes file = sample(SMALL " colour=1");
    size_t rows = file.length - 2;
    uint8_t *padded = calloc(1, file.length + ZEROS);
    ck_assert_ptr_nonnull(padded);
    for (size_t length = find_marker(file, 0xda) + 14; length <= rows; length++) {
        memcpy(padded, file.data, length);
        uint32_t sum = 0;
        int code = decode(decoder, (struct bytes){padded, length + ZEROS}, &limits, &sum, NULL);
        ck_assert_msg(code == (length < rows ? ERR_IMAGE_UNDECODABLE : 0), "%zu: %d", length, code);
    }
    jpeg_decoder_destroy(decoder);
    free(padded);
    free(file.data);
}
END_TEST

START_TEST(a_component_without_a_scan_is_refused)
{
    struct bytes file = sample("width=16 height=16 colour=1 scans=1");
    size_t last = file.length - 2;
    while (file.data[last] != 0xff || file.data[last + 1] != 0xda)
        last--;
    splice(&file, last, file.length - 2 - last, "", 0);
    struct error err;
    ck_assert_int_eq(decode_alone(file, &err), ERR_IMAGE_UNDECODABLE);
    ck_assert_ptr_nonnull(strstr(err.message, "no scan"));
    free(file.data);
}
END_TEST

START_TEST(ten_thousand_markers_are_passed_over)
{
    struct bytes file = sample("width=16 height=16 colour=1 app_markers=10000 orientation=6");
    struct jpeg_decoder *decoder = new_decoder();
    struct jpeg_header header;
    ck_assert_uint_gt(file.length, 100000);
    ck_assert_int_eq(jpeg_decoder_open(decoder, file.data, file.length, &limits, &header, NULL),
                     ERR_OK);
    ck_assert_int_eq(header.orientation, 6);
    jpeg_decoder_destroy(decoder);
    free(file.data);
}
END_TEST

/* What reading each takes must not grow with the number of those before it. */
START_TEST(many_exif_segments_are_passed_over)
{
    enum { COUNT = 200000, BYTES = 4, MAX_SECONDS = 5 };
    struct bytes file = sample("width=16 height=16 colour=1 orientation=6");
    char *segments = malloc((size_t)COUNT * BYTES);
    for (size_t i = 0; i < COUNT; i++)
        memcpy(segments + i * BYTES, "\xff\xe1\0\x02", BYTES);
    splice(&file, 2, 0, segments, (size_t)COUNT * BYTES);
    struct jpeg_decoder *decoder = new_decoder();
    struct jpeg_header header;
    clock_t start = clock();
    ck_assert_int_eq(jpeg_decoder_open(decoder, file.data, file.length, &limits, &header, NULL),
                     ERR_OK);
    ck_assert_int_lt(clock() - start, MAX_SECONDS * CLOCKS_PER_SEC);
    ck_assert_int_eq(header.orientation, 6);
    jpeg_decoder_destroy(decoder);
    free(segments);
    free(file.data);
}
END_TEST

START_TEST(the_first_exif_segment_counts)
{
    struct bytes file = sample("width=16 height=16 colour=1 orientation=6");
    static const char other[] = "\xff\xe1\0\x22"
                                "Exif\0\0MM\0*\0\0\0\x08\0\1\1\x12\0\3\0\0\0\1\0\3\0\0\0\0\0\0";
    struct jpeg_decoder *decoder = new_decoder();
    struct jpeg_header header;
    splice(&file, 2, 0, other, sizeof other - 1);
    ck_assert_int_eq(jpeg_decoder_open(decoder, file.data, file.length, &limits, &header, NULL),
                     ERR_OK);
    ck_assert_int_eq(header.orientation, 3);
    jpeg_decoder_destroy(decoder);
    free(file.data);
    decoder = new_decoder(); /* and one that runs out of the file is a damaged file */
    ck_assert_int_eq(jpeg_decoder_open(decoder,
                                       (const uint8_t *)"\xff\xd8\xff\xe1\0\x22"
                                                        "Exif\0",
                                       11, &limits, &header, NULL),
                     ERR_IMAGE_UNDECODABLE);
    jpeg_decoder_destroy(decoder);
}
END_TEST

START_TEST(tables_of_the_last_picture_are_not_used)
{
    struct jpeg_decoder *decoder = new_decoder();
    struct bytes good = sample("width=16 height=16 colour=1");
    struct bytes bare = sample("width=16 height=16 colour=1");
    uint32_t sum = 0;
    remove_segments(&bare, 0xdb, 2);
    ck_assert_int_eq(decode(decoder, good, &limits, &sum, NULL), ERR_OK);
    ck_assert_int_eq(decode(decoder, bare, &limits, &sum, NULL), ERR_IMAGE_UNDECODABLE);
    jpeg_decoder_destroy(decoder);
    free(good.data);
    free(bare.data);
}
END_TEST

/* As Motion JPEG has it: a file that relies on the standard Huffman tables. */
START_TEST(missing_huffman_tables_are_the_standard_ones)
{
    struct jpeg_decoder *decoder = new_decoder();
    struct bytes full = sample("width=16 height=16 colour=1");
    struct bytes bare = sample("width=16 height=16 colour=1");
    struct bytes own_tables = sample("width=16 height=16 colour=1 optimize=1 seed=7");
    uint32_t want = 0, got = 0, other = 0;
    remove_segments(&bare, 0xc4, 4);
    ck_assert_int_eq(decode(decoder, full, &limits, &want, NULL), ERR_OK);
    ck_assert_int_eq(decode(decoder, own_tables, &limits, &other, NULL), ERR_OK);
    ck_assert_int_eq(decode(decoder, bare, &limits, &got, NULL), ERR_OK);
    ck_assert_uint_eq(got, want);
    jpeg_decoder_destroy(decoder);
    free(full.data);
    free(bare.data);
    free(own_tables.data);
}
END_TEST

/* Whoever is asked, and says no when it was asked `max` times before. */
struct patience {
    int asked, max;
};

static bool is_patient(void *arg)
{
    struct patience *p = arg;
    return p->asked++ < p->max;
}

START_TEST(decoding_goes_on_only_while_it_is_told_to)
{
    enum { ROWS = 600, ALWAYS = 1 << 30 };
    struct jpeg_decoder *decoder = new_decoder();
    const char *const samples[] = {"width=600 height=600 colour=1 scans=2",
                                   "width=600 height=600 colour=1 scans=1",
                                   "width=600 height=600 colour=1"};
    for (size_t i = 0; i < sizeof samples / sizeof samples[0]; i++) {
        struct bytes file = sample(samples[i]);
        uint32_t sum = 0;
        struct patience patience = {.max = ALWAYS};
        const struct jpeg_limits within = {1000000, is_patient, &patience};
        ck_assert_int_eq(decode(decoder, file, &within, &sum, NULL), ERR_OK);
        int all = patience.asked;
        ck_assert_int_ge(all, ROWS);
        for (int max = 0; max < all; max += max < 3 ? 1 : all / 7) {
            patience = (struct patience){.max = max};
            ck_assert_int_eq(decode(decoder, file, &within, &sum, NULL), ERR_DEADLINE);
            ck_assert_int_eq(patience.asked, max + 1);
        }
        free(file.data);
    }
    jpeg_decoder_destroy(decoder);
}
END_TEST

START_TEST(dct_scaling_rounds_sizes_up)
{
    struct jpeg_decoder *decoder = new_decoder();
    struct bytes file = sample("width=33 height=17 colour=1");
    static const struct {
        int eighths, width, height;
    } cases[] = {{8, 33, 17}, {4, 17, 9}, {2, 9, 5}, {1, 5, 3}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct jpeg_header header;
        int width, height;
        ck_assert_int_eq(jpeg_decoder_open(decoder, file.data, file.length, &limits, &header, NULL),
                         0);
        ck_assert_int_eq(jpeg_decoder_start(decoder, cases[i].eighths, &width, &height, NULL),
                         ERR_OK);
        ck_assert_int_eq(width, cases[i].width);
        ck_assert_int_eq(height, cases[i].height);
        jpeg_decoder_close(decoder);
    }
    jpeg_decoder_destroy(decoder);
    free(file.data);
}
END_TEST

TEST_MAIN("image/jpeg", 120, what_is_no_jpeg_is_named, a_file_cut_anywhere_is_refused,
          missing_data_before_the_end_marker_are_refused, no_flipped_bit_is_a_fault_of_ours,
          headers_that_cannot_be_served_are_refused, two_components_have_no_colours,
          a_thousand_scans_are_given_up, scans_read_32_samples_for_each_of_max_pixels,
          what_is_around_the_picture_does_not_matter,
          what_stands_instead_of_the_end_does_not_matter, zeros_instead_of_the_rest_are_refused,
          a_component_without_a_scan_is_refused, ten_thousand_markers_are_passed_over,
          many_exif_segments_are_passed_over, the_first_exif_segment_counts,
          tables_of_the_last_picture_are_not_used, missing_huffman_tables_are_the_standard_ones,
          decoding_goes_on_only_while_it_is_told_to, dct_scaling_rounds_sizes_up)
