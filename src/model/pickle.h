/* Python's pickles, read without executing anything. The opcodes build plain values. A global, that
 * is a function or class, is refused unless it is in the table of pickle_globals.c, and is never
 * called: REDUCE, NEWOBJ and BUILD only note what they ask for. Protocols 2 to 5, the opcodes that
 * torch.save writes. Nothing in the bytes is trusted. */
#ifndef RESNEXT_MODEL_PICKLE_H
#define RESNEXT_MODEL_PICKLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "model/safetensors.h"

enum {
    PICKLE_MAX_BYTES = 16 << 20,
    PICKLE_MAX_VALUES = 1 << 20, /* also the size of stack and memo */
};

/* What readers make of a global. */
enum pickle_role {
    PICKLE_DATA,      /* of no interest */
    PICKLE_MAPPING,   /* a kind of dict */
    PICKLE_NAMESPACE, /* its state is a dict of options */
    PICKLE_STORAGE,   /* the numbers of tensors, of a type */
    PICKLE_TENSOR,    /* called with a storage, offset, shape and strides */
    PICKLE_PARAMETER, /* called with a tensor, or its state begins with one */
    PICKLE_SUBCLASS,  /* called with a function, a class and the function's arguments */
};

struct pickle_global {
    const char *name; /* "module.name" */
    enum pickle_role role;
    enum tensor_type type; /* of a storage */
};

/* The global of this name; NULL with ERR_MODEL_UNSUPPORTED, whose message names it, unless it is
 * allowed. */
const struct pickle_global *pickle_global_find(const char *module, size_t module_length,
                                               const char *name, size_t length, struct error *err);

enum pickle_kind {
    PICKLE_NONE,
    PICKLE_BOOL,
    PICKLE_INT,
    PICKLE_FLOAT,
    PICKLE_TEXT, /* str or bytes; also the bytes of an integer that has more than 64 bits */
    PICKLE_TUPLE,
    PICKLE_LIST,
    PICKLE_SET,
    PICKLE_DICT, /* its items are key, value, key, value, ... */
    PICKLE_GLOBAL,
    PICKLE_OBJECT,     /* what a global would return; its items are those of a list or dict */
    PICKLE_PERSISTENT, /* something outside of the pickle */
};

struct pickle_value;
struct pickle_item {
    const struct pickle_value *value;
    struct pickle_item *next;
};

/* Values may contain themselves: follow them to a fixed depth only. */
struct pickle_value {
    enum pickle_kind kind;
    union {
        int64_t integer; /* PICKLE_BOOL, PICKLE_INT */
        double real;
        const char *text;                   /* in the pickle's bytes, without a NUL */
        const struct pickle_global *global; /* PICKLE_GLOBAL, PICKLE_OBJECT */
        const struct pickle_value *id;      /* PICKLE_PERSISTENT */
    };
    union {
        size_t length;                                    /* PICKLE_TEXT */
        struct {                                          /* PICKLE_OBJECT */
            const struct pickle_value *arguments, *state; /* NULL if there are none */
        };
    };
    struct pickle_item *first, *last;
};

/* A value with all that it refers to; strings stay in the bytes it was read from. */
struct pickle {
    const struct pickle_value *root;
    const struct pickle_item *persistent; /* all values of this kind */
    size_t length;                        /* bytes up to the end of the STOP opcode */
    struct pickle_block *blocks;
    size_t left;   /* bytes of the first block that are not used yet */
    size_t values; /* their number, with items */
};

/* Reads the pickle at the start of `bytes`, which the caller keeps as long as the values. `out` is
 * to be destroyed after ERR_OK. Takes time and memory in proportion to the pickle's length.
 * ERR_MODEL_INVALID, ERR_MODEL_UNSUPPORTED, ERR_NO_MEMORY. */
int pickle_read(struct pickle *out, const unsigned char *bytes, size_t length, struct error *err);
void pickle_destroy(struct pickle *pickle);

/* Whether a value, which may be NULL, is this text. */
bool pickle_is_text(const struct pickle_value *value, const char *text);

/* Whether a value, which may be NULL, is a dict of some kind. */
bool pickle_is_mapping(const struct pickle_value *value);

/* Item `i` of a tuple or list; NULL if there is none. */
const struct pickle_value *pickle_item(const struct pickle_value *value, size_t i);

/* The last value that a mapping has under a text; NULL if there is none. */
const struct pickle_value *pickle_get(const struct pickle_value *mapping, const char *key);

/* A value that is an integer of at least 0 and fits; false otherwise. */
bool pickle_size(const struct pickle_value *value, size_t *out);

#endif
