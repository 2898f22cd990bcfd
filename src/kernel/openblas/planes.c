#include "kernel/openblas/planes.h"

#include "base/size.h"

enum { CHUNK_CHANNELS = 16, CACHE_LINE = 64 };

const float **planes_list_line(const float **to, const struct conv_shape *shape, const float *image,
                               const float *zeros, int y, int x, int step, size_t count)
{
    const float *line = image + (ptrdiff_t)y * shape->in_w * shape->in_c;
    bool inside = y >= 0 && y < shape->in_h;
    for (; count > 0; count--, x += step)
        *to++ = inside && x >= 0 && x < shape->in_w ? line + (ptrdiff_t)x * shape->in_c : zeros;
    return to;
}

size_t planes_chunk(const struct conv_shape *shape)
{
    size_t width = (size_t)(shape->in_c / shape->groups);
    return width < CHUNK_CHANNELS ? CHUNK_CHANNELS / width : 1;
}

size_t planes_step(size_t floats)
{
    enum { LINE = CACHE_LINE / sizeof(float) };
    return (size_ceil_div(floats, LINE) | 1) * LINE;
}

void *planes_take(size_t *at, void *scratch, size_t bytes)
{
    void *taken = (unsigned char *)scratch + *at;
    *at += size_round_up(bytes, CACHE_LINE);
    return taken;
}
