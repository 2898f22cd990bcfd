#include <stdio.h>

#include "base/clock.h"
#include "model/session.h"
#include "tool/output.h"
#include "tool/tool.h"

/* Finite weights can still give logits that are not finite, for any picture. */
static int check_gray_picture(const struct model *model, struct error *err)
{
    struct session *session = NULL;
    int code = sessions_create(&session, &model, 1, 1, err);
    if (code == ERR_OK)
        code = model_check_logits(model, session_warm_up(session), err);
    if (code == ERR_OK && model->exact)
        code = model_check_logits(model, network_result(model->exact, session->exact), err);
    sessions_destroy(session, 1);
    return code;
}

static int report(const struct model *model, double load_ms, struct error *err)
{
    char parameters[32];
    output_grouped(model->parameters, parameters);
    printf("tensors    all present, of the right shape and finite: %s, %s parameters\n",
           model->template_name, parameters);
    printf("sha256     %s\n", model->sha256);
    printf("loading    %.0f ms, %zu bytes of packed weights\n", load_ms, model_weight_bytes(model));
    char kernels[NETWORK_SUMMARY_TEXT];
    struct network_summary summary = network_kernels(model->network);
    network_summary_text(&summary, kernels);
    int64_t start = clock_monotonic_ns();
    int code = model_self_test(model, err);
    if (code != ERR_OK) {
        printf("self-test  failed\n");
        return code;
    }
    printf("self-test  passed: every %s convolution agrees with plain loops (%.0f ms; %s)\n",
           precision_name(model->precision), clock_ns_to_ms(clock_monotonic_ns() - start), kernels);
    code = check_gray_picture(model, err);
    if (code != ERR_OK)
        return error_prefix(err, code, "a gray picture");
    printf("a picture  has finite logits\n");
    return ERR_OK;
}

static int run(struct tool *tool, struct error *err)
{
    int64_t start = clock_monotonic_ns();
    int code = tool_open_model(tool, err);
    return code == ERR_OK ? report(tool->model, clock_ns_to_ms(clock_monotonic_ns() - start), err)
                          : code;
}

const struct command command_verify = {
    .name = "verify",
    .operands = "MODEL",
    .summary = "Check a model folder and the arithmetic of this machine",
    .details = "Loads the model, checks every tensor (for int8 the calibration too), and compares "
               "each shape of convolution with "
               "plain loops; then a gray picture must have finite logits.",
    .shared = OPTION_ISA | OPTION_PRECISION,
    .run = run,
};
