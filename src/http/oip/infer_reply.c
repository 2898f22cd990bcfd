#include <endian.h>
#include <stdio.h>
#include <string.h>

#include "http/answer_json.h"
#include "http/oip/infer_parts.h"

/* Logits or probabilities of an image. */
static const float *scores_of(const struct infer *infer, const struct request_part *part,
                              enum infer_output_kind kind)
{
    return part->values + (kind == INFER_LOGITS ? 0 : (size_t)infer->terms.classes);
}

/* A string of a classification, "score:index:label"; its head is all before the label. */
struct class_text {
    char head[48];
    size_t head_length, label_length;
    const char *label;
};

static struct class_text class_text(const float *scores, const struct scored_class *class)
{
    struct class_text t = {.label = class->label, .label_length = strlen(class->label)};
    t.head_length = (size_t)snprintf(t.head, sizeof t.head, "%.*g:%d:", ANSWER_JSON_DIGITS,
                                     (double)scores[class->class_id], class->class_id);
    return t;
}

static void put_class(struct answer *a, const struct class_text *t, bool binary, bool first)
{
    uint32_t size = htole32((uint32_t)(t->head_length + t->label_length));
    if (binary)
        answer_put(a, &size, sizeof size);
    else
        answer_text(a, first ? "\"" : ",\"");
    answer_put(a, t->head, t->head_length);
    if (binary) {
        answer_put(a, t->label, t->label_length);
    } else {
        answer_json_characters(a, t->label, t->label_length);
        answer_text(a, "\"");
    }
}

static void put_number(struct answer *a, float number, bool binary, bool first)
{
    if (binary)
        answer_float(a, number);
    else
        answer_printf(a, "%s%.*g", first ? "" : ",", ANSWER_JSON_DIGITS, (double)number);
}

/* The elements of an output, without the brackets of JSON. */
static void put_elements(struct answer *a, const struct request *r, const struct infer_output *o)
{
    const struct infer *infer = r->codec_state;
    int count = o->top ? o->top : infer->terms.classes;
    for (size_t i = 0; i < r->part_count; i++) {
        const struct request_part *part = &r->parts[i];
        const float *scores = scores_of(infer, part, o->kind);
        for (int k = 0; k < count && answer_goes_on(a); k++) {
            bool first = i == 0 && k == 0;
            if (o->top) {
                const struct class_text t = class_text(scores, &part->predictions[k]);
                put_class(a, &t, o->binary, first);
            } else {
                put_number(a, scores[k], o->binary, first);
            }
        }
    }
}

static size_t binary_size(struct answer *a, const struct request *r, const struct infer_output *o)
{
    const struct infer *infer = r->codec_state;
    size_t size = 0;
    if (o->top == 0)
        return r->part_count * (size_t)infer->terms.classes * sizeof(float);
    for (size_t i = 0; i < r->part_count; i++)
        for (int k = 0; k < o->top && answer_goes_on(a); k++) {
            const struct class_text t =
                class_text(scores_of(infer, &r->parts[i], o->kind), &r->parts[i].predictions[k]);
            size += sizeof(uint32_t) + t.head_length + t.label_length;
        }
    return size;
}

static void put_output(struct answer *a, const struct request *r, const struct infer_output *o)
{
    const struct infer *infer = r->codec_state;
    answer_printf(a, "{\"name\":\"%s\",\"datatype\":\"%s\",\"shape\":[%zu,%d],",
                  infer_output_name(o->kind), o->top ? "BYTES" : "FP32", r->part_count,
                  o->top ? o->top : infer->terms.classes);
    if (o->binary) {
        answer_printf(a, "\"parameters\":{\"binary_data_size\":%zu}}", binary_size(a, r, o));
        return;
    }
    answer_text(a, "\"data\":[");
    put_elements(a, r, o);
    answer_text(a, "]}");
}

static void put_json(struct answer *a, const struct request *r)
{
    const struct infer *infer = r->codec_state;
    answer_text(a, "{\"model_name\":");
    answer_json_text(a, infer->model);
    answer_text(a, ",\"model_version\":\"" INFER_VERSION "\",");
    if (infer->id) {
        answer_text(a, "\"id\":");
        answer_json_string(a, json_string_value(infer->id), json_string_length(infer->id));
        answer_text(a, ",");
    }
    answer_text(a, "\"outputs\":[");
    for (size_t i = 0; i < infer->output_count; i++) {
        answer_text(a, i > 0 ? "," : "");
        put_output(a, r, &infer->outputs[i]);
    }
    answer_text(a, "]}");
}

/* The outputs that are sent in binary. */
static void put_binaries(struct answer *a, const struct request *r)
{
    const struct infer *infer = r->codec_state;
    size_t json_length = a->length;
    for (size_t i = 0; i < infer->output_count; i++) {
        const struct infer_output *o = &infer->outputs[i];
        if (!o->binary)
            continue;
        a->json_length = json_length;
        a->type = "application/octet-stream";
        put_elements(a, r, o);
    }
}

int infer_encode(struct request *r, struct error *err)
{
    (void)err;
    put_json(&r->answer, r);
    put_binaries(&r->answer, r);
    return ERR_OK;
}
