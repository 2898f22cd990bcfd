#include "tests/image/samples.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jpeglib.h>

#include "base/check.h"

enum { COMPONENTS_MAX = 4, SCRIPT_MAX = 3000 };

static uint8_t smooth_value(int x, int y, int component)
{
    int phase = (3 * x + (5 + 3 * component) * y + 200 * component) % 1000;
    return (uint8_t)(phase < 500 ? phase / 2 : (999 - phase) / 2);
}

/* Smooth in some places, noise in others, saturated in a few. */
static uint8_t sample_value(const struct sample *sample, int x, int y, int component)
{
    uint32_t hash = sample->seed + (uint32_t)x * 0x9e3779b1u + (uint32_t)y * 0x85ebca77u +
                    (uint32_t)component * 0xc2b2ae3du;
    hash = (hash ^ hash >> 15) * 0x2c1b3c6du;
    hash ^= hash >> 13;
    int smooth =
        x * (3 + component) + y * (5 - component) + component * 50 + (int)(sample->seed % 97);
    int noise = (int)(hash % 160) - 80;
    int value = (x / 16 + y / 16) % 3 == 0 ? smooth % 256 : smooth / 2 % 256 + noise;
    return (uint8_t)(value < 0 ? 0 : value > 255 ? 255 : value);
}

static void set_colours(struct jpeg_compress_struct *info, enum sample_colour colour)
{
    static const struct {
        J_COLOR_SPACE in, file;
        int components;
    } spaces[] = {
        [SAMPLE_GRAY] = {JCS_GRAYSCALE, JCS_GRAYSCALE, 1},
        [SAMPLE_YCC] = {JCS_RGB, JCS_YCbCr, 3},
        [SAMPLE_RGB] = {JCS_RGB, JCS_RGB, 3},
        [SAMPLE_CMYK] = {JCS_CMYK, JCS_CMYK, 4},
        [SAMPLE_YCCK] = {JCS_CMYK, JCS_YCCK, 4},
        [SAMPLE_TWO] = {JCS_UNKNOWN, JCS_UNKNOWN, 2},
    };
    info->in_color_space = spaces[colour].in;
    info->input_components = spaces[colour].components;
    jpeg_set_defaults(info);
    jpeg_set_colorspace(info, spaces[colour].file);
}

static void set_sampling(struct jpeg_compress_struct *info, const struct sample *sample)
{
    for (int i = 0; i < info->num_components; i++) {
        /* K of YCCK has the resolution of Y. */
        const int *sampling = sample->sampling[i == 0 || i == 3 ? 0 : 1];
        info->comp_info[i].h_samp_factor = sampling[0] ? sampling[0] : 1;
        info->comp_info[i].v_samp_factor = sampling[1] ? sampling[1] : 1;
    }
}

static int add_scan(jpeg_scan_info *scans, int count, jpeg_scan_info scan)
{
    CHECK(count < SCRIPT_MAX);
    scans[count] = scan;
    return count + 1;
}

static int separate_script(jpeg_scan_info *scans, int components)
{
    int count = 0;
    for (int c = 0; c < components; c++)
        count = add_scan(scans, count,
                         (jpeg_scan_info){.comps_in_scan = 1, .component_index = {c}, .Se = 63});
    return count;
}

static int many_scans_script(jpeg_scan_info *scans, int components)
{
    int count = 0;
    for (int c = 0; c < components; c++) {
        for (int k = 0; k < 64; k++) {
            for (int bit = 6; bit >= 0; bit--)
                count = add_scan(scans, count,
                                 (jpeg_scan_info){.comps_in_scan = 1,
                                                  .component_index = {c},
                                                  .Ss = k,
                                                  .Se = k,
                                                  .Ah = bit == 6 ? 0 : bit + 1,
                                                  .Al = bit});
        }
    }
    return count;
}

static void set_scans(struct jpeg_compress_struct *info, enum sample_scans scans,
                      jpeg_scan_info *script)
{
    if (scans == SAMPLE_PROGRESSIVE)
        jpeg_simple_progression(info);
    else if (scans == SAMPLE_SEPARATE)
        info->num_scans = separate_script(script, info->num_components);
    else if (scans == SAMPLE_MANY_SCANS)
        info->num_scans = many_scans_script(script, info->num_components);
    if (scans == SAMPLE_SEPARATE || scans == SAMPLE_MANY_SCANS)
        info->scan_info = script;
}

static void write_markers(struct jpeg_compress_struct *info, const struct sample *sample)
{
    const uint8_t exif[] = {
        'E', 'x', 'i', 'f',  0,    0, 'M', 'M', 0, 42, 0, 0, 0,
        8,   0,   1,   0x01, 0x12, 0, 3,   0,   0, 0,  1, 0, (uint8_t)sample->orientation,
        0,   0,   0,   0,    0,    0};
    if (sample->orientation)
        jpeg_write_marker(info, JPEG_APP0 + 1, exif, sizeof exif);
    for (int i = 0; i < sample->app_markers; i++)
        jpeg_write_marker(info, JPEG_APP0 + 4, (const uint8_t *)"filler", 6);
}

static uint8_t pixel_value(const struct sample *sample, int x, int y, int component)
{
    if (sample->rgb)
        return sample
            ->rgb[3 * ((size_t)y * (size_t)sample->width + (size_t)x) + (size_t)component % 3];
    return sample->smooth ? smooth_value(x, y, component) : sample_value(sample, x, y, component);
}

static void write_rows(struct jpeg_compress_struct *info, const struct sample *sample)
{
    int components = info->input_components;
    uint8_t *row = malloc((size_t)sample->width * COMPONENTS_MAX);
    CHECK(row);
    for (int y = 0; y < sample->height; y++) {
        for (int x = 0; x < sample->width; x++) {
            for (int c = 0; c < components; c++)
                row[x * components + c] = pixel_value(sample, x, y, c);
        }
        jpeg_write_scanlines(info, &row, 1);
    }
    free(row);
}

struct bytes sample_make(const struct sample *sample)
{
    struct jpeg_error_mgr errors;
    struct jpeg_compress_struct info = {.err = jpeg_std_error(&errors)};
    jpeg_scan_info *script = calloc(SCRIPT_MAX, sizeof *script);
    unsigned char *data = NULL;
    unsigned long length = 0;
    CHECK(script);
    jpeg_create_compress(&info);
    jpeg_mem_dest(&info, &data, &length);
    info.image_width = (JDIMENSION)sample->width;
    info.image_height = (JDIMENSION)sample->height;
    set_colours(&info, sample->colour);
    jpeg_set_quality(&info, sample->quality ? sample->quality : 90, TRUE);
    set_sampling(&info, sample);
    set_scans(&info, sample->scans, script);
    info.arith_code = sample->arithmetic;
    info.optimize_coding = sample->optimize;
    info.restart_in_rows = sample->restart_rows;
    info.restart_interval = (unsigned)sample->restart_blocks;
    jpeg_start_compress(&info, TRUE);
    write_markers(&info, sample);
    write_rows(&info, sample);
    jpeg_finish_compress(&info);
    jpeg_destroy_compress(&info);
    free(script);
    return (struct bytes){data, length};
}

static bool parse_word(struct sample *sample, const char *word)
{
    int value = 0, *s = &sample->sampling[0][0];
    if (sscanf(word, "sampling=%dx%d,%dx%d", s, s + 1, s + 2, s + 3) == 4)
        return true;
    const struct {
        const char *format;
        int *number;
    } numbers[] = {{"width=%d", &sample->width},
                   {"height=%d", &sample->height},
                   {"quality=%d", &sample->quality},
                   {"restart_rows=%d", &sample->restart_rows},
                   {"restart_blocks=%d", &sample->restart_blocks},
                   {"orientation=%d", &sample->orientation},
                   {"app_markers=%d", &sample->app_markers}};
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        if (sscanf(word, numbers[i].format, numbers[i].number) == 1)
            return true;
    }
    if (sscanf(word, "colour=%d", &value) == 1)
        sample->colour = (enum sample_colour)value;
    else if (sscanf(word, "scans=%d", &value) == 1)
        sample->scans = (enum sample_scans)value;
    else if (sscanf(word, "arithmetic=%d", &value) == 1)
        sample->arithmetic = value;
    else if (sscanf(word, "optimize=%d", &value) == 1)
        sample->optimize = value;
    else if (sscanf(word, "smooth=%d", &value) == 1)
        sample->smooth = value;
    else
        return sscanf(word, "seed=%u", &sample->seed) == 1;
    return true;
}

bool sample_parse(struct sample *sample, const char *words)
{
    char *copy = strdup(words), *rest = NULL;
    CHECK(copy);
    bool good = true;
    for (char *word = strtok_r(copy, " ", &rest); word; word = strtok_r(NULL, " ", &rest))
        good = good && parse_word(sample, word);
    free(copy);
    return good;
}
