#include "serve/worker_buffers.h"

#include <stdlib.h>
#include <string.h>

#include "base/size.h"

static size_t input_pixels(const struct model *model)
{
    return (size_t)model->preprocess.size * (size_t)model->preprocess.size;
}

/* What all models share: space for the most pixels and the most classes. */
static void find_largest(const struct model_set *models, size_t *pixels, size_t *classes)
{
    *pixels = *classes = 0;
    for (size_t i = 0; i < models->count; i++) {
        const struct model *model = models->entries[i].model;
        if (input_pixels(model) > *pixels)
            *pixels = input_pixels(model);
        if ((size_t)model->classes > *classes)
            *classes = (size_t)model->classes;
    }
}

bool worker_buffers_bytes(const struct model_set *models, size_t *bytes)
{
    const struct worker_buffers *buffers = NULL;
    size_t pixels, classes;
    find_largest(models, &pixels, &classes);
    *bytes = pixels * 3 * (sizeof *buffers->rgb + sizeof *buffers->tensor) +
             classes * sizeof *buffers->predictions;
    for (size_t i = 0; i < models->count; i++) {
        size_t more;
        if (!network_workspace_bytes(models->entries[i].model->network, 1, &more) ||
            !size_add(*bytes, more, bytes))
            return false;
    }
    return true;
}

int worker_buffers_open(struct worker_buffers *buffers, const struct model_set *models,
                        struct error *err)
{
    size_t pixels, classes;
    *buffers = (struct worker_buffers){.models = models};
    buffers->workspaces = calloc(models->count, sizeof(struct workspace *));
    if (!buffers->workspaces)
        return error_set(err, ERR_NO_MEMORY, "no memory for a worker");
    for (size_t i = 0; i < models->count; i++) {
        const struct model *model = models->entries[i].model;
        int code = workspace_create(&buffers->workspaces[i], model->network, 1, err);
        if (code != ERR_OK)
            return code;
    }
    find_largest(models, &pixels, &classes);
    buffers->rgb = malloc(pixels * 3);
    buffers->tensor = calloc(pixels * 3, sizeof *buffers->tensor);
    buffers->predictions = calloc(classes, sizeof *buffers->predictions);
    if (!buffers->rgb || !buffers->tensor || !buffers->predictions)
        return error_set(err, ERR_NO_MEMORY, "no memory for a worker");
    return ERR_OK;
}

void worker_buffers_close(struct worker_buffers *buffers)
{
    for (size_t i = 0; buffers->workspaces && i < buffers->models->count; i++)
        workspace_destroy(buffers->workspaces[i]);
    free(buffers->workspaces);
    free(buffers->rgb);
    free(buffers->tensor);
    free(buffers->predictions);
    *buffers = (struct worker_buffers){0};
}

void worker_buffers_put_rgb(struct worker_buffers *buffers, size_t model)
{
    model_put_image(buffers->models->entries[model].model, buffers->workspaces[model], 0,
                    buffers->rgb);
}

int worker_buffers_put_tensor(struct worker_buffers *buffers, size_t model, struct error *err)
{
    return model_put_tensor(buffers->models->entries[model].model, buffers->workspaces[model], 0,
                            buffers->tensor, err);
}

void worker_buffers_warm_up(struct worker_buffers *buffers)
{
    for (size_t i = 0; i < buffers->models->count; i++) {
        memset(buffers->rgb, 128, input_pixels(buffers->models->entries[i].model) * 3);
        worker_buffers_put_rgb(buffers, i);
        network_forward(buffers->models->entries[i].model->network, buffers->workspaces[i], 1);
    }
}
