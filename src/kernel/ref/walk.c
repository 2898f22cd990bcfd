#include "kernel/ref/walk.h"

size_t ref_patch(const struct conv_shape *s)
{
    return (size_t)s->kernel * (size_t)s->kernel * (size_t)(s->in_c / s->groups);
}

size_t ref_source(const struct conv_shape *s, size_t i)
{
    size_t channels = (size_t)(s->in_c / s->groups), taps = (size_t)s->kernel * (size_t)s->kernel;
    return i % channels * taps + i / channels;
}

/* The inputs of one group at one output pixel. */
static void gather(const struct conv_shape *s, const unsigned char *image, size_t size,
                   const unsigned char *padding, int oy, int ox, int group, unsigned char *patch)
{
    size_t pixel = (size_t)s->in_c * size, run = pixel / (size_t)s->groups;
    for (int ky = 0; ky < s->kernel; ky++)
        for (int kx = 0; kx < s->kernel; kx++, patch += run) {
            int y = oy * s->stride - s->pad + ky, x = ox * s->stride - s->pad + kx;
            bool inside = y >= 0 && y < s->in_h && x >= 0 && x < s->in_w;
            const unsigned char *from =
                inside ? image + ((size_t)y * (size_t)s->in_w + (size_t)x) * pixel : padding;
            memcpy(patch, from + (size_t)group * run, run);
        }
}

void ref_walk(const struct conv_call *call, size_t size, const void *padding, ref_output *output)
{
    const struct conv_shape *s = call->shape;
    int out = s->out_c / s->groups;
    size_t image_in = (size_t)s->in_h * (size_t)s->in_w * (size_t)s->in_c * size;
    for (int row = call->tile_begin; row < call->tile_end; row++) {
        const unsigned char *image =
            (const unsigned char *)call->x + (size_t)(row / s->out_h) * image_in;
        for (int ox = 0; ox < s->out_w; ox++) {
            size_t at = ((size_t)row * (size_t)s->out_w + (size_t)ox) * (size_t)s->out_c;
            for (int c = 0; c < s->out_c; c++) {
                if (c % out == 0)
                    gather(s, image, size, padding, row % s->out_h, ox, c / out, call->scratch);
                output(call, call->scratch, c, at + (size_t)c);
            }
        }
    }
}

int ref_tile_count(const struct conv_kernel *self, const struct conv_shape *shape, int images)
{
    (void)self;
    return images * shape->out_h;
}

bool ref_supports(const struct conv_shape *shape)
{
    (void)shape;
    return true;
}
