/* Logits of a model for any input: forward MODEL < input > logits, both raw float32; the input is
 * [size][size][3], as often as it comes. For the comparison with PyTorch. */
#include <stdio.h>
#include <stdlib.h>

#include "model/model.h"

static int run(const struct model *model, struct error *err)
{
    struct workspace *workspace;
    size_t size = (size_t)model->preprocess.size, count = size * size * 3;
    int code = workspace_create(&workspace, model->network, 1, err);
    if (code != ERR_OK)
        return code;
    while (fread(workspace_input(workspace), sizeof(float), count, stdin) == count)
        fwrite(network_forward(model->network, workspace, 1), sizeof(float), (size_t)model->classes,
               stdout);
    workspace_destroy(workspace);
    return ERR_OK;
}

int main(int argc, char **argv)
{
    struct model_options options = {.precision = PRECISION_F32};
    struct model *model = NULL;
    struct error err;
    if (argc != 2 || !kernel_isas_select(NULL, &options.isas))
        return 2;
    int code = model_load(&model, argv[1], &options, &err);
    if (code == ERR_OK)
        code = model_self_test(model, &err);
    if (code == ERR_OK)
        code = run(model, &err);
    if (code != ERR_OK)
        fprintf(stderr, "%s\n", err.message);
    model_destroy(model);
    return code == ERR_OK && fflush(stdout) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
