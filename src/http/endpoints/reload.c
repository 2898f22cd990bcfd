/* /admin/reload, on admin_listen only. */
#include <jansson.h>

#include "base/check.h"
#include "http/query.h"
#include "http/reply.h"
#include "serve/reload.h"

/* A reload takes as long as its models are large. */
static const int64_t RELOAD_TIMEOUT_NS = 600000000000;

/* A browser sends Origin with the requests of a page. No page may ask for a reload: otherwise any
 * page could, in a browser that reaches admin_listen. */
static int refuse_pages(const struct exchange *x, struct error *err)
{
    if (!exchange_header(x, "Origin"))
        return ERR_OK;
    return error_set(err, ERR_FORBIDDEN, "a web page (Origin) may not ask for a reload");
}

enum MHD_Result reload_answer(struct exchange *x)
{
    struct error err;
    if (refuse_pages(x, &err) != ERR_OK || query_read(x, NULL, 0, &err) != ERR_OK ||
        reload_result_create(&x->reload, &err) != ERR_OK)
        return reply_error(x, &err);
    if (exchange_suspend(x, &x->reload->completion, RELOAD_TIMEOUT_NS))
        reload_ask(x->context->reload, x->reload);
    return MHD_YES;
}

/* NULL without memory. */
static json_t *list_keys(const struct conf_keys *keys)
{
    json_t *list = json_array();
    for (size_t i = 0; i < keys->count; i++)
        list = reply_append(list, json_string(keys->items[i]));
    return list;
}

enum MHD_Result reload_resume(struct exchange *x)
{
    int outcome = completion_outcome(&x->reload->completion);
    CHECK(outcome != COMPLETION_PENDING);
    if (outcome != ERR_OK)
        return reply_unfinished(x, outcome);
    const struct reload_report *report = &x->reload->report;
    if (report->failure.code != ERR_OK)
        return reply_error(x, &report->failure);
    struct generation *generation = server_generation(x->context->server);
    json_t *models = reply_model_names(generation);
    generation_release(generation);
    return reply_json(x, 200,
                      json_pack("{s:s, s:o, s:o, s:s}", "status", "reloaded", "models", models,
                                "restart_needed", list_keys(&report->restart_needed), "request_id",
                                x->id));
}
