#include "http/multipart.h"

#include <stdio.h>
#include <string.h>

#include "base/jpeg_start.h"
#include "http/token.h"

enum { HEADER_MAX = 8192, ENCODING_SHOWN = 20 };

static bool slice_is(struct slice s, const char *word)
{
    return s.length == strlen(word) && strncasecmp(s.bytes, word, s.length) == 0;
}

static bool slice_starts_with(struct slice s, const char *word)
{
    return s.length >= strlen(word) && strncasecmp(s.bytes, word, strlen(word)) == 0;
}

static void slice_skip(struct slice *s, size_t n)
{
    s->bytes += n;
    s->length -= n;
}

static void skip_blanks(struct slice *s)
{
    while (s->length > 0 && (*s->bytes == ' ' || *s->bytes == '\t'))
        slice_skip(s, 1);
}

/* Blanks in a header's value, and line ends that blanks follow. */
static void skip_folds(struct slice *s)
{
    for (;;) {
        skip_blanks(s);
        if (s->length < 3 || memcmp(s->bytes, "\r\n", 2) != 0 ||
            (s->bytes[2] != ' ' && s->bytes[2] != '\t'))
            return;
        slice_skip(s, 2);
    }
}

static bool is_one_of(char c, const char *characters)
{
    return c != '\0' && strchr(characters, c);
}

#define BOUNDARY_MARKS TOKEN_MARKS "(),/:=?"

/* Of a boundary, and blanks: RFC 2046's bchars, and what an HTTP token may have. */
#define BOUNDARY_CHARACTERS BOUNDARY_MARKS TOKEN_LETTERS_AND_DIGITS

static struct slice take_characters(struct slice *s, const char *characters)
{
    struct slice taken = {s->bytes, 0};
    while (taken.length < s->length && is_one_of(s->bytes[taken.length], characters))
        taken.length++;
    slice_skip(s, taken.length);
    return taken;
}

static struct slice take_token(struct slice *s)
{
    return take_characters(s, TOKEN_CHARACTERS);
}

/* What stands between quotes, backslashes left as they are. False if the closing one is missing. */
static bool take_quoted(struct slice *s, struct slice *out)
{
    slice_skip(s, 1);
    *out = (struct slice){s->bytes, 0};
    while (s->length > 0 && *s->bytes != '"' && *s->bytes != '\r' && *s->bytes != '\n')
        slice_skip(s, *s->bytes == '\\' && s->length > 1 ? 2 : 1);
    if (s->length == 0 || *s->bytes != '"')
        return false;
    out->length = (size_t)(s->bytes - out->bytes);
    slice_skip(s, 1);
    return true;
}

/* The next `; key=value` of a header's value. 1: got one; 0: none is left; -1: malformed. */
static int take_parameter(struct slice *s, struct slice *key, struct slice *value)
{
    skip_folds(s);
    if (s->length > 0 && *s->bytes != ';')
        return -1;
    while (s->length > 0 && *s->bytes == ';') {
        slice_skip(s, 1);
        skip_folds(s);
    }
    if (s->length == 0)
        return 0;
    *key = take_token(s);
    skip_folds(s);
    if (key->length == 0 || s->length == 0 || *s->bytes != '=')
        return -1;
    slice_skip(s, 1);
    skip_folds(s);
    if (s->length > 0 && *s->bytes == '"')
        return take_quoted(s, value) ? 1 : -1;
    /* Clients that should quote a boundary often do not. */
    *value = take_characters(s, BOUNDARY_CHARACTERS);
    return value->length > 0 ? 1 : -1;
}

/* The media type or disposition that a header's value starts with, "type/subtype" or a token. */
static struct slice take_type(struct slice *s)
{
    skip_folds(s);
    struct slice type = take_token(s);
    if (s->length > 0 && *s->bytes == '/') {
        slice_skip(s, 1);
        type.length += 1 + take_token(s).length;
    }
    return type;
}

bool multipart_is_multipart(const char *content_type)
{
    struct slice value = {content_type, strlen(content_type)};
    return slice_starts_with(take_type(&value), "multipart/");
}

/* Undoes the backslashes between quotes, and copies. */
static int copy_boundary(struct slice from, char boundary[MULTIPART_BOUNDARY_MAX + 1],
                         struct error *err)
{
    size_t length = 0;
    for (size_t i = 0; i < from.length; i++) {
        i += from.bytes[i] == '\\' && i + 1 < from.length;
        if (length == MULTIPART_BOUNDARY_MAX)
            return error_set(err, ERR_MULTIPART, "the boundary is longer than %d characters",
                             MULTIPART_BOUNDARY_MAX);
        if (!is_one_of(from.bytes[i], BOUNDARY_CHARACTERS " "))
            return error_set(
                err, ERR_MULTIPART,
                "the boundary has the byte 0x%02x; it may have letters, digits, blanks and %s",
                (unsigned char)from.bytes[i], BOUNDARY_MARKS);
        boundary[length++] = from.bytes[i];
    }
    boundary[length] = '\0';
    if (length == 0)
        return error_set(err, ERR_MULTIPART, "the boundary is empty");
    if (boundary[length - 1] == ' ')
        return error_set(err, ERR_MULTIPART, "the boundary ends with a blank, which none may");
    return ERR_OK;
}

static int malformed(struct error *err, const char *header, struct slice at)
{
    enum { SHOWN = 40 };
    return error_set(err, ERR_MULTIPART,
                     "%s is malformed from \"%.*s\" on; parameters are ; name=value or "
                     "; name=\"value\"",
                     header, at.length < SHOWN ? (int)at.length : SHOWN, at.bytes);
}

int multipart_boundary(const char *content_type, char boundary[MULTIPART_BOUNDARY_MAX + 1],
                       struct error *err)
{
    struct slice rest = {content_type, strlen(content_type)}, key, value, found = {0};
    if (!slice_is(take_type(&rest), "multipart/form-data"))
        return error_set(err, ERR_MEDIA_TYPE,
                         "of the multipart types only multipart/form-data is supported");
    struct slice at = rest;
    int more;
    while ((more = take_parameter(&rest, &key, &value)) == 1) {
        at = rest;
        if (!slice_is(key, "boundary"))
            continue;
        if (found.bytes)
            return error_set(err, ERR_MULTIPART, "the Content-Type has two boundaries");
        found = value;
    }
    if (more < 0)
        return malformed(err, "the Content-Type", at);
    if (!found.bytes)
        return error_set(err, ERR_MULTIPART, "the Content-Type has no boundary");
    return copy_boundary(found, boundary, err);
}

/* NULL if there is none. memmem is many times slower over a body that is made for its boundary, and
 * memchr over one full of CRs. */
static const char *find(struct slice body, struct slice delimiter)
{
    for (; body.length >= delimiter.length; slice_skip(&body, 1)) {
        if (*body.bytes != '\r') {
            const char *cr = memchr(body.bytes, '\r', body.length - delimiter.length + 1);
            if (!cr)
                return NULL;
            slice_skip(&body, (size_t)(cr - body.bytes));
        }
        if (memcmp(body.bytes, "\r\n--", 4) == 0 &&
            memcmp(body.bytes, delimiter.bytes, delimiter.length) == 0)
            return body.bytes;
    }
    return NULL;
}

/* Finds the next delimiter line at or after *at: `data_end` is where the data before it ends, *at
 * moves behind it. False if there is none. The boundary's text followed by anything else but its
 * line's end is data. */
static bool find_delimiter(struct slice body, struct slice delimiter, size_t *at, size_t *data_end,
                           bool *closing)
{
    size_t from = *at;
    for (;;) {
        /* The first one may stand at the very start, where no line end goes before it. */
        bool first = from == 0 && body.length >= delimiter.length - 2 &&
                     memcmp(body.bytes, delimiter.bytes + 2, delimiter.length - 2) == 0;
        const char *hit =
            first ? body.bytes
                  : find((struct slice){body.bytes + from, body.length - from}, delimiter);
        if (!hit)
            return false;
        *data_end = (size_t)(hit - body.bytes);
        size_t end = *data_end + delimiter.length - (first ? 2 : 0);
        struct slice tail = {body.bytes + end, body.length - end};
        *closing = slice_starts_with(tail, "--");
        if (*closing)
            slice_skip(&tail, 2);
        skip_blanks(&tail);
        if (slice_starts_with(tail, "\r\n") || (*closing && tail.length == 0)) {
            *at = (size_t)(tail.bytes - body.bytes) + (tail.length > 0 ? 2 : 0);
            return true;
        }
        from = *data_end + 1;
    }
}

static int read_disposition(struct slice value, struct multipart_part *part, struct error *err)
{
    struct slice key, text;
    if (!slice_is(take_type(&value), "form-data"))
        return error_set(err, ERR_MULTIPART, "a part's Content-Disposition is not form-data");
    struct slice at = value;
    int more;
    while ((more = take_parameter(&value, &key, &text)) == 1) {
        at = value;
        struct slice *field = slice_is(key, "name")       ? &part->name
                              : slice_is(key, "filename") ? &part->file_name
                                                          : NULL;
        if (field && field->bytes)
            return error_set(err, ERR_MULTIPART, "a part's Content-Disposition names it twice");
        if (field)
            *field = text;
        /* filename*=UTF-8''... only tells that this is a file; names are labels here, no more. */
        part->is_file = part->is_file || slice_is(key, "filename") || slice_is(key, "filename*");
    }
    if (more < 0)
        return malformed(err, "a part's Content-Disposition", at);
    if (!part->name.bytes)
        return error_set(err, ERR_MULTIPART, "a part's Content-Disposition has no name");
    return ERR_OK;
}

static int read_header_line(struct slice line, struct multipart_part *part, struct error *err)
{
    struct slice key = take_token(&line);
    if (key.length == 0 || line.length == 0 || *line.bytes != ':')
        return error_set(err, ERR_MULTIPART, "a part's header is malformed");
    slice_skip(&line, 1);
    if (slice_is(key, "Content-Disposition"))
        return part->name.bytes
                   ? error_set(err, ERR_MULTIPART, "a part has two Content-Dispositions")
                   : read_disposition(line, part, err);
    if (slice_is(key, "Content-Type")) {
        struct slice type = take_type(&line);
        if (slice_starts_with(type, "multipart/"))
            return error_set(err, ERR_MULTIPART, "a part is itself multipart; send its parts here");
        part->is_file = part->is_file || slice_starts_with(type, "image/") ||
                        slice_is(type, "application/octet-stream");
    }
    if (slice_is(key, "Content-Transfer-Encoding")) {
        struct slice encoding = take_type(&line);
        if (!slice_is(encoding, "binary") && !slice_is(encoding, "8bit") &&
            !slice_is(encoding, "7bit"))
            return error_set(err, ERR_MULTIPART,
                             "a part has the Content-Transfer-Encoding %.*s; send the file's own "
                             "bytes, as binary",
                             encoding.length < ENCODING_SHOWN ? (int)encoding.length
                                                              : ENCODING_SHOWN,
                             encoding.bytes);
    }
    return ERR_OK;
}

/* Where the header line at the start of `content` ends: at a line end that no blank follows. */
static const char *line_end(struct slice content)
{
    const char *end = content.bytes, *limit = content.bytes + content.length;
    while ((end = memmem(end, (size_t)(limit - end), "\r\n", 2))) {
        bool folded = end > content.bytes && limit - end > 2 && (end[2] == ' ' || end[2] == '\t');
        if (!folded)
            return end;
        end += 2;
    }
    return NULL;
}

/* Reads the header at the start of *content and cuts it off. */
static int read_header(struct slice *content, struct multipart_part *part, struct error *err)
{
    for (size_t total = 0;;) {
        size_t max = content->length < HEADER_MAX - total ? content->length : HEADER_MAX - total;
        const char *end = line_end((struct slice){content->bytes, max});
        if (!end)
            return error_set(err, ERR_MULTIPART, "a part's header does not end within %d bytes",
                             HEADER_MAX);
        struct slice line = {content->bytes, (size_t)(end - content->bytes)};
        slice_skip(content, line.length + 2);
        total += line.length + 2;
        if (line.length == 0)
            break;
        int code = read_header_line(line, part, err);
        if (code != ERR_OK)
            return code;
    }
    if (!part->name.bytes)
        return error_set(err, ERR_MULTIPART,
                         "a part has no Content-Disposition: form-data; name=\"...\"");
    return ERR_OK;
}

/* Browsers send a file field that was left empty as an empty file without a name. No text begins
 * as a JPEG does: 0xff is not in UTF-8. */
static bool is_file(const struct multipart_part *part)
{
    if (part->data.length == 0 && part->file_name.bytes && part->file_name.length == 0)
        return false;
    return part->is_file || starts_as_jpeg(part->data.bytes, part->data.length);
}

int multipart_parse(const void *body, size_t length, const char *boundary,
                    struct multipart_part *parts, size_t max, size_t *count, struct error *err)
{
    char text[MULTIPART_BOUNDARY_MAX + 8];
    int n = snprintf(text, sizeof text, "\r\n--%s", boundary);
    const struct slice all = {body, length}, delimiter = {text, (size_t)n};
    size_t at = 0, data_end;
    bool closing;
    *count = 0;
    if (!find_delimiter(all, delimiter, &at, &data_end, &closing))
        return error_set(err, ERR_MULTIPART, "the body does not contain its boundary");
    while (!closing) {
        /* The delimiter's own line end may be the one that starts the next delimiter. */
        size_t begin = at;
        at -= 2;
        if (!find_delimiter(all, delimiter, &at, &data_end, &closing))
            return error_set(err, ERR_MULTIPART, "the body's closing boundary is missing");
        if (*count == max)
            return error_set(err, ERR_TOO_MANY_PARTS,
                             "the body has more than %zu parts (max_parts)", max);
        struct multipart_part part = {0};
        struct slice content = {all.bytes + begin, data_end > begin ? data_end - begin : 0};
        int code = read_header(&content, &part, err);
        if (code != ERR_OK)
            return code;
        part.data = content;
        part.is_file = is_file(&part);
        parts[(*count)++] = part;
    }
    return ERR_OK;
}
