#include "model/pickle.h"

#include <stdlib.h>
#include <string.h>

#include "base/array.h"

/* Values and items come from blocks, which are freed together. */
struct pickle_block {
    struct pickle_block *next;
    max_align_t bytes[];
};
enum { BLOCK_BYTES = 64 << 10 };

struct machine {
    const unsigned char *begin, *at, *end;
    struct pickle *out;
    struct pickle_value **stack, **memo;
    size_t depth, stack_capacity;
    size_t memo_count, memo_capacity; /* all below memo_count are set or NULL */
    size_t *marks;                    /* depths of the stack */
    size_t mark_count, mark_capacity;
    struct pickle_item *last_persistent;
    unsigned char opcode;
    bool stopped;
};

static int damaged(const struct machine *m, const char *what, struct error *err)
{
    return error_set(err, ERR_MODEL_INVALID, "the pickle is damaged at byte %zu: %s",
                     (size_t)(m->at - m->begin), what);
}

static int no_memory(struct error *err)
{
    return error_set(err, ERR_NO_MEMORY, "no memory for the values of a pickle");
}

/* Zeroed memory that lives as long as the pickle. */
static int take_memory(struct machine *m, size_t size, void **out, struct error *err)
{
    struct pickle *p = m->out;
    *out = NULL;
    if (p->values++ >= 2 * (size_t)PICKLE_MAX_VALUES)
        return damaged(m, "it has too many values", err);
    if (p->left < size) {
        struct pickle_block *block = calloc(1, sizeof *block + BLOCK_BYTES);
        if (!block)
            return no_memory(err);
        block->next = p->blocks;
        p->blocks = block;
        p->left = BLOCK_BYTES;
    }
    *out = (char *)p->blocks->bytes + (BLOCK_BYTES - p->left);
    p->left -= size;
    return ERR_OK;
}

static int push(struct machine *m, struct pickle_value *value, struct error *err)
{
    if (m->depth >= PICKLE_MAX_VALUES)
        return damaged(m, "its stack is too deep", err);
    struct pickle_value **stack =
        array_grow(m->stack, m->depth, &m->stack_capacity, sizeof(struct pickle_value *));
    if (!stack)
        return no_memory(err);
    m->stack = stack;
    m->stack[m->depth++] = value;
    return ERR_OK;
}

static int push_new(struct machine *m, enum pickle_kind kind, struct pickle_value **out,
                    struct error *err)
{
    void *memory;
    *out = NULL;
    int code = take_memory(m, sizeof **out, &memory, err);
    if (code != ERR_OK)
        return code;
    *out = memory;
    (*out)->kind = kind;
    return push(m, *out, err);
}

/* The depth below which nothing can be popped before the mark is. */
static size_t stack_floor(const struct machine *m)
{
    return m->mark_count > 0 ? m->marks[m->mark_count - 1] : 0;
}

static int need(const struct machine *m, size_t count, struct error *err)
{
    return m->depth - stack_floor(m) >= count ? ERR_OK : damaged(m, "its stack is empty", err);
}

/* Removes the latest mark; what is above *begin was pushed after it. `below`: how many values there
 * must be before it. */
static int pop_mark(struct machine *m, size_t below, size_t *begin, struct error *err)
{
    *begin = 0;
    if (m->mark_count == 0)
        return damaged(m, "it has no mark", err);
    *begin = m->marks[--m->mark_count];
    return *begin - stack_floor(m) >= below ? ERR_OK : damaged(m, "its stack is empty", err);
}

static int append(struct machine *m, struct pickle_item **first, struct pickle_item **last,
                  const struct pickle_value *value, struct error *err)
{
    void *memory;
    int code = take_memory(m, sizeof **first, &memory, err);
    if (code != ERR_OK)
        return code;
    struct pickle_item *item = memory;
    item->value = value;
    if (*last)
        (*last)->next = item;
    else
        *first = item;
    *last = item;
    return ERR_OK;
}

/* Moves what is above `begin` on the stack into a container. */
static int take_items(struct machine *m, struct pickle_value *container, size_t begin,
                      struct error *err)
{
    int code = ERR_OK;
    for (size_t i = begin; code == ERR_OK && i < m->depth; i++)
        code = append(m, &container->first, &container->last, m->stack[i], err);
    m->depth = begin;
    return code;
}

static int take_bytes(struct machine *m, size_t count, const unsigned char **bytes,
                      struct error *err)
{
    *bytes = NULL;
    if ((size_t)(m->end - m->at) < count)
        return damaged(m, "it ends too early", err);
    *bytes = m->at;
    m->at += count;
    return ERR_OK;
}

/* A little-endian number of 1 to 8 bytes. */
static int take_number(struct machine *m, size_t bytes, uint64_t *out, struct error *err)
{
    const unsigned char *at;
    int code = take_bytes(m, bytes, &at, err);
    *out = 0;
    for (size_t i = 0; code == ERR_OK && i < bytes; i++)
        *out |= (uint64_t)at[i] << 8 * i;
    return code;
}

/* Bytes whose number stands before them. */
static int take_counted(struct machine *m, size_t length_bytes, const unsigned char **bytes,
                        size_t *length, struct error *err)
{
    uint64_t n;
    *bytes = NULL;
    *length = 0;
    int code = take_number(m, length_bytes, &n, err);
    if (code != ERR_OK)
        return code;
    *length = (size_t)n;
    return take_bytes(m, *length, bytes, err);
}

static int do_none(struct machine *m, struct error *err)
{
    struct pickle_value *value;
    return push_new(m, PICKLE_NONE, &value, err);
}

static int do_bool(struct machine *m, struct error *err)
{
    struct pickle_value *value;
    int code = push_new(m, PICKLE_BOOL, &value, err);
    if (code == ERR_OK)
        value->integer = m->opcode == 0x88;
    return code;
}

/* BININT has a sign, BININT1 and BININT2 have none. */
static int do_int(struct machine *m, struct error *err)
{
    struct pickle_value *value;
    uint64_t n;
    int code = take_number(m, m->opcode == 'J' ? 4 : m->opcode == 'K' ? 1 : 2, &n, err);
    if (code == ERR_OK)
        code = push_new(m, PICKLE_INT, &value, err);
    if (code == ERR_OK)
        value->integer = m->opcode == 'J' ? (int32_t)(uint32_t)n : (int64_t)n;
    return code;
}

/* Two's complement of any length; what has more than 64 bits stays as it is. */
static int do_long(struct machine *m, struct error *err)
{
    struct pickle_value *value;
    const unsigned char *bytes;
    size_t length;
    int code = take_counted(m, m->opcode == 0x8a ? 1 : 4, &bytes, &length, err);
    if (code == ERR_OK)
        code = push_new(m, length <= 8 ? PICKLE_INT : PICKLE_TEXT, &value, err);
    if (code != ERR_OK)
        return code;
    if (length > 8) {
        value->text = (const char *)bytes;
        value->length = length;
        return ERR_OK;
    }
    uint64_t n = length > 0 && bytes[length - 1] & 0x80 ? UINT64_MAX : 0;
    for (size_t i = length; i > 0; i--)
        n = n << 8 | bytes[i - 1];
    value->integer = (int64_t)n;
    return ERR_OK;
}

/* Eight bytes, big-endian. */
static int do_float(struct machine *m, struct error *err)
{
    struct pickle_value *value;
    uint64_t n;
    int code = take_number(m, 8, &n, err);
    if (code == ERR_OK)
        code = push_new(m, PICKLE_FLOAT, &value, err);
    if (code != ERR_OK)
        return code;
    n = __builtin_bswap64(n);
    memcpy(&value->real, &n, sizeof value->real);
    return ERR_OK;
}

static int push_text(struct machine *m, size_t length_bytes, struct error *err)
{
    struct pickle_value *value;
    const unsigned char *bytes;
    size_t length;
    int code = take_counted(m, length_bytes, &bytes, &length, err);
    if (code == ERR_OK)
        code = push_new(m, PICKLE_TEXT, &value, err);
    if (code != ERR_OK)
        return code;
    value->text = (const char *)bytes;
    value->length = length;
    return ERR_OK;
}

static int do_text_1(struct machine *m, struct error *err)
{
    return push_text(m, 1, err);
}

static int do_text_4(struct machine *m, struct error *err)
{
    return push_text(m, 4, err);
}

static int do_text_8(struct machine *m, struct error *err)
{
    return push_text(m, 8, err);
}

static int do_mark(struct machine *m, struct error *err)
{
    size_t *marks = array_grow(m->marks, m->mark_count, &m->mark_capacity, sizeof *marks);
    if (!marks)
        return no_memory(err);
    m->marks = marks;
    m->marks[m->mark_count++] = m->depth;
    return m->mark_count <= PICKLE_MAX_VALUES ? ERR_OK : damaged(m, "it has too many marks", err);
}

static int do_pop(struct machine *m, struct error *err)
{
    int code = need(m, 1, err);
    m->depth -= code == ERR_OK;
    return code;
}

static int do_pop_mark(struct machine *m, struct error *err)
{
    size_t begin;
    int code = pop_mark(m, 0, &begin, err);
    if (code == ERR_OK)
        m->depth = begin;
    return code;
}

static enum pickle_kind container_kind(unsigned char opcode)
{
    switch (opcode) {
    case ']':
    case 'l':
        return PICKLE_LIST;
    case '}':
    case 'd':
        return PICKLE_DICT;
    case 0x8f: /* EMPTY_SET */
    case 0x91: /* FROZENSET */
        return PICKLE_SET;
    default:
        return PICKLE_TUPLE;
    }
}

static int do_empty(struct machine *m, struct error *err)
{
    struct pickle_value *value;
    return push_new(m, container_kind(m->opcode), &value, err);
}

/* A container of what is above `begin`. */
static int collect(struct machine *m, size_t begin, struct error *err)
{
    struct pickle_value *value;
    size_t count = m->depth - begin;
    int code = push_new(m, container_kind(m->opcode), &value, err);
    if (code != ERR_OK)
        return code;
    if (value->kind == PICKLE_DICT && count % 2 != 0)
        return damaged(m, "a key has no value", err);
    m->depth--;
    code = take_items(m, value, begin, err);
    return code == ERR_OK ? push(m, value, err) : code;
}

static int do_collect(struct machine *m, struct error *err)
{
    size_t begin;
    int code = pop_mark(m, 0, &begin, err);
    return code == ERR_OK ? collect(m, begin, err) : code;
}

/* TUPLE1, TUPLE2 and TUPLE3. */
static int do_tuple(struct machine *m, struct error *err)
{
    size_t count = m->opcode - 0x84U;
    int code = need(m, count, err);
    return code == ERR_OK ? collect(m, m->depth - count, err) : code;
}

static bool takes_items(const struct pickle_value *to, unsigned char opcode, bool pairs)
{
    if (to->kind == PICKLE_OBJECT)
        return (to->global->role == PICKLE_MAPPING) == pairs;
    return to->kind == (pairs ? PICKLE_DICT : opcode == 0x90 ? PICKLE_SET : PICKLE_LIST);
}

/* Adds what is above `begin` to the container below it. */
static int extend(struct machine *m, size_t begin, struct error *err)
{
    struct pickle_value *to = m->stack[begin - 1];
    bool pairs = m->opcode == 's' || m->opcode == 'u';
    if (!takes_items(to, m->opcode, pairs))
        return damaged(m, "items are added to what is no container", err);
    if (pairs && (m->depth - begin) % 2 != 0)
        return damaged(m, "a key has no value", err);
    return take_items(m, to, begin, err);
}

/* APPENDS, SETITEMS, ADDITEMS. */
static int do_extend(struct machine *m, struct error *err)
{
    size_t begin;
    int code = pop_mark(m, 1, &begin, err);
    return code == ERR_OK ? extend(m, begin, err) : code;
}

/* APPEND, SETITEM. */
static int do_add(struct machine *m, struct error *err)
{
    size_t count = m->opcode == 'a' ? 1 : 2;
    int code = need(m, count + 1, err);
    return code == ERR_OK ? extend(m, m->depth - count, err) : code;
}

/* BINGET, LONG_BINGET. */
static int do_get(struct machine *m, struct error *err)
{
    uint64_t i;
    int code = take_number(m, m->opcode == 'h' ? 1 : 4, &i, err);
    if (code != ERR_OK)
        return code;
    if (i >= m->memo_count || !m->memo[i])
        return damaged(m, "it refers to a value that it does not have", err);
    return push(m, m->memo[i], err);
}

static int remember(struct machine *m, size_t i, struct error *err)
{
    int code = need(m, 1, err);
    if (code == ERR_OK && i >= PICKLE_MAX_VALUES)
        code = damaged(m, "it numbers too many values", err);
    for (; code == ERR_OK && m->memo_count <= i; m->memo_count++) {
        struct pickle_value **memo =
            array_grow(m->memo, m->memo_count, &m->memo_capacity, sizeof(struct pickle_value *));
        if (!memo)
            return no_memory(err);
        m->memo = memo;
        m->memo[m->memo_count] = NULL;
    }
    if (code == ERR_OK)
        m->memo[i] = m->stack[m->depth - 1];
    return code;
}

/* BINPUT, LONG_BINPUT. */
static int do_put(struct machine *m, struct error *err)
{
    uint64_t i;
    int code = take_number(m, m->opcode == 'q' ? 1 : 4, &i, err);
    return code == ERR_OK ? remember(m, (size_t)i, err) : code;
}

static int do_memoize(struct machine *m, struct error *err)
{
    return remember(m, m->memo_count, err);
}

static int push_global(struct machine *m, const char *module, size_t module_length,
                       const char *name, size_t length, struct error *err)
{
    struct pickle_value *value;
    const struct pickle_global *global =
        pickle_global_find(module, module_length, name, length, err);
    if (!global)
        return ERR_MODEL_UNSUPPORTED;
    int code = push_new(m, PICKLE_GLOBAL, &value, err);
    if (code == ERR_OK)
        value->global = global;
    return code;
}

static int take_line(struct machine *m, const char **line, size_t *length, struct error *err)
{
    const unsigned char *end = memchr(m->at, '\n', (size_t)(m->end - m->at));
    *line = NULL;
    *length = 0;
    if (!end)
        return damaged(m, "it ends too early", err);
    *line = (const char *)m->at;
    *length = (size_t)(end - m->at);
    m->at = end + 1;
    return ERR_OK;
}

static int do_global(struct machine *m, struct error *err)
{
    const char *module, *name;
    size_t module_length, length;
    int code = take_line(m, &module, &module_length, err);
    if (code == ERR_OK)
        code = take_line(m, &name, &length, err);
    return code == ERR_OK ? push_global(m, module, module_length, name, length, err) : code;
}

static int do_stack_global(struct machine *m, struct error *err)
{
    int code = need(m, 2, err);
    if (code != ERR_OK)
        return code;
    const struct pickle_value *module = m->stack[m->depth - 2], *name = m->stack[m->depth - 1];
    if (module->kind != PICKLE_TEXT || name->kind != PICKLE_TEXT)
        return damaged(m, "a global's name is no text", err);
    m->depth -= 2;
    return push_global(m, module->text, module->length, name->text, name->length, err);
}

/* The items of a dict that Python 2 wrote as an argument: a list of lists of key and value. */
static int take_pairs(struct machine *m, struct pickle_value *object, struct error *err)
{
    const struct pickle_value *list = pickle_item(object->arguments, 0);
    const struct pickle_item *i = list && list->kind == PICKLE_LIST ? list->first : NULL;
    int code = ERR_OK;
    for (; code == ERR_OK && i; i = i->next) {
        const struct pickle_value *key = pickle_item(i->value, 0),
                                  *value = pickle_item(i->value, 1);
        if (!key || !value)
            return damaged(m, "a key has no value", err);
        code = append(m, &object->first, &object->last, key, err);
        if (code == ERR_OK)
            code = append(m, &object->first, &object->last, value, err);
    }
    return code;
}

/* REDUCE, NEWOBJ, and NEWOBJ_EX, which has named arguments, too. */
static int do_object(struct machine *m, struct error *err)
{
    size_t count = m->opcode == 0x92 ? 3 : 2;
    struct pickle_value *value;
    int code = need(m, count, err);
    if (code != ERR_OK)
        return code;
    m->depth -= count;
    const struct pickle_value *class = m->stack[m->depth], *arguments = m->stack[m->depth + 1];
    if (class->kind != PICKLE_GLOBAL || arguments->kind != PICKLE_TUPLE)
        return damaged(m, "what is to be called is no global", err);
    code = push_new(m, PICKLE_OBJECT, &value, err);
    if (code != ERR_OK)
        return code;
    value->global = class->global;
    value->arguments = arguments;
    return value->global->role == PICKLE_MAPPING ? take_pairs(m, value, err) : ERR_OK;
}

static int do_build(struct machine *m, struct error *err)
{
    int code = need(m, 2, err);
    if (code != ERR_OK)
        return code;
    struct pickle_value *object = m->stack[m->depth - 2];
    if (object->kind != PICKLE_OBJECT)
        return damaged(m, "a state is given to what is no object", err);
    object->state = m->stack[--m->depth];
    return ERR_OK;
}

static int do_persistent(struct machine *m, struct error *err)
{
    struct pickle_value *value;
    int code = need(m, 1, err);
    if (code != ERR_OK)
        return code;
    const struct pickle_value *id = m->stack[--m->depth];
    code = push_new(m, PICKLE_PERSISTENT, &value, err);
    if (code != ERR_OK)
        return code;
    value->id = id;
    struct pickle_item *first = (struct pickle_item *)m->out->persistent;
    code = append(m, &first, &m->last_persistent, value, err);
    m->out->persistent = first;
    return code;
}

static int do_protocol(struct machine *m, struct error *err)
{
    uint64_t protocol;
    int code = take_number(m, 1, &protocol, err);
    if (code != ERR_OK || (protocol >= 2 && protocol <= 5))
        return code;
    return error_set(err, ERR_MODEL_UNSUPPORTED, "protocol %d of a pickle is not read; 2 to 5 are",
                     (int)protocol);
}

static int do_frame(struct machine *m, struct error *err)
{
    uint64_t length;
    return take_number(m, 8, &length, err);
}

static int do_stop(struct machine *m, struct error *err)
{
    if (m->depth != 1 || m->mark_count != 0)
        return damaged(m, "it does not end with one value", err);
    m->stopped = true;
    return ERR_OK;
}

static int (*const operations[256])(struct machine *, struct error *) = {
    ['('] = do_mark,          ['.'] = do_stop,     ['0'] = do_pop,      ['1'] = do_pop_mark,
    ['N'] = do_none,          ['J'] = do_int,      ['K'] = do_int,      ['M'] = do_int,
    ['G'] = do_float,         ['T'] = do_text_4,   ['U'] = do_text_1,   ['X'] = do_text_4,
    ['B'] = do_text_4,        ['C'] = do_text_1,   ['}'] = do_empty,    [']'] = do_empty,
    [')'] = do_empty,         ['d'] = do_collect,  ['l'] = do_collect,  ['t'] = do_collect,
    ['a'] = do_add,           ['e'] = do_extend,   ['s'] = do_add,      ['u'] = do_extend,
    ['h'] = do_get,           ['j'] = do_get,      ['q'] = do_put,      ['r'] = do_put,
    ['c'] = do_global,        ['R'] = do_object,   ['b'] = do_build,    ['Q'] = do_persistent,
    [0x80] = do_protocol,     [0x81] = do_object,  [0x85] = do_tuple,   [0x86] = do_tuple,
    [0x87] = do_tuple,        [0x88] = do_bool,    [0x89] = do_bool,    [0x8a] = do_long,
    [0x8b] = do_long,         [0x8c] = do_text_1,  [0x8d] = do_text_8,  [0x8e] = do_text_8,
    [0x8f] = do_empty,        [0x90] = do_extend,  [0x91] = do_collect, [0x92] = do_object,
    [0x93] = do_stack_global, [0x94] = do_memoize, [0x95] = do_frame,   [0x96] = do_text_8,
};

static int step(struct machine *m, struct error *err)
{
    const unsigned char *opcode;
    int code = take_bytes(m, 1, &opcode, err);
    if (code != ERR_OK)
        return code;
    m->opcode = *opcode;
    if (operations[m->opcode])
        return operations[m->opcode](m, err);
    return error_set(err, ERR_MODEL_UNSUPPORTED,
                     "the pickle has opcode 0x%02x at byte %zu, which torch.save does not write; "
                     "nothing of the file was run",
                     m->opcode, (size_t)(opcode - m->begin));
}

int pickle_read(struct pickle *out, const unsigned char *bytes, size_t length, struct error *err)
{
    struct machine m = {.begin = bytes, .at = bytes, .end = bytes + length, .out = out};
    *out = (struct pickle){0};
    int code = ERR_OK;
    while (code == ERR_OK && !m.stopped)
        code = step(&m, err);
    if (code == ERR_OK) {
        out->root = m.stack[0];
        out->length = (size_t)(m.at - m.begin);
    } else {
        pickle_destroy(out);
    }
    free(m.stack);
    free(m.memo);
    free(m.marks);
    return code;
}

void pickle_destroy(struct pickle *pickle)
{
    for (struct pickle_block *block = pickle->blocks, *next; block; block = next) {
        next = block->next;
        free(block);
    }
    *pickle = (struct pickle){0};
}

bool pickle_is_text(const struct pickle_value *value, const char *text)
{
    return value && value->kind == PICKLE_TEXT && value->length == strlen(text) &&
           memcmp(value->text, text, value->length) == 0;
}

bool pickle_is_mapping(const struct pickle_value *value)
{
    return value && (value->kind == PICKLE_DICT ||
                     (value->kind == PICKLE_OBJECT && value->global->role == PICKLE_MAPPING));
}

const struct pickle_value *pickle_item(const struct pickle_value *value, size_t i)
{
    const struct pickle_item *item =
        value && (value->kind == PICKLE_TUPLE || value->kind == PICKLE_LIST) ? value->first : NULL;
    for (; item && i > 0; i--)
        item = item->next;
    return item ? item->value : NULL;
}

const struct pickle_value *pickle_get(const struct pickle_value *mapping, const char *key)
{
    const struct pickle_value *found = NULL;
    const struct pickle_item *item = pickle_is_mapping(mapping) ? mapping->first : NULL;
    for (; item && item->next; item = item->next->next)
        if (pickle_is_text(item->value, key))
            found = item->next->value;
    return found;
}

bool pickle_size(const struct pickle_value *value, size_t *out)
{
    if (!value || value->kind != PICKLE_INT || value->integer < 0)
        return false;
    *out = (size_t)value->integer;
    return true;
}
