#include <math.h>
#include <string.h>

#include "model/model.h"

/* Numbers rounded at a time. */
enum { STRIP = 768 };

size_t model_input_numbers(const struct model *model)
{
    return (size_t)model->preprocess.size * (size_t)model->preprocess.size * 3;
}

static void *place(const struct model *model, struct workspace *workspace, int image)
{
    return (unsigned char *)workspace_input(workspace) +
           (size_t)image * model_input_numbers(model) * precision_size(model->precision);
}

static void round_bf16(const float *numbers, size_t count, uint16_t *out)
{
    for (size_t i = 0; i < count; i++)
        out[i] = bf16_from_f32(numbers[i]);
}

void model_put_image(const struct model *model, struct workspace *workspace, int image,
                     const uint8_t *rgb)
{
    size_t count = model_input_numbers(model);
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

/* Numbers as the pixels' bytes that they stand for. */
static int round_bytes(const struct preprocess_spec *p, const float *numbers, size_t count,
                       uint8_t *out, struct error *err)
{
    for (size_t i = 0; i < count; i++) {
        float mean = p->mean[i % 3], std = p->std[i % 3];
        float byte = rintf(255 * (numbers[i] * std + mean));
        if (!(byte >= 0 && byte <= 255))
            return error_set(
                err, ERR_BAD_REQUEST,
                "input has %.6g in channel %zu; in int8 it can have %.4g to %.4g, what "
                "pixels normalised with the model's mean and std have; use another "
                "precision for other numbers",
                (double)numbers[i], i % 3, (double)(-mean / std), (double)((1 - mean) / std));
        out[i] = (uint8_t)byte;
    }
    return ERR_OK;
}

int model_put_tensor(const struct model *model, struct workspace *workspace, int image,
                     const float *numbers, struct error *err)
{
    size_t count = model_input_numbers(model);
    void *to = place(model, workspace, image);
    if (model->precision == PRECISION_INT8)
        return round_bytes(&model->preprocess, numbers, count, to, err);
    if (model->precision == PRECISION_F32)
        memcpy(to, numbers, count * sizeof *numbers);
    else
        round_bf16(numbers, count, to);
    return ERR_OK;
}
