/* The answer to an inference request: JSON, then the binary tensors. */
#include <endian.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "http/infer.h"

/* Where the answer goes; `lost` if something could not even be tried to be written. */
struct sink {
    FILE *f;
    bool lost;
};

static void put_string(struct sink *s, json_t *string)
{
    if (!string || json_dumpf(string, s->f, JSON_ENCODE_ANY | JSON_COMPACT) != 0)
        s->lost = true;
}

/* Logits or probabilities of an image. */
static const float *scores_of(const struct infer *infer, const struct request_part *part,
                              enum infer_output_kind kind)
{
    return part->values + (kind == INFER_LOGITS ? 0 : (size_t)infer->terms.classes);
}

/* "score:index:label"; its length. NULL is fine, as for snprintf. */
static size_t put_class(char *text, size_t size, const float *scores,
                        const struct scored_class *class)
{
    return (size_t)snprintf(text, size, "%.9g:%d:%s", (double)scores[class->class_id],
                            class->class_id, class->label);
}

/* Calls `put` for each string of a classification. */
static void each_class(const struct request *r, const struct infer_output *o, struct sink *s,
                       void (*put)(struct sink *s, const char *text, size_t length, bool first))
{
    for (size_t i = 0; i < r->part_count; i++) {
        const struct request_part *part = &r->parts[i];
        const float *scores = scores_of(r->codec_state, part, o->kind);
        for (int k = 0; k < o->top; k++) {
            size_t length = put_class(NULL, 0, scores, &part->predictions[k]);
            char *text = malloc(length + 1);
            if (text)
                put_class(text, length + 1, scores, &part->predictions[k]);
            if (text)
                put(s, text, length, i == 0 && k == 0);
            else
                s->lost = true;
            free(text);
        }
    }
}

static void put_json_class(struct sink *s, const char *text, size_t length, bool first)
{
    json_t *string = json_stringn(text, length);
    if (!first)
        putc(',', s->f);
    put_string(s, string);
    json_decref(string);
}

static void put_binary_class(struct sink *s, const char *text, size_t length, bool first)
{
    (void)first;
    uint32_t size = htole32((uint32_t)length);
    fwrite(&size, sizeof size, 1, s->f);
    fwrite(text, 1, length, s->f);
}

static void put_json_numbers(struct sink *s, const struct request *r, const struct infer_output *o)
{
    const struct infer *infer = r->codec_state;
    for (size_t i = 0; i < r->part_count; i++) {
        const float *scores = scores_of(infer, &r->parts[i], o->kind);
        for (int c = 0; c < infer->terms.classes; c++)
            fprintf(s->f, "%s%.9g", i == 0 && c == 0 ? "" : ",", (double)scores[c]);
    }
}

static void put_binary_numbers(struct sink *s, const struct request *r,
                               const struct infer_output *o)
{
    const struct infer *infer = r->codec_state;
    for (size_t i = 0; i < r->part_count; i++) {
        const float *scores = scores_of(infer, &r->parts[i], o->kind);
        for (int c = 0; c < infer->terms.classes; c++) {
            uint32_t bits;
            memcpy(&bits, &scores[c], sizeof bits);
            bits = htole32(bits);
            fwrite(&bits, sizeof bits, 1, s->f);
        }
    }
}

static size_t binary_size(const struct request *r, const struct infer_output *o)
{
    const struct infer *infer = r->codec_state;
    size_t size = 0;
    if (o->top == 0)
        return r->part_count * (size_t)infer->terms.classes * sizeof(float);
    for (size_t i = 0; i < r->part_count; i++)
        for (int k = 0; k < o->top; k++)
            size += sizeof(uint32_t) + put_class(NULL, 0, scores_of(infer, &r->parts[i], o->kind),
                                                 &r->parts[i].predictions[k]);
    return size;
}

static void put_output(struct sink *s, const struct request *r, const struct infer_output *o)
{
    const struct infer *infer = r->codec_state;
    fprintf(s->f, "{\"name\":\"%s\",\"datatype\":\"%s\",\"shape\":[%zu,%d],",
            infer_output_name(o->kind), o->top ? "BYTES" : "FP32", r->part_count,
            o->top ? o->top : infer->terms.classes);
    if (o->binary) {
        fprintf(s->f, "\"parameters\":{\"binary_data_size\":%zu}}", binary_size(r, o));
        return;
    }
    fputs("\"data\":[", s->f);
    if (o->top)
        each_class(r, o, s, put_json_class);
    else
        put_json_numbers(s, r, o);
    fputs("]}", s->f);
}

static void put_json(struct sink *s, const struct request *r)
{
    const struct infer *infer = r->codec_state;
    fprintf(s->f, "{\"model_name\":\"%s\",\"model_version\":\"" INFER_VERSION "\",", infer->model);
    if (infer->id) {
        fputs("\"id\":", s->f);
        put_string(s, infer->id);
        putc(',', s->f);
    }
    fputs("\"outputs\":[", s->f);
    for (size_t i = 0; i < infer->output_count; i++) {
        if (i > 0)
            putc(',', s->f);
        put_output(s, r, &infer->outputs[i]);
    }
    fputs("]}", s->f);
}

/* The outputs that are sent in binary; false if none is. */
static bool put_binaries(struct sink *s, const struct request *r)
{
    const struct infer *infer = r->codec_state;
    bool any = false;
    for (size_t i = 0; i < infer->output_count; i++) {
        const struct infer_output *o = &infer->outputs[i];
        any = any || o->binary;
        if (o->binary && o->top)
            each_class(r, o, s, put_binary_class);
        else if (o->binary)
            put_binary_numbers(s, r, o);
    }
    return any;
}

int infer_encode(struct request *r, struct error *err)
{
    struct infer *infer = r->codec_state;
    FILE *f = open_memstream(&infer->answer, &infer->answer_length);
    struct sink s = {.f = f};
    bool failed = !f, mixed = false;
    if (f) {
        put_json(&s, r);
        failed = fflush(f) != 0;
        size_t json_length = infer->answer_length;
        mixed = put_binaries(&s, r);
        infer->json_length = mixed ? json_length : 0;
        failed = ferror(f) || s.lost || failed;
        failed = fclose(f) != 0 || failed;
    }
    return failed ? error_set(err, ERR_NO_MEMORY, "no memory for the answer; try again later")
                  : ERR_OK;
}
