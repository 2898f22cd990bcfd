#include <jansson.h>

#include "http/reply.h"

enum MHD_Result livez_answer(struct exchange *x)
{
    return reply_json(x, 200, json_pack("{s:s}", "status", "alive"));
}

enum MHD_Result readyz_answer(struct exchange *x)
{
    struct error err;
    if (server_ready(x->context->server, &err) != ERR_OK)
        return reply_error(x, &err);
    return reply_json(x, 200, json_pack("{s:s}", "status", "ready"));
}

enum MHD_Result health_answer(struct exchange *x)
{
    struct server *server = x->context->server;
    struct server_load load;
    struct error err;
    int code = server_ready(server, &err);
    server_load(server, &load);
    json_t *body =
        json_pack("{s:s, s:b, s:b, s:o, s:{s:I, s:I}, s:{s:i, s:i}}", "status",
                  code == ERR_OK ? "ready" : error_json_code(code), "live", 1, "ready",
                  code == ERR_OK, "models", reply_model_names(x->generation), "queue", "depth",
                  (json_int_t)load.queue_depth, "limit", (json_int_t)load.queue_limit, "workers",
                  "total", load.workers, "busy", load.workers_busy);
    return reply_json(x, code == ERR_OK ? 200 : error_status(code), body);
}
