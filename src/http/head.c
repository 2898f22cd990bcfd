#include "http/head.h"

#include <string.h>
#include <strings.h>

#include "base/number.h"
#include "http/token.h"

/* What libmicrohttpd notes of so many arguments fits beside such a target in the memory of a
 * connection. Without any left, 0.9 would neither answer nor read on. */
enum { TARGET_MAX = 16384, ARGUMENTS_MAX = 512 };

/* Goes before the client's cookies: libmicrohttpd takes the first header of a name apart, and a
 * long one of the client's would use up its memory. */
static const char DECOY_NAME[] = "Cookie", DECOY_VALUE[] = "-=";

bool head_is_strict_library(void)
{
    return MHD_get_version()[0] != '0';
}

static bool has_control(const char *value)
{
    for (const unsigned char *c = (const unsigned char *)value; *c; c++)
        if ((*c < ' ' && *c != '\t') || *c == 0x7f)
            return true;
    return false;
}

void head_begin(struct head *head, struct MHD_Connection *connection, const char *target)
{
    const char *query = strchr(target, '?');
    size_t arguments = 0;
    for (const char *c = query; c; c = strchr(c + 1, '&'))
        arguments++;
    *head =
        (struct head){.connection = connection, .target = target, .target_length = strlen(target)};
    head->is_malformed = has_control(target) || strpbrk(target, " \t");
    head->is_too_long = head->target_length > TARGET_MAX || arguments > ARGUMENTS_MAX;
    if (head->is_too_long && query)
        ((char *)query)[1] = '\0'; /* the memory is libmicrohttpd's, which writes there, too */
    MHD_set_connection_value(connection, MHD_HEADER_KIND, DECOY_NAME, DECOY_VALUE);
}

struct reading {
    const char *expected; /* where the next line is to begin */
    bool is_whole;        /* nothing was left out, or put together */
    bool bad_name, bad_value, bad_host;
    size_t hosts, lengths, codings;
    const char *length, *coding; /* the first of each */
};

static bool is_token(const char *name)
{
    size_t n = strspn(name, TOKEN_CHARACTERS);
    return n > 0 && name[n] == '\0';
}

/* Of the characters of a host and port (RFC 3986, 3.2), or empty: so it is to be where the target
 * has none (RFC 9112, 3.2). Blanks may follow. */
static bool is_host(const char *value)
{
    size_t n = strspn(value, "!$%&'()*+,-.:;=[]_~" TOKEN_LETTERS_AND_DIGITS);
    return value[n + strspn(value + n, " \t")] == '\0';
}

/* libmicrohttpd's strings lie where the line came, with zeros for the colon, CR and LF: a line that
 * was dropped or put together from two, a NUL or a lone LF shows in their distances. */
static void follow(struct reading *r, const char *name, const char *value)
{
    const char *begin = name + strlen(name) + 1;
    begin += strspn(begin, " \t");
    r->is_whole = r->is_whole && name == r->expected && value == begin;
    r->expected = value + strlen(value) + 2;
}

static enum MHD_Result note_header(void *arg, enum MHD_ValueKind kind, const char *name,
                                   const char *value)
{
    (void)kind;
    struct reading *r = arg;
    if (name == DECOY_NAME)
        return MHD_YES;
    follow(r, name, value);
    r->bad_name = r->bad_name || !is_token(name);
    r->bad_value = r->bad_value || has_control(value);
    if (strcasecmp(name, "Host") == 0 && r->hosts++ == 0)
        r->bad_host = !is_host(value);
    if (strcasecmp(name, "Content-Length") == 0 && r->lengths++ == 0)
        r->length = value;
    if (strcasecmp(name, "Transfer-Encoding") == 0 && r->codings++ == 0)
        r->coding = value;
    return MHD_YES;
}

static bool is_whole(const struct head *head, const struct reading *r, const char *method,
                     const char *version)
{
    size_t size = MHD_get_connection_info(head->connection, MHD_CONNECTION_INFO_REQUEST_HEADER_SIZE)
                      ->header_size;
    return head_is_strict_library() ||
           (r->is_whole && head->target == method + strlen(method) + 1 &&
            version == head->target + head->target_length + 1 && r->expected + 2 == method + size);
}

static int check_framing(const struct reading *r, bool is_1_0, struct error *err)
{
    if (r->hosts > 1 || (r->hosts == 0 && !is_1_0))
        return error_set(err, ERR_BAD_REQUEST, "one Host is needed, and there are %zu", r->hosts);
    if (r->bad_host)
        return error_set(err, ERR_BAD_REQUEST, "the Host has a character it cannot have");
    if (r->lengths > 1)
        return error_set(err, ERR_BAD_REQUEST, "more than one Content-Length; send one");
    if (r->lengths > 0 && r->codings > 0)
        return error_set(err, ERR_BAD_REQUEST,
                         "Content-Length together with Transfer-Encoding; send one of them");
    if (r->codings > 0 && is_1_0)
        return error_set(err, ERR_BAD_REQUEST,
                         "Transfer-Encoding in HTTP/1.0, which has none; send Content-Length");
    if (r->codings > 1 || (r->coding && strcasecmp(r->coding, "chunked") != 0))
        return error_set(err, ERR_TRANSFER_CODING,
                         "the only Transfer-Encoding supported is chunked, once");
    return ERR_OK;
}

int head_check(struct head *head, const char *method, const char *version, struct error *err)
{
    struct reading r = {.expected = version + strlen(version) + 2, .is_whole = true};
    MHD_get_connection_values(head->connection, MHD_HEADER_KIND, note_header, &r);
    /* libmicrohttpd has refused a first Content-Length that is no number below 2^64. */
    head->content_length = r.length ? (uint64_t)number_parse(r.length, strlen(r.length)) : 0;
    head->has_length = r.lengths > 0 || r.codings > 0;
    head->has_body = r.codings > 0 || head->content_length > 0;
    /* libmicrohttpd 0.9 takes a lone LF for the end of a chunk's line or of a trailer, too. */
    head->is_loose = r.codings > 0 && !head_is_strict_library();
    if (head->is_too_long)
        return error_set(err, ERR_BAD_REQUEST,
                         "the request's target is longer than %d bytes, or has more than %d "
                         "arguments",
                         TARGET_MAX, ARGUMENTS_MAX);
    if (head->is_malformed || !is_token(method))
        return error_set(err, ERR_BAD_REQUEST,
                         "the request line has a blank or a character that it cannot have");
    if (!is_whole(head, &r, method, version))
        return error_set(err, ERR_BAD_REQUEST,
                         "a folded line, a NUL, a line without CR LF, or a blank too many in the "
                         "request's head");
    if (r.bad_name)
        return error_set(err, ERR_BAD_REQUEST, "a header's name has a character it cannot have");
    if (r.bad_value)
        return error_set(err, ERR_BAD_REQUEST, "a header's value has a control character");
    return check_framing(&r, strcmp(version, "HTTP/1.0") == 0, err);
}

static const char *value_of(const struct head *head, const char *name)
{
    return MHD_lookup_connection_value(head->connection, MHD_HEADER_KIND, name);
}

int head_check_demands(const struct head *head, struct error *err)
{
    const char *expect = value_of(head, "Expect");
    if (expect && strcasecmp(expect, "100-continue") != 0)
        return error_set(err, ERR_EXPECTATION, "the only Expect supported is 100-continue");
    const char *encoding = value_of(head, "Content-Encoding");
    if (encoding && strcasecmp(encoding, "identity") != 0)
        return error_set(err, ERR_MEDIA_TYPE,
                         "no Content-Encoding is supported; send the JPEG's own bytes");
    return ERR_OK;
}

/* The head has come whole, and there is no answer yet. */
static bool is_read(const struct head *head)
{
    return MHD_get_connection_info(head->connection, MHD_CONNECTION_INFO_REQUEST_HEADER_SIZE) &&
           !MHD_get_connection_info(head->connection, MHD_CONNECTION_INFO_HTTP_STATUS);
}

bool head_refused(const struct head *head, int status, struct error *err)
{
    if (head_is_strict_library() || !is_read(head))
        return false;
    if (status == error_status(ERR_BODY_TOO_LARGE))
        error_set(err, ERR_BODY_TOO_LARGE, "Content-Length is beyond any limit");
    else if (status == error_status(ERR_BAD_REQUEST))
        error_set(err, ERR_BAD_REQUEST, "Content-Length is no number");
    else
        error_set(err, ERR_BAD_REQUEST, "the request's head is too long");
    return true;
}
