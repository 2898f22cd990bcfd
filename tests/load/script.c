#include "tests/load/script.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/load/common.h"

enum { KINDS_MAX = 1024, SIZE_MAX_MIB = 64 };

static struct piece read_bytes(FILE *file, size_t size)
{
    if (size > (size_t)SIZE_MAX_MIB << 20)
        die("a script's size");
    struct piece p = {must(malloc(size + 1)), size};
    if (fread(p.bytes, 1, size, file) != size || fgetc(file) != '\n')
        die("a script that ends early");
    return p;
}

static void read_answer(FILE *file, struct answer *a)
{
    if (fscanf(file, "answer %d %d", &a->status, &a->piece_count) != 2 || fgetc(file) != '\n')
        die("a script's answer");
    if (a->piece_count <= 0)
        return;
    a->pieces = must(calloc((size_t)a->piece_count, sizeof *a->pieces));
    for (int i = 0; i < a->piece_count; i++) {
        size_t size;
        if (fscanf(file, "piece %zu", &size) != 1 || fgetc(file) != '\n')
            die("a script's piece");
        a->pieces[i] = read_bytes(file, size);
    }
}

static int find_endpoint(struct script *s, const char *name)
{
    if (strcmp(name, "-") == 0)
        return -1;
    for (int i = 0; i < s->endpoint_count; i++)
        if (strcmp(s->endpoints[i], name) == 0)
            return i;
    if (s->endpoint_count == ENDPOINTS_MAX)
        die("a script's endpoints");
    strcpy(s->endpoints[s->endpoint_count], name);
    return s->endpoint_count++;
}

static void read_expected(struct script *s, FILE *file, struct expected *e)
{
    char name[NAME_SIZE];
    if (fscanf(file, "expect %63s %d", name, &e->answer_count) != 2 || fgetc(file) != '\n' ||
        e->answer_count < 0)
        die("a script's expectation");
    e->endpoint = find_endpoint(s, name);
    e->answers = must(calloc((size_t)e->answer_count + 1, sizeof *e->answers));
    for (int i = 0; i < e->answer_count; i++)
        read_answer(file, &e->answers[i]);
}

static enum manner find_manner(const char *name)
{
    static const char *const names[] = {"keep", "cut", "leave", "unread", "slow", "stall"};
    for (int i = 0; i < MANNER_COUNT; i++)
        if (strcmp(names[i], name) == 0)
            return (enum manner)i;
    die("a script's manner");
}

static bool read_kind(struct script *s, FILE *file)
{
    struct kind *k = &s->kinds[s->kind_count];
    char manner[NAME_SIZE];
    size_t size;
    int n = fscanf(file, "kind %63s %lf %63s %d %zu %d", k->name, &k->weight, manner, &k->argument,
                   &size, &k->expected_count);
    if (n == EOF)
        return false;
    if (n != 6 || fgetc(file) != '\n' || !(k->weight >= 0) || k->expected_count < 1)
        die("a script's kind");
    k->manner = find_manner(manner);
    k->request = read_bytes(file, size);
    k->expected = must(calloc((size_t)k->expected_count, sizeof *k->expected));
    for (int i = 0; i < k->expected_count; i++)
        read_expected(s, file, &k->expected[i]);
    s->weights += k->weight;
    s->kind_count++;
    return true;
}

void script_read(struct script *s, const char *path)
{
    FILE *file = fopen(path, "rb");
    if (!file)
        die(path);
    s->kinds = must(calloc(KINDS_MAX, sizeof *s->kinds));
    while (s->kind_count < KINDS_MAX && read_kind(s, file))
        ;
    if (s->weights <= 0)
        die("a script without kinds");
    fclose(file);
}

static void free_expected(struct expected *e)
{
    for (int i = 0; i < e->answer_count; i++) {
        for (int j = 0; j < e->answers[i].piece_count; j++)
            free(e->answers[i].pieces[j].bytes);
        free(e->answers[i].pieces);
    }
    free(e->answers);
}

void script_free(struct script *s)
{
    for (int i = 0; i < s->kind_count; i++) {
        for (int j = 0; j < s->kinds[i].expected_count; j++)
            free_expected(&s->kinds[i].expected[j]);
        free(s->kinds[i].expected);
        free(s->kinds[i].request.bytes);
    }
    free(s->kinds);
}

static bool has_pieces(const struct answer *a, const char *body, size_t size)
{
    const char *at = body, *end = body + size;
    for (int i = 0; i < a->piece_count; i++) {
        const struct piece *p = &a->pieces[i];
        if (i == a->piece_count - 1) {
            if ((size_t)(end - at) < p->size)
                return false;
            at = i == 0 ? at : end - p->size;
        } else if (i > 0) {
            at = memmem(at, (size_t)(end - at), p->bytes, p->size);
        }
        if (!at || (size_t)(end - at) < p->size || memcmp(at, p->bytes, p->size) != 0)
            return false;
        at += p->size;
    }
    return a->piece_count < 0 || at == end;
}

bool script_is_right(const struct expected *e, int status, const char *body, size_t size)
{
    for (int i = 0; i < e->answer_count; i++)
        if (e->answers[i].status == status && has_pieces(&e->answers[i], body, size))
            return true;
    return false;
}
