#include "model/image_processor.h"

#include <sys/stat.h>

#include "tests/model/folder.h"
#include "tests/suite.h"

#define TYPE(name) "\"image_processor_type\":\"" name "\""
#define NUMBERS                                                                                    \
    "\"resample\":3,\"image_mean\":[0.485,0.456,0.406],\"image_std\":[0.229,0.224,0.225]"
#define CONVNEXT(rest) "{" TYPE("ConvNextImageProcessor") "," NUMBERS "," rest "}"
#define VIT(rest)      "{" TYPE("ViTImageProcessor") "," NUMBERS "," rest "}"
#define BIT(rest)      "{" TYPE("BitImageProcessor") "," NUMBERS "," rest "}"

static int parse(struct preprocess_spec *spec, const char *text, struct error *err)
{
    return image_processor_parse(spec, text, strlen(text), err);
}

static void check_geometry(const char *text, int size, int resize, enum crop_mode mode)
{
    struct preprocess_spec spec;
    struct error err;
    int code = parse(&spec, text, &err);
    ck_assert_msg(code == ERR_OK, "%s: %s", text, err.message);
    ck_assert_msg(spec.size == size && spec.resize == resize && spec.crop_mode == mode,
                  "%s: size %d, resize %d", text, spec.size, spec.resize);
    ck_assert_int_eq(spec.crop_offset, CROP_OFFSET_FLOOR);
}

static void check_refused(const char *text, int code, const char *says)
{
    struct preprocess_spec spec;
    struct error err;
    ck_assert_msg(parse(&spec, text, &err) == code, "%s is not refused so", text);
    ck_assert_msg(strstr(err.message, says) != NULL, "%s: %s", text, err.message);
}

static void check_served(const char *text)
{
    struct preprocess_spec spec;
    struct error err;
    ck_assert_msg(parse(&spec, text, &err) == ERR_OK, "%s: %s", text, err.message);
}

/* That of microsoft/resnet-50, and those that transformers 4 and 5 write. */
START_TEST(files_as_they_are_published_are_read)
{
    struct preprocess_spec spec;
    check_geometry("{\"crop_pct\":0.875,\"do_normalize\":true,\"do_resize\":true,"
                   "\"feature_extractor_type\":\"ConvNextFeatureExtractor\"," NUMBERS
                   ",\"size\":224}",
                   224, 256, CROP_CENTER);
    check_geometry("{\"crop_pct\":0.875,\"crop_size\":null,\"data_format\":\"channels_first\","
                   "\"default_to_square\":false,\"device\":null,\"disable_grouping\":null,"
                   "\"do_center_crop\":null,\"do_convert_rgb\":null,\"do_normalize\":true,"
                   "\"do_rescale\":true,\"do_resize\":true," NUMBERS ",\"image_processor_type\":"
                   "\"ConvNextImageProcessorFast\",\"input_data_format\":null,\"rescale_factor\":"
                   "0.00392156862745098,\"return_tensors\":null,\"size\":{\"shortest_edge\":224}}",
                   224, 256, CROP_CENTER);
    const char *bit = "{\"crop_size\":{\"height\":224,\"width\":224},\"do_center_crop\":true,"
                      "\"do_convert_rgb\":true,\"do_normalize\":true,\"do_rescale\":true,"
                      "\"do_resize\":true,\"image_mean\":[0.5,0.25,1],\"image_processor_type\":"
                      "\"BitImageProcessor\",\"image_std\":[0.125,0.5,2],\"resample\":2,"
                      "\"rescale_factor\":0.00392156862745098,\"size\":{\"shortest_edge\":448}}";
    check_geometry(bit, 224, 448, CROP_CENTER);
    ck_assert_int_eq(parse(&spec, bit, NULL), ERR_OK);
    ck_assert_int_eq(spec.interpolation, INTERPOLATION_BILINEAR);
    ck_assert(spec.mean[0] == 0.5F && spec.mean[1] == 0.25F && spec.mean[2] == 1);
    ck_assert(spec.std[0] == 0.125F && spec.std[1] == 0.5F && spec.std[2] == 2);
}
END_TEST

START_TEST(convnext_crops_below_384)
{
    check_geometry(CONVNEXT("\"size\":{\"shortest_edge\":224}"), 224, 256, CROP_CENTER);
    check_geometry(CONVNEXT("\"size\":{\"shortest_edge\":97},\"crop_pct\":0.9"), 97, 107,
                   CROP_CENTER);
    check_geometry(CONVNEXT("\"size\":224,\"crop_pct\":1"), 224, 224, CROP_CENTER);
    check_geometry(CONVNEXT("\"size\":383,\"crop_pct\":null"), 383, 437, CROP_CENTER);
    check_geometry(CONVNEXT("\"size\":384,\"crop_pct\":0.5"), 384, 384, CROP_SQUASH);
    check_geometry(CONVNEXT("\"size\":{\"shortest_edge\":1024}"), 1024, 1024, CROP_SQUASH);
    check_refused(CONVNEXT("\"size\":{\"height\":224,\"width\":224}"), ERR_MODEL_UNSUPPORTED,
                  "size {\"height\":224,\"width\":224} is not served");
    check_refused(CONVNEXT("\"size\":1025"), ERR_MODEL_UNSUPPORTED,
                  "size 1025 is not served; {\"shortest_edge\": N} is, with N from 8 to 1024");
    check_refused(CONVNEXT("\"size\":224,\"crop_pct\":1.1"), ERR_MODEL_INVALID, "crop_pct");
    check_refused(CONVNEXT("\"size\":224,\"crop_pct\":0"), ERR_MODEL_INVALID, "crop_pct");
    check_refused(CONVNEXT("\"size\":224,\"crop_pct\":-1"), ERR_MODEL_INVALID, "crop_pct");
    check_refused(CONVNEXT("\"size\":224,\"crop_pct\":1e-9"), ERR_MODEL_INVALID, "crop_pct");
    check_refused(CONVNEXT("\"size\":224,\"crop_pct\":\"x\""), ERR_MODEL_INVALID, "crop_pct");
    check_refused(CONVNEXT("\"size\":224,\"do_center_crop\":true"), ERR_MODEL_UNSUPPORTED,
                  "do_center_crop true is not served");
}
END_TEST

START_TEST(vit_squashes)
{
    check_geometry(VIT("\"size\":{\"height\":224,\"width\":224}"), 224, 224, CROP_SQUASH);
    check_geometry(VIT("\"size\":192"), 192, 192, CROP_SQUASH);
    check_refused(VIT("\"size\":{\"shortest_edge\":224}"), ERR_MODEL_UNSUPPORTED,
                  "size {\"shortest_edge\":224} is not served");
    check_refused(VIT("\"size\":192,\"default_to_square\":false"), ERR_MODEL_UNSUPPORTED, "size");
    check_refused(VIT("\"size\":2000"), ERR_MODEL_UNSUPPORTED, "size");
    check_refused(VIT("\"size\":192,\"do_center_crop\":true,\"crop_size\":192"),
                  ERR_MODEL_UNSUPPORTED, "do_center_crop");
}
END_TEST

START_TEST(bit_and_clip_resize_then_crop)
{
    check_geometry(BIT("\"size\":256,\"crop_size\":224"), 224, 256, CROP_CENTER);
    check_geometry(BIT("\"size\":224,\"crop_size\":{\"height\":224,\"width\":224}"), 224, 224,
                   CROP_CENTER);
    check_geometry(BIT("\"size\":{\"height\":256,\"width\":256},\"crop_size\":225"), 225, 256,
                   CROP_SQUASH);
    check_geometry(BIT("\"size\":{\"height\":256,\"width\":256},\"do_center_crop\":false"), 256,
                   256, CROP_SQUASH);
    check_geometry("{" TYPE("CLIPImageProcessor") "," NUMBERS ",\"size\":{\"shortest_edge\":4096},"
                                                  "\"crop_size\":1024}",
                   1024, 4096, CROP_CENTER);
    check_refused(BIT("\"size\":224,\"do_center_crop\":false"), ERR_MODEL_UNSUPPORTED, "size 224");
    check_refused(BIT("\"size\":223,\"crop_size\":224"), ERR_MODEL_UNSUPPORTED, "crop_size 224");
    check_refused(BIT("\"size\":4000,\"crop_size\":1025"), ERR_MODEL_UNSUPPORTED, "crop_size");
    check_refused(BIT("\"size\":256"), ERR_MODEL_INVALID, "crop_size is missing");
    check_refused(BIT("\"size\":256,\"crop_size\":{\"height\":224,\"width\":200}"),
                  ERR_MODEL_UNSUPPORTED, "crop_size");
    check_refused(BIT("\"size\":256,\"crop_size\":{\"shortest_edge\":224}"), ERR_MODEL_UNSUPPORTED,
                  "crop_size");
}
END_TEST

START_TEST(other_sizes_are_refused)
{
    static const char *const sizes[] = {
        "7",
        "4097",
        "-1",
        "224.0",
        "\"224\"",
        "[224,224]",
        "{}",
        "true",
        "{\"shortest_edge\":224,\"longest_edge\":300}",
        "{\"height\":224}",
        "{\"width\":224}",
        "{\"height\":224,\"width\":225}",
        "{\"height\":224,\"width\":224,\"shortest_edge\":224}",
        "{\"longest_edge\":224}",
        "{\"shortest_edge\":null}",
        "{\"shortest_edge\":9223372036854775807}",
    };
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        char text[400], says[100];
        snprintf(text, sizeof text, BIT("\"crop_size\":8,\"size\":%s"), sizes[i]);
        snprintf(says, sizeof says, "size %s is not served", sizes[i]);
        check_refused(text, ERR_MODEL_UNSUPPORTED, says);
        check_refused(text, ERR_MODEL_UNSUPPORTED, "are, with N from 8 to 4096");
    }
    check_geometry(BIT("\"crop_size\":8,\"size\":{\"shortest_edge\":9,\"longest_edge\":null}"), 8,
                   9, CROP_CENTER);
    check_refused(BIT("\"crop_size\":8"), ERR_MODEL_INVALID, "size is missing");
    check_refused(BIT("\"crop_size\":8,\"size\":null"), ERR_MODEL_INVALID, "size is missing");
}
END_TEST

START_TEST(other_processors_are_refused)
{
    check_served("{" TYPE("ViTImageProcessorPil") "," NUMBERS ",\"size\":64}");
    check_served("{" TYPE("ViTFeatureExtractor") "," NUMBERS ",\"size\":64}");
    check_served("{\"image_processor_type\":null,\"feature_extractor_type\":"
                 "\"ViTFeatureExtractor\"," NUMBERS ",\"size\":64}");
    static const char *const types[] = {"\"ConvNext\"",
                                        "\"DeiTImageProcessor\"",
                                        "\"\"",
                                        "\"ViTImageProcessorFaster\"",
                                        "3",
                                        "\"ViTHybridImageProcessor\"",
                                        "[\"ViT\"]",
                                        "\"XViTImageProcessor\"",
                                        "\"vitImageProcessor\""};
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
        char text[300], says[100];
        snprintf(text, sizeof text, "{\"image_processor_type\":%s," NUMBERS ",\"size\":64}",
                 types[i]);
        snprintf(says, sizeof says, "image_processor_type %s is not served", types[i]);
        check_refused(text, ERR_MODEL_UNSUPPORTED, says);
    }
    check_refused("{" NUMBERS ",\"size\":64}", ERR_MODEL_INVALID,
                  "image_processor_type is missing");
}
END_TEST

START_TEST(steps_that_are_left_out_are_refused)
{
    check_refused(VIT("\"size\":64,\"do_resize\":false"), ERR_MODEL_UNSUPPORTED,
                  "do_resize false is not served; true is");
    check_refused(VIT("\"size\":64,\"do_rescale\":false"), ERR_MODEL_UNSUPPORTED, "do_rescale");
    check_refused(VIT("\"size\":64,\"do_resize\":1"), ERR_MODEL_INVALID,
                  "do_resize is not true or false");
    check_refused(VIT("\"size\":64,\"do_normalize\":\"no\""), ERR_MODEL_INVALID, "do_normalize");
    check_refused(VIT("\"size\":64,\"default_to_square\":[]"), ERR_MODEL_INVALID,
                  "default_to_square");
    check_refused(VIT("\"size\":64,\"rescale_factor\":0.004"), ERR_MODEL_UNSUPPORTED,
                  "rescale_factor 0.004");
    check_refused(VIT("\"size\":64,\"rescale_factor\":\"x\""), ERR_MODEL_UNSUPPORTED,
                  "rescale_factor");
    check_refused(VIT("\"size\":64,\"do_pad\":true"), ERR_MODEL_UNSUPPORTED,
                  "do_pad true is not served");
    check_refused(VIT("\"size\":64,\"apply_ocr\":{}"), ERR_MODEL_UNSUPPORTED, "apply_ocr {}");
    check_served(VIT("\"size\":64,\"do_pad\":false,\"pad_size\":null,\"do_resize\":null"));
}
END_TEST

START_TEST(without_normalisation_pixels_are_0_to_1)
{
    struct preprocess_spec spec;
    const char *text = "{" TYPE("ViTImageProcessor") ",\"resample\":2,\"size\":64,\"do_normalize\":"
                                                     "false}";
    ck_assert_int_eq(parse(&spec, text, NULL), ERR_OK);
    for (int c = 0; c < 3; c++)
        ck_assert(spec.mean[c] == 0 && spec.std[c] == 1);
}
END_TEST

START_TEST(numbers_that_are_wrong_or_missing_are_refused)
{
#define WITH(rest) "{" TYPE("ViTImageProcessor") ",\"size\":64," rest "}"
#define MEAN       "\"image_mean\":[0,0,0],"
#define STD        "\"image_std\":[1,1,1]"
    check_served(WITH("\"resample\":2," MEAN STD));
    check_refused(WITH(MEAN STD), ERR_MODEL_INVALID, "resample is missing: add 2");
    check_refused(WITH("\"resample\":1," MEAN STD), ERR_MODEL_UNSUPPORTED, "resample 1");
    check_refused(WITH("\"resample\":\"bicubic\"," MEAN STD), ERR_MODEL_UNSUPPORTED, "resample");
    check_refused(WITH("\"resample\":2," STD), ERR_MODEL_INVALID, "image_mean is missing");
    check_refused(WITH("\"resample\":2,\"image_mean\":0.5," STD), ERR_MODEL_INVALID, "image_mean");
    check_refused(WITH("\"resample\":2," MEAN "\"image_std\":[1,0,1]"), ERR_MODEL_INVALID,
                  "image_std is not three numbers");
    check_refused("[1]", ERR_MODEL_INVALID, "");
    check_refused("{\"size\":1,\"size\":1}", ERR_MODEL_INVALID, "");
}
END_TEST

START_TEST(the_file_of_a_folder_is_read)
{
    char folder[FOLDER_PATH];
    struct preprocess_spec spec;
    struct error err;
    bool found = true;
    folder_make(folder);
    ck_assert_int_eq(image_processor_read(&spec, &found, folder, &err), ERR_OK);
    ck_assert(!found);
    folder_put_text(folder, "preprocessor_config.json", VIT("\"size\":64"));
    ck_assert_int_eq(image_processor_read(&spec, &found, folder, &err), ERR_OK);
    ck_assert(found && spec.size == 64);
    folder_put_text(folder, "preprocessor_config.json", "{}");
    ck_assert_int_eq(image_processor_read(&spec, &found, folder, &err), ERR_MODEL_INVALID);
    ck_assert_ptr_nonnull(strstr(err.message, "preprocessor_config.json: image_processor_type"));
    const char *path = folder_file(folder, "preprocessor_config.json");
    ck_assert_int_eq(truncate(path, IMAGE_PROCESSOR_FILE_MAX + 1), 0);
    ck_assert_int_eq(image_processor_read(&spec, &found, folder, &err), ERR_MODEL_INVALID);
    ck_assert_ptr_nonnull(strstr(err.message, "has 65537 bytes"));
    unlink(path);
    ck_assert_int_eq(mkfifo(path, 0600), 0);
    ck_assert_int_eq(image_processor_read(&spec, &found, folder, &err), ERR_IO);
    folder_remove(folder);
}
END_TEST

TEST_MAIN("model/image_processor", 10, files_as_they_are_published_are_read,
          convnext_crops_below_384, vit_squashes, bit_and_clip_resize_then_crop,
          other_sizes_are_refused, other_processors_are_refused,
          steps_that_are_left_out_are_refused, without_normalisation_pixels_are_0_to_1,
          numbers_that_are_wrong_or_missing_are_refused, the_file_of_a_folder_is_read)
