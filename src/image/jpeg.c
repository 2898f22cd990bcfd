#include "image/jpeg.h"

#include <limits.h>
#include <setjmp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jpeglib.h>

#include <jerror.h>

#include "base/check.h"
#include "base/jpeg_start.h"

struct jpeg_decoder {
    struct jpeg_decompress_struct info;
    struct jpeg_error_mgr callbacks;
    struct jpeg_progress_mgr progress;
    jmp_buf escape; /* set in guarded() */
    struct error failure;
    struct jpeg_limits limits;
    enum orientation orientation; /* of the first EXIF segment; 0 if there was none */
    unsigned coded;               /* bit i: a scan has had component i's DC coefficients */
    bool open;
    bool zeros_follow; /* the file ends with zeros, which libjpeg is not given */
    bool may_end;      /* zeros may follow the last row, so that the end of the data is no error */
};

static _Noreturn void escape(struct jpeg_decoder *decoder)
{
    longjmp(decoder->escape, 1);
}

/* Runs `body`, the only place from which libjpeg is called: its errors jump back to here. Bodies
 * are functions of their own, so that no local variable is alive across the jump. */
static int guarded(struct jpeg_decoder *decoder, void (*body)(struct jpeg_decoder *, void *),
                   void *argument, struct error *err)
{
    if (setjmp(decoder->escape)) {
        if (err)
            *err = decoder->failure;
        return decoder->failure.code;
    }
    body(decoder, argument);
    return ERR_OK;
}

static void describe_failure(struct jpeg_decoder *decoder, int message_code, const char *text)
{
    struct error *failure = &decoder->failure;
    switch (message_code) {
    case JERR_OUT_OF_MEMORY:
        error_set(failure, ERR_NO_MEMORY, "no memory to decode the JPEG");
        break;
    case JERR_NO_BACKING_STORE:
        error_set(failure, ERR_IMAGE_TOO_LARGE,
                  "decoding the JPEG takes more memory than max_pixels allows for; send a smaller "
                  "or a baseline one");
        break;
    case JERR_BAD_PRECISION:
    case JERR_SOF_UNSUPPORTED:
    case JERR_CONVERSION_NOTIMPL:
        error_set(failure, ERR_IMAGE_UNDECODABLE,
                  "the JPEG is of a kind that is not supported (%s); send an 8-bit baseline or "
                  "progressive one",
                  text);
        break;
    case JWRN_JPEG_EOF:
        error_set(failure, ERR_IMAGE_UNDECODABLE,
                  "the JPEG ends early; send the whole file (curl -d drops bytes, --data-binary "
                  "does not)");
        break;
    default:
        error_set(failure, ERR_IMAGE_UNDECODABLE, "the JPEG is damaged (%s); send an intact file",
                  text);
    }
}

static void on_error(j_common_ptr info)
{
    struct jpeg_decoder *decoder = info->client_data;
    char text[JMSG_LENGTH_MAX];
    info->err->format_message(info, text);
    describe_failure(decoder, info->err->msg_code, text);
    escape(decoder);
}

/* Whether libjpeg decodes a scan that is out of order correctly. It does not if the scan refines AC
 * coefficients, because its number of bits depends on the scans before it. */
static bool is_read_rightly(const struct jpeg_decompress_struct *info)
{
    bool only_lacks_dc = info->err->msg_parm.i[1] == 0; /* the coefficient that is warned of */
    return info->Ss == 0 || info->Ah == 0 || only_lacks_dc;
}

/* Whether the coded data are intact in spite of a warning. libjpeg warns already when it looks
 * ahead at the end of the file; when it has to make up data, it gives another warning. */
static bool is_harmless(const struct jpeg_decoder *decoder)
{
    switch (decoder->callbacks.msg_code) {
    case JWRN_EXTRANEOUS_DATA:
    case JWRN_ADOBE_XFORM:
    case JWRN_JFIF_MAJOR:
    case JWRN_NOT_SEQUENTIAL:
        return true;
    case JWRN_BOGUS_PROGRESSION:
        return is_read_rightly(&decoder->info);
    case JWRN_JPEG_EOF:
        return decoder->may_end;
    default:
        return false;
    }
}

static void on_message(j_common_ptr info, int level)
{
    bool is_warning = level < 0;
    if (is_warning && !is_harmless(info->client_data))
        on_error(info);
}

/* libjpeg would print to standard error. */
static void on_output(j_common_ptr info)
{
    (void)info;
}

static void ask_to_go_on(struct jpeg_decoder *decoder)
{
    const struct jpeg_limits *limits = &decoder->limits;
    if (!limits->go_on || limits->go_on(limits->arg))
        return;
    error_set(&decoder->failure, ERR_DEADLINE, "decoding the JPEG was given up");
    escape(decoder);
}

/* Called at least once per scan if a picture has several. */
static void note_components(struct jpeg_decoder *decoder)
{
    const struct jpeg_decompress_struct *info = &decoder->info;
    bool has_dc = info->Ss == 0 && info->Ah == 0;
    for (int i = 0; has_dc && i < info->comps_in_scan; i++)
        decoder->coded |= 1u << info->cur_comp_info[i]->component_index;
}

static void on_progress(j_common_ptr info)
{
    struct jpeg_decoder *decoder = info->client_data;
    note_components(decoder);
    ask_to_go_on(decoder);
}

int jpeg_decoder_create(struct jpeg_decoder **out, struct error *err)
{
    struct jpeg_decoder *decoder = calloc(1, sizeof *decoder);
    *out = decoder;
    return decoder ? ERR_OK : error_set(err, ERR_NO_MEMORY, "no memory for a JPEG decoder");
}

void jpeg_decoder_destroy(struct jpeg_decoder *decoder)
{
    if (!decoder)
        return;
    jpeg_decoder_close(decoder);
    free(decoder);
}

void jpeg_decoder_close(struct jpeg_decoder *decoder)
{
    if (decoder->open)
        jpeg_destroy_decompress(&decoder->info);
    decoder->open = false;
}

/* Coefficients have 2 bytes, in up to 4 components. The rest is for blocks that extend past the
 * edges, and for rows. */
uint64_t jpeg_decoder_memory(uint64_t max_pixels)
{
    const uint64_t bytes_per_pixel = 8, fixed = 32u << 20;
    bool fits = max_pixels < (LONG_MAX - fixed) / bytes_per_pixel;
    return fits ? max_pixels * bytes_per_pixel + fixed : LONG_MAX;
}

/* Reads an APP1 segment where it lies in memory. libjpeg would keep all segments, which takes time
 * quadratic in their number. If the segment is longer than the file, libjpeg notices when it skips
 * the missing bytes. */
static boolean on_app1(j_decompress_ptr info)
{
    enum { LENGTH_BYTES = 2 }; /* they count themselves */
    struct jpeg_decoder *decoder = info->client_data;
    const uint8_t *segment = info->src->next_input_byte;
    size_t left = info->src->bytes_in_buffer, length = LENGTH_BYTES;
    if (left >= LENGTH_BYTES)
        length = (size_t)segment[0] << 8 | segment[1];
    if (length < LENGTH_BYTES)
        length = LENGTH_BYTES;
    if (length <= left && !decoder->orientation)
        decoder->orientation =
            (enum orientation)orientation_parse(segment + LENGTH_BYTES, length - LENGTH_BYTES);
    info->src->skip_input_data(info, (long)length);
    return TRUE;
}

/* A file whose upload or disk failed often ends with zeros. libjpeg would decode them: most are
 * codes of flat blocks. */
static size_t length_without_zeros(const uint8_t *bytes, size_t length)
{
    while (length > 0 && bytes[length - 1] == 0)
        length--;
    return length;
}

struct source {
    const uint8_t *bytes;
    size_t length;
};

/* A new libjpeg object for every picture: tables live as long as the object, and a file without its
 * own must not be decoded with those of another client. */
static void open_source(struct jpeg_decoder *decoder, void *argument)
{
    const struct source *source = argument;
    struct jpeg_decompress_struct *info = &decoder->info;
    memset(info, 0, sizeof *info);
    info->err = jpeg_std_error(&decoder->callbacks);
    decoder->callbacks.error_exit = on_error;
    decoder->callbacks.emit_message = on_message;
    decoder->callbacks.output_message = on_output;
    info->client_data = decoder;
    decoder->open = true;
    jpeg_create_decompress(info);
    decoder->progress.progress_monitor = on_progress;
    info->progress = &decoder->progress;
    info->mem->max_memory_to_use = (long)jpeg_decoder_memory(decoder->limits.max_pixels);
    ask_to_go_on(decoder);
    jpeg_mem_src(info, source->bytes, source->length);
    jpeg_set_marker_processor(info, JPEG_APP0 + 1, on_app1);
    jpeg_read_header(info, TRUE);
}

/* The number of scans of a file, and the sum of their components. */
struct scans {
    uint64_t count, components;
};

/* Adds the scans that follow what libjpeg has read. It finds markers as libjpeg does: 0xff bytes
 * and a code. Code 0 and those of restarts are part of the coded data. */
static void count_scans(const uint8_t *p, const uint8_t *end, struct scans *scans)
{
    enum { TEM = 0x01, SOS = 0xda, LENGTH_BYTES = 2 };
    while (p < end && (p = memchr(p, 0xff, (size_t)(end - p)))) {
        while (p < end && *p == 0xff)
            p++;
        int code = p < end ? *p++ : JPEG_EOI;
        bool is_alone = code <= TEM || (JPEG_RST0 <= code && code <= JPEG_RST0 + 7);
        if (code == JPEG_EOI || (!is_alone && end - p <= LENGTH_BYTES))
            return;
        if (is_alone)
            continue;
        scans->count += code == SOS;
        scans->components += code == SOS ? p[LENGTH_BYTES] : 0;
        size_t length = (size_t)p[0] << 8 | p[1], left = (size_t)(end - p);
        p += length < LENGTH_BYTES ? LENGTH_BYTES : length < left ? length : left;
    }
}

/* Each scan, even of a few bytes, is a pass over the coefficients of its components. */
static int check_scans(struct jpeg_decoder *decoder, const struct jpeg_limits *limits,
                       const struct jpeg_header *header, struct error *err)
{
    struct jpeg_decompress_struct *info = &decoder->info;
    struct scans scans = {1, (uint64_t)info->comps_in_scan};
    if (!jpeg_has_multiple_scans(info))
        return ERR_OK;
    count_scans(info->src->next_input_byte, info->src->next_input_byte + info->src->bytes_in_buffer,
                &scans);
    if (scans.count > JPEG_SCANS_MAX)
        return error_set(err, ERR_IMAGE_UNDECODABLE,
                         "the JPEG has more than %d scans; save it again", JPEG_SCANS_MAX);
    uint64_t samples = scans.components * (uint64_t)header->width * (uint64_t)header->height;
    if (samples / JPEG_SCAN_SAMPLES > limits->max_pixels)
        return error_set(err, ERR_IMAGE_TOO_LARGE,
                         "the %d scans of the JPEG read %llu samples, more than %d for each of "
                         "max_pixels (%llu); send a baseline one or raise the limit",
                         (int)scans.count, (unsigned long long)samples, JPEG_SCAN_SAMPLES,
                         (unsigned long long)limits->max_pixels);
    return ERR_OK;
}

static int check_header(struct jpeg_decoder *decoder, const struct jpeg_limits *limits,
                        const struct jpeg_header *header, struct error *err)
{
    if ((uint64_t)header->width * (uint64_t)header->height > limits->max_pixels)
        return error_set(err, ERR_IMAGE_TOO_LARGE,
                         "the JPEG has %d x %d pixels, more than max_pixels (%llu); send a smaller "
                         "one or raise the limit",
                         header->width, header->height, (unsigned long long)limits->max_pixels);
    int components = decoder->info.num_components;
    if (components != 1 && components != 3 && components != 4)
        return error_set(err, ERR_IMAGE_UNDECODABLE,
                         "the JPEG has %d components; send one with 1 (gray), 3 or 4 (CMYK)",
                         components);
    return check_scans(decoder, limits, header, err);
}

/* What other kinds of files start with. A '?' matches any byte. */
static const struct {
    const char *name, *magic;
    size_t length;
} other_kinds[] = {
    {"a PNG", "\x89PNG", 4},
    {"a GIF", "GIF8", 4},
    {"a WebP", "RIFF????WEBP", 12},
    {"a HEIC", "????ftyphei", 11},
    {"a HEIC", "????ftyphev", 11},
    {"a HEIC", "????ftypmif1", 12},
    {"an AVIF", "????ftypavi", 11},
    {"a JPEG 2000", "????jP  ", 8},
    {"a JPEG XL", "????JXL ", 8},
    {"a JPEG XL", "\xff\x0a", 2},
    {"a PDF", "%PDF", 4},
    {"a TIFF", "II*\0", 4},
    {"a TIFF", "MM\0*", 4},
    {"a BMP", "BM????\0\0\0\0", 10},
    {"an SVG", "<svg", 4},
    {"an HTML or XML document", "<", 1},
    {"JSON", "{", 1},
};

static bool starts_with(const uint8_t *bytes, size_t length, const char *magic, size_t magic_length)
{
    if (length < magic_length)
        return false;
    for (size_t i = 0; i < magic_length; i++)
        if (magic[i] != '?' && bytes[i] != (uint8_t)magic[i])
            return false;
    return true;
}

/* ERR_NOT_JPEG unless a file starts like a JPEG; the message says what it looks like instead. */
static int check_start(const uint8_t *bytes, size_t length, struct error *err)
{
    /* A file may end after SOI, and is then a damaged one. */
    size_t known = length == 2 ? 2 : JPEG_START_LENGTH;
    if (starts_with(bytes, length, JPEG_START, known))
        return ERR_OK;
    if (length == 0)
        return error_set(err, ERR_NOT_JPEG, "there are no bytes; send a JPEG");
    for (size_t i = 0; i < sizeof other_kinds / sizeof other_kinds[0]; i++)
        if (starts_with(bytes, length, other_kinds[i].magic, other_kinds[i].length))
            return error_set(err, ERR_NOT_JPEG, "this looks like %s; send a JPEG",
                             other_kinds[i].name);
    return error_set(err, ERR_NOT_JPEG, "this does not start like a JPEG; send a JPEG");
}

int jpeg_decoder_open(struct jpeg_decoder *decoder, const uint8_t *bytes, size_t length,
                      const struct jpeg_limits *limits, struct jpeg_header *header,
                      struct error *err)
{
    CHECK(!decoder->open);
    *header = (struct jpeg_header){.orientation = ORIENTATION_NORMAL};
    int code = check_start(bytes, length, err);
    if (code != ERR_OK)
        return code;
    decoder->limits = *limits;
    decoder->orientation = 0;
    decoder->coded = 0;
    struct source source = {bytes, length_without_zeros(bytes, length)};
    decoder->zeros_follow = source.length < length;
    decoder->may_end = false;
    code = guarded(decoder, open_source, &source, err);
    if (code != ERR_OK)
        return code;
    header->width = (int)decoder->info.image_width;
    header->height = (int)decoder->info.image_height;
    if (decoder->orientation)
        header->orientation = decoder->orientation;
    return check_header(decoder, limits, header, err);
}

/* libjpeg decodes a component without a scan as flat, and does not report it. */
static void check_components(struct jpeg_decoder *decoder)
{
    unsigned all = (1u << decoder->info.num_components) - 1;
    if (!jpeg_has_multiple_scans(&decoder->info) || decoder->coded == all)
        return;
    error_set(&decoder->failure, ERR_IMAGE_UNDECODABLE,
              "the JPEG has no scan of one of its components; send the whole file");
    escape(decoder);
}

static void start(struct jpeg_decoder *decoder, void *argument)
{
    const int *eighths = argument;
    struct jpeg_decompress_struct *info = &decoder->info;
    info->out_color_space = info->num_components == 4 ? JCS_CMYK : JCS_EXT_RGBX;
    info->scale_num = (unsigned)*eighths;
    info->scale_denom = JPEG_EIGHTHS_FULL;
    jpeg_start_decompress(info);
    check_components(decoder);
    decoder->may_end = decoder->zeros_follow && !jpeg_has_multiple_scans(info) && !info->arith_code;
    CHECK(info->output_components == 4);
}

int jpeg_decoder_start(struct jpeg_decoder *decoder, int eighths, int *width, int *height,
                       struct error *err)
{
    int code = guarded(decoder, start, &eighths, err);
    if (code != ERR_OK)
        return code;
    *width = (int)decoder->info.output_width;
    *height = (int)decoder->info.output_height;
    return ERR_OK;
}

/* round(a * b / 255) for 0 <= a, b <= 255. */
static unsigned scale_255(unsigned a, unsigned b)
{
    unsigned product = a * b + 128;
    return (product + (product >> 8)) >> 8;
}

/* Pixels of inverted CMYK to RGBX, in place. With C, M, Y, K not inverted the reference computes
 * (255 - K) - C * (255 - K) / 255, rounded; 255 - K is what the file has. */
static void convert_cmyk(uint8_t *pixels, size_t count)
{
    for (uint8_t *p = pixels; p < pixels + 4 * count; p += 4) {
        unsigned light = p[3];
        for (int i = 0; i < 3; i++)
            p[i] = (uint8_t)(light - scale_255(255u - p[i], light));
    }
}

struct batch {
    uint8_t *rgbx;
    JDIMENSION rows;
};

static void read_batch(struct jpeg_decoder *decoder, void *argument)
{
    const struct batch *batch = argument;
    struct jpeg_decompress_struct *info = &decoder->info;
    JSAMPROW row = batch->rgbx;
    for (JDIMENSION i = 0; i < batch->rows; i++, row += (size_t)info->output_width * 4)
        jpeg_read_scanlines(info, &row, 1);
    bool is_last = batch->rows > 0 && info->output_scanline == info->output_height;
    if (is_last && info->arith_code) /* it takes missing data for zeros, so check the end marker */
        jpeg_finish_decompress(info);
}

int jpeg_decoder_read(struct jpeg_decoder *decoder, uint8_t *rgbx, int max_rows, struct error *err)
{
    const struct jpeg_decompress_struct *info = &decoder->info;
    JDIMENSION left = info->output_height - info->output_scanline;
    struct batch batch = {rgbx, left < (JDIMENSION)max_rows ? left : (JDIMENSION)max_rows};
    int code = guarded(decoder, read_batch, &batch, err);
    if (code != ERR_OK)
        return code;
    if (info->out_color_space == JCS_CMYK)
        convert_cmyk(rgbx, (size_t)batch.rows * info->output_width);
    return (int)batch.rows;
}
