#include <math.h>
#include <string.h>

#include "model/model.h"

/* Numbers rounded at a time. */
enum { STRIP = 768 };

static size_t input_numbers(const struct model *model)
{
    return (size_t)model->preprocess.size * (size_t)model->preprocess.size * 3;
}

static void *place(const struct model *model, struct workspace *workspace, int image)
{
    return (unsigned char *)workspace_input(workspace) +
           (size_t)image * input_numbers(model) * precision_size(model->precision);
}

static void round_bf16(const float *numbers, size_t count, uint16_t *out)
{
    for (size_t i = 0; i < count; i++)
        out[i] = bf16_from_f32(numbers[i]);
}

void model_put_image(const struct model *model, struct workspace *workspace, int image,
                     const uint8_t *rgb)
{
    size_t count = input_numbers(model);
    void *to = place(model, workspace, image);
    if (model->precision == PRECISION_INT8) {
        memcpy(to, rgb, count);
    } else if (model->precision == PRECISION_F32) {
        preprocess_normalize(&model->preprocess, rgb, count / 3, to);
    } else {
        float strip[STRIP];
        for (size_t i = 0; i < count; i += STRIP) {
            size_t n = count - i < STRIP ? count - i : STRIP;
            preprocess_normalize(&model->preprocess, rgb + i, n / 3, strip);
            round_bf16(strip, n, (uint16_t *)to + i);
        }
    }
}

/* The nearest byte; 0 for what is not a number. */
static uint8_t nearest_byte(float value)
{
    return (uint8_t)lrintf(value > 0 ? fminf(value, 255) : 0);
}

void model_put_tensor(const struct model *model, struct workspace *workspace, int image,
                      const float *numbers)
{
    const struct preprocess_spec *p = &model->preprocess;
    size_t count = input_numbers(model);
    void *to = place(model, workspace, image);
    if (model->precision == PRECISION_F32)
        memcpy(to, numbers, count * sizeof *numbers);
    else if (model->precision == PRECISION_BF16)
        round_bf16(numbers, count, to);
    else
        for (size_t i = 0; i < count; i++)
            ((uint8_t *)to)[i] = nearest_byte(255 * (numbers[i] * p->std[i % 3] + p->mean[i % 3]));
}
