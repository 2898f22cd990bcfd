/* JPEGs for tests, made by libjpeg from a seeded picture. */
#ifndef RESNEXT_TESTS_IMAGE_SAMPLES_H
#define RESNEXT_TESTS_IMAGE_SAMPLES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum sample_colour {
    SAMPLE_GRAY,
    SAMPLE_YCC,
    SAMPLE_RGB,
    SAMPLE_CMYK,
    SAMPLE_YCCK,
    SAMPLE_TWO, /* two components without meaning */
};

enum sample_scans {
    SAMPLE_SEQUENTIAL,
    SAMPLE_SEPARATE,    /* sequential, one scan a component */
    SAMPLE_PROGRESSIVE, /* libjpeg's own script */
    SAMPLE_MANY_SCANS,  /* progressive, every coefficient and bit by itself: over 1,000 scans */
};

struct sample {
    int width, height;
    enum sample_colour colour;
    int sampling[2][2]; /* horizontal and vertical of the first component and of the others; 0: 1 */
    int quality;        /* 0: 90 */
    enum sample_scans scans;
    bool arithmetic, optimize;
    int restart_rows, restart_blocks; /* the interval in rows of MCUs, or in MCUs */
    int orientation;                  /* of an EXIF marker; 0: none is written */
    int app_markers;                  /* so many APP4 markers */
    bool smooth;                      /* only wide waves, no noise */
    uint32_t seed;
    const uint8_t *rgb; /* width x height pixels to draw instead; component i is byte i mod 3 */
};

struct bytes {
    uint8_t *data;
    size_t length;
};

/* The file, to be freed by the caller. Aborts if libjpeg cannot make it. */
struct bytes sample_make(const struct sample *sample);

/* Sets members from "key=value key=value": keys are the members' names, colour and scans are
 * numbers, sampling is HxV,HxV. False if a word is not understood. */
bool sample_parse(struct sample *sample, const char *words);

#endif
