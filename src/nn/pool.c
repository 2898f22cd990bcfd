#include "nn/pool.h"

#include <string.h>

static void max_into(float *y, const float *x, size_t channels)
{
    for (size_t c = 0; c < channels; c++)
        y[c] = x[c] > y[c] ? x[c] : y[c];
}

/* One output pixel: the window that starts at input row `top`, column `left`. */
static void max_window(const struct conv_shape *s, const float *image, int top, int left, float *y)
{
    size_t channels = (size_t)s->in_c;
    bool first = true;
    for (int r = top < 0 ? 0 : top; r < top + s->kernel && r < s->in_h; r++)
        for (int c = left < 0 ? 0 : left; c < left + s->kernel && c < s->in_w; c++) {
            const float *x = image + ((size_t)r * (size_t)s->in_w + (size_t)c) * channels;
            if (first)
                memcpy(y, x, channels * sizeof *y);
            else
                max_into(y, x, channels);
            first = false;
        }
}

void pool_max(const struct conv_shape *s, int images, const float *x, float *y)
{
    size_t channels = (size_t)s->in_c;
    for (int i = 0; i < images; i++, x += (size_t)s->in_h * (size_t)s->in_w * channels)
        for (int r = 0; r < s->out_h; r++)
            for (int c = 0; c < s->out_w; c++, y += channels)
                max_window(s, x, r * s->stride - s->pad, c * s->stride - s->pad, y);
}

void pool_average(const struct conv_shape *s, int images, const float *x, float *y)
{
    size_t channels = (size_t)s->in_c, pixels = (size_t)s->in_h * (size_t)s->in_w;
    for (int i = 0; i < images; i++, y += channels) {
        memset(y, 0, channels * sizeof *y);
        for (size_t p = 0; p < pixels; p++, x += channels)
            for (size_t c = 0; c < channels; c++)
                y[c] += x[c];
        for (size_t c = 0; c < channels; c++)
            y[c] /= (float)pixels;
    }
}
