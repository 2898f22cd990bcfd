/* What preparing a picture costs beside what libjpeg-turbo alone takes to decode it, taken in turns
 * in one process; one line of JSON, medians in milliseconds.
 *   time_decode SIZE RESIZE bilinear|bicubic exact|fast SECONDS FILE */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jpeglib.h> /* wants stdio.h before it */

#include "base/clock.h"
#include "image/preprocess.h"
#include "tool/files.h"
#include "tool/statistics.h"

enum { MAX_TURNS = 10000, WARMUP = 3, MAX_PIXELS = 100000000 };

static int fail(const char *message)
{
    fprintf(stderr, "time_decode: %s\n", message);
    return EXIT_FAILURE;
}

/* Every row, as a program would that wants RGB and has no other wishes. An error ends the process,
 * libjpeg's default. */
static int64_t decode_bare(const struct file_bytes *file)
{
    struct jpeg_decompress_struct decoder;
    struct jpeg_error_mgr errors;
    int64_t start = clock_monotonic_ns();
    decoder.err = jpeg_std_error(&errors);
    jpeg_create_decompress(&decoder);
    jpeg_mem_src(&decoder, file->data, file->length);
    jpeg_read_header(&decoder, TRUE);
    decoder.out_color_space = JCS_RGB;
    jpeg_start_decompress(&decoder);
    JSAMPARRAY row =
        decoder.mem->alloc_sarray((j_common_ptr)&decoder, JPOOL_IMAGE, decoder.output_width * 3, 1);
    while (decoder.output_scanline < decoder.output_height)
        jpeg_read_scanlines(&decoder, row, 1);
    jpeg_finish_decompress(&decoder);
    jpeg_destroy_decompress(&decoder);
    return clock_monotonic_ns() - start;
}

struct job {
    struct preprocess_spec spec;
    struct preprocess_options options;
    struct preprocessor *preprocessor;
    struct file_bytes file;
    uint8_t *rgb;
    int64_t until_ns;
    int64_t ours[MAX_TURNS], bare[MAX_TURNS];
};

static int prepare(struct job *job, int64_t *ns, struct error *err)
{
    struct preprocess_report report;
    int64_t start = clock_monotonic_ns();
    int code = preprocessor_run(job->preprocessor, &job->spec, &job->options, job->file.data,
                                job->file.length, job->rgb, &report, err);
    *ns = clock_monotonic_ns() - start;
    return code;
}

static int measure(struct job *job, struct error *err)
{
    size_t turns = 0;
    for (int i = 0; i < WARMUP || (clock_monotonic_ns() < job->until_ns && turns < MAX_TURNS);
         i++) {
        int code = prepare(job, &job->ours[turns], err);
        if (code != ERR_OK)
            return code;
        job->bare[turns] = decode_bare(&job->file);
        turns += i + 1 >= WARMUP;
    }
    printf("{\"ours_ms\": %.5f, \"bare_ms\": %.5f}\n", statistics_of(job->ours, turns).median / 1e6,
           statistics_of(job->bare, turns).median / 1e6);
    return ERR_OK;
}

int main(int count, char **words)
{
    static struct job job;
    struct error err;
    if (count != 7)
        return fail("six words, please");
    job.spec = (struct preprocess_spec){
        .size = atoi(words[1]),
        .resize = atoi(words[2]),
        .interpolation =
            strcmp(words[3], "bicubic") == 0 ? INTERPOLATION_BICUBIC : INTERPOLATION_BILINEAR,
        .crop_mode = CROP_CENTER,
    };
    job.options = (struct preprocess_options){
        .limits.max_pixels = MAX_PIXELS,
        .decode = strcmp(words[4], "fast") == 0 ? DECODE_FAST : DECODE_EXACT,
    };
    if (job.spec.size < 1 || job.spec.resize < job.spec.size || job.spec.resize > 4096)
        return fail("1 <= SIZE <= RESIZE <= 4096");
    if (files_read(words[6], SIZE_MAX / 2, &job.file, &err) != ERR_OK ||
        preprocessor_create(&job.preprocessor, &err) != ERR_OK)
        return fail(err.message);
    job.rgb = malloc(3 * (size_t)job.spec.size * (size_t)job.spec.size);
    if (!job.rgb)
        return fail("no memory");
    job.until_ns = clock_monotonic_ns() + (int64_t)(atof(words[5]) * 1e9);
    int code = measure(&job, &err);
    preprocessor_destroy(job.preprocessor);
    free(job.file.data);
    free(job.rgb);
    return code == ERR_OK ? EXIT_SUCCESS : fail(err.message);
}
