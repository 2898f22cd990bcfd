#include "tool/price.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "kernel/element.h"

enum { TIMED_PICTURES = 4 };

/* Sets `*ms` to the least time of a few black pictures. */
static int time_picture(const struct network *network, double *ms, struct error *err)
{
    struct workspace *workspace = NULL;
    size_t bytes = network_value_size(network, 0) * precision_size(network_precision(network));
    int code = workspace_create(&workspace, network, 1, err);
    *ms = INFINITY;
    for (int i = 0; code == ERR_OK && i < TIMED_PICTURES; i++) {
        memset(workspace_input(workspace), 0, bytes);
        int64_t start = clock_monotonic_ns();
        network_forward(network, workspace, 1);
        *ms = fmin(*ms, clock_ns_to_ms(clock_monotonic_ns() - start));
    }
    workspace_destroy(workspace);
    return code;
}

int price_measure(const struct network *quantized, const struct network *exact, struct price *out,
                  struct error *err)
{
    out->weight_bytes = network_weight_bytes(exact);
    int code = time_picture(quantized, &out->int8_ms, err);
    return code == ERR_OK ? time_picture(exact, &out->f32_ms, err) : code;
}

double price_factor(const struct price *p, const struct cascade *cascade)
{
    return 1 + cascade->fraction * p->f32_ms / p->int8_ms;
}

json_t *price_json(const struct price *p, const struct cascade *cascade)
{
    return json_pack("{s:f, s:f, s:f, s:I}", "factor", price_factor(p, cascade), "int8_ms",
                     p->int8_ms, "f32_ms", p->f32_ms, "weight_bytes", (json_int_t)p->weight_bytes);
}

void price_text(const struct price *p, const struct cascade *cascade, char text[PRICE_TEXT])
{
    snprintf(text, PRICE_TEXT,
             "%.2f times the time of int8 (%.1f + %.3f x %.1f ms), and %.0f MB for the float32 "
             "weights",
             price_factor(p, cascade), p->int8_ms, cascade->fraction, p->f32_ms,
             (double)p->weight_bytes / 1e6);
}
