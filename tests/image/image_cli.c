/* What the comparison with the reference needs of src/image, for any specification:
 *   image_cli make KEY=VALUE...        writes a sample JPEG (samples.h) to standard output;
 *                                      picture=FILE draws the RGB bytes of the file
 *   image_cli pixels SIZE RESIZE bilinear|bicubic center|squash[-floor] ignore|apply exact|fast
 *                    13|12.2|9.4 FILE... [-- SIZE ...]
 *   image_cli witness FILE...
 * `pixels` writes a P6 PPM for each file, or a line "error CODE MESSAGE"; `witness` a line each,
 * see witness.h. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "image/preprocess.h"
#include "tests/image/samples.h"
#include "tests/image/witness.h"

static struct bytes read_file(const char *path)
{
    struct bytes file = {0};
    FILE *stream = fopen(path, "rb");
    if (stream && fseek(stream, 0, SEEK_END) == 0) {
        file.length = (size_t)ftell(stream);
        file.data = malloc(file.length + 1);
        rewind(stream);
        if (file.data && fread(file.data, 1, file.length, stream) != file.length)
            file.length = 0;
    }
    if (stream)
        fclose(stream);
    return file;
}

/* "picture=FILE": pixels for as many as width and height say, which must come before. */
static bool take_picture(struct sample *sample, struct bytes *picture, const char *word)
{
    const char key[] = "picture=";
    if (strncmp(word, key, sizeof key - 1) != 0)
        return false;
    free(picture->data);
    *picture = read_file(word + sizeof key - 1);
    sample->rgb = picture->data;
    return picture->length == 3 * (size_t)sample->width * (size_t)sample->height;
}

static int make(int count, char **words)
{
    struct sample sample = {0};
    struct bytes picture = {0};
    for (int i = 0; i < count; i++) {
        if (!take_picture(&sample, &picture, words[i]) && !sample_parse(&sample, words[i]))
            return EXIT_FAILURE;
    }
    struct bytes file = sample_make(&sample);
    size_t written = fwrite(file.data, 1, file.length, stdout);
    free(file.data);
    free(picture.data);
    return written == file.length ? EXIT_SUCCESS : EXIT_FAILURE;
}

static void print_pixels(struct preprocessor *p, const struct preprocess_spec *spec,
                         const struct preprocess_options *options, const char *path, uint8_t *rgb)
{
    struct bytes file = read_file(path);
    struct preprocess_report report;
    struct error err;
    int code = preprocessor_run(p, spec, options, file.data, file.length, rgb, &report, &err);
    if (code) {
        printf("error %s %s\n", error_json_code(code), err.message);
    } else {
        printf("P6\n%d %d\n255\n", spec->size, spec->size);
        fwrite(rgb, 3, (size_t)spec->size * (size_t)spec->size, stdout);
    }
    fprintf(stderr, "%s: %d x %d, decode %.3f ms, preprocess %.3f ms\n", path, report.width,
            report.height, (double)report.decode_ns / 1e6, (double)report.preprocess_ns / 1e6);
    free(file.data);
}

static int pixels_as_said(int count, char **words)
{
    if (count < 8)
        return EXIT_FAILURE;
    struct preprocess_spec spec = {
        .size = atoi(words[0]),
        .resize = atoi(words[1]),
        .interpolation =
            strcmp(words[2], "bicubic") == 0 ? INTERPOLATION_BICUBIC : INTERPOLATION_BILINEAR,
        .crop_mode = strncmp(words[3], "squash", 6) == 0 ? CROP_SQUASH : CROP_CENTER,
        .crop_offset = strstr(words[3], "-floor") ? CROP_OFFSET_FLOOR : CROP_OFFSET_EVEN,
    };
    const struct preprocess_options options = {
        .limits.max_pixels = 100000000,
        .orientation = strcmp(words[4], "apply") == 0 ? EXIF_APPLY : EXIF_IGNORE,
        .decode = strcmp(words[5], "fast") == 0 ? DECODE_FAST : DECODE_EXACT,
        .pillow = strcmp(words[6], "9.4") == 0    ? PILLOW_9_4
                  : strcmp(words[6], "12.2") == 0 ? PILLOW_12_2
                                                  : PILLOW_13,
    };
    struct preprocessor *p;
    uint8_t *rgb = malloc((size_t)spec.size * (size_t)spec.size * 3);
    if (!rgb || preprocessor_create(&p, NULL))
        return EXIT_FAILURE;
    for (int i = 7; i < count; i++)
        print_pixels(p, &spec, &options, words[i], rgb);
    preprocessor_destroy(p);
    free(rgb);
    return EXIT_SUCCESS;
}

static int pixels(int count, char **words)
{
    int code = EXIT_SUCCESS;
    for (int begin = 0, end; code == EXIT_SUCCESS && begin < count; begin = end + 1) {
        for (end = begin; end < count && strcmp(words[end], "--") != 0;)
            end++;
        code = pixels_as_said(end - begin, words + begin);
    }
    return code;
}

static int witness(int count, char **words)
{
    for (int i = 0; i < count; i++) {
        struct bytes file = read_file(words[i]);
        witness_print(file);
        free(file.data);
    }
    return EXIT_SUCCESS;
}

int main(int argc, char **argv)
{
    if (argc > 2 && strcmp(argv[1], "make") == 0)
        return make(argc - 2, argv + 2);
    if (argc > 2 && strcmp(argv[1], "pixels") == 0)
        return pixels(argc - 2, argv + 2);
    if (argc > 2 && strcmp(argv[1], "witness") == 0)
        return witness(argc - 2, argv + 2);
    return EXIT_FAILURE;
}
