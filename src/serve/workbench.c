#include "serve/workbench.h"

#include <stdlib.h>
#include <string.h>

#include "base/size.h"

static size_t input_pixels(const struct model *model)
{
    return (size_t)model->preprocess.size * (size_t)model->preprocess.size;
}

/* What all models of a bench share: room for the most pixels and the most classes. */
static void find_largest(const struct catalog *catalog, size_t *pixels, size_t *classes)
{
    *pixels = *classes = 0;
    for (size_t i = 0; i < catalog->count; i++) {
        const struct model *model = catalog->entries[i].model;
        if (input_pixels(model) > *pixels)
            *pixels = input_pixels(model);
        if ((size_t)model->classes > *classes)
            *classes = (size_t)model->classes;
    }
}

bool workbench_bytes(const struct catalog *catalog, size_t *bytes)
{
    const struct workbench *bench = NULL;
    size_t pixels, classes;
    find_largest(catalog, &pixels, &classes);
    *bytes = pixels * 3 * (sizeof *bench->rgb + sizeof *bench->tensor) +
             classes * sizeof *bench->predictions;
    for (size_t i = 0; i < catalog->count; i++) {
        size_t more;
        if (!network_workspace_bytes(catalog->entries[i].model->network, 1, &more) ||
            !size_add(*bytes, more, bytes))
            return false;
    }
    return true;
}

int workbench_open(struct workbench *bench, const struct catalog *catalog, struct error *err)
{
    size_t pixels, classes;
    *bench = (struct workbench){.catalog = catalog};
    bench->workspaces = calloc(catalog->count, sizeof(struct workspace *));
    if (!bench->workspaces)
        return error_set(err, ERR_NO_MEMORY, "no memory for a worker");
    for (size_t i = 0; i < catalog->count; i++) {
        const struct model *model = catalog->entries[i].model;
        int code = workspace_create(&bench->workspaces[i], model->network, 1, err);
        if (code != ERR_OK)
            return code;
    }
    find_largest(catalog, &pixels, &classes);
    bench->rgb = malloc(pixels * 3);
    bench->tensor = calloc(pixels * 3, sizeof *bench->tensor);
    bench->predictions = calloc(classes, sizeof *bench->predictions);
    if (!bench->rgb || !bench->tensor || !bench->predictions)
        return error_set(err, ERR_NO_MEMORY, "no memory for a worker");
    return ERR_OK;
}

void workbench_close(struct workbench *bench)
{
    for (size_t i = 0; bench->workspaces && i < bench->catalog->count; i++)
        workspace_destroy(bench->workspaces[i]);
    free(bench->workspaces);
    free(bench->rgb);
    free(bench->tensor);
    free(bench->predictions);
    *bench = (struct workbench){0};
}

void workbench_put_rgb(struct workbench *bench, size_t model)
{
    model_put_image(bench->catalog->entries[model].model, bench->workspaces[model], 0, bench->rgb);
}

int workbench_put_tensor(struct workbench *bench, size_t model, struct error *err)
{
    return model_put_tensor(bench->catalog->entries[model].model, bench->workspaces[model], 0,
                            bench->tensor, err);
}

void workbench_warm_up(struct workbench *bench)
{
    for (size_t i = 0; i < bench->catalog->count; i++) {
        memset(bench->rgb, 128, input_pixels(bench->catalog->entries[i].model) * 3);
        workbench_put_rgb(bench, i);
        network_forward(bench->catalog->entries[i].model->network, bench->workspaces[i], 1);
    }
}
