#include "http/reply.h"

enum MHD_Result metrics_answer(struct exchange *x)
{
    size_t length = 0;
    char *text = server_render_metrics(x->context->server, &length);
    return reply_text(x, 200, "text/plain; version=0.0.4; charset=utf-8", text, length);
}
