#include "tool/output.h"

#include <errno.h>
#include <float.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/utf8.h"

static int first_error; /* errno of the first failure */

static void note_failure(int reason)
{
    first_error = first_error ? first_error : reason;
}

/* Prints a character of a CSV field, `length` bytes long; 0: a byte that is not UTF-8. */
static void csv_character(FILE *f, const unsigned char *s, size_t length)
{
    if (length == 0)
        fprintf(f, "\\x%02x", *s);
    else if (utf8_is_control(s))
        fprintf(f, "\\u%04" PRIx32, utf8_code_point(s, length));
    else if (*s == '\\' || *s == '"') /* doubled */
        fprintf(f, "%c%c", *s, *s);
    else
        fwrite(s, 1, length, f);
}

void output_csv_field(FILE *f, const char *text)
{
    bool quoted = text[strcspn(text, ",\"")];
    if (quoted)
        fputc('"', f);
    for (const unsigned char *s = (const unsigned char *)text; *s;) {
        size_t n = utf8_length(s);
        csv_character(f, s, n);
        s += n ? n : 1;
    }
    if (quoted)
        fputc('"', f);
}

void output_grouped(int64_t number, char text[32])
{
    char digits[24];
    int n = snprintf(digits, sizeof digits, "%" PRId64, number);
    for (int i = 0; i < n; i++) {
        if (i > 0 && (n - i) % 3 == 0 && digits[i - 1] != '-')
            *text++ = ',';
        *text++ = digits[i];
    }
    *text = '\0';
}

json_t *output_json_text(const char *text)
{
    json_t *whole = json_string(text);
    if (whole)
        return whole;
    char *clean = malloc(3 * strlen(text) + 1), *to = clean;
    if (!clean)
        return NULL;
    for (const unsigned char *s = (const unsigned char *)text; *s;) {
        size_t n = utf8_length(s);
        to = n ? mempcpy(to, s, n) : mempcpy(to, "\xef\xbf\xbd", 3);
        s += n ? n : 1;
    }
    *to = '\0';
    json_t *json = json_string(clean);
    free(clean);
    return json;
}

struct output_digits output_float(float number)
{
    struct output_digits digits;
    for (int count = FLT_DIG; count <= FLT_DECIMAL_DIG; count++) {
        snprintf(digits.text, sizeof digits.text, "%.*g", count, (double)number);
        if (strtof(digits.text, NULL) == number)
            break;
    }
    return digits;
}

json_t *output_json_float(float number)
{
    return isfinite(number) ? json_real(strtod(output_float(number).text, NULL)) : json_null();
}

json_t *output_json_floats(const float *numbers, size_t count)
{
    json_t *array = json_array();
    for (size_t i = 0; i < count; i++)
        array = output_json_append(array, output_json_float(numbers[i]));
    return array;
}

json_t *output_json_kernels(const struct network_summary *kernels)
{
    return json_pack("{s:s, s:s?}", "dense", kernels->dense, "grouped",
                     *kernels->grouped ? kernels->grouped : NULL);
}

json_t *output_json_append(json_t *array, json_t *value)
{
    if (json_array_append_new(array, value) == 0)
        return array;
    json_decref(array);
    return NULL;
}

void output_json_line(json_t *object)
{
    if (!object ||
        json_dumpf(object, stdout, JSON_COMPACT | JSON_REAL_PRECISION(FLT_DECIMAL_DIG)) != 0)
        note_failure(object ? errno : ENOMEM);
    putchar('\n');
    json_decref(object);
}

void output_json_failure(const char *path, const struct error *err)
{
    output_json_line(json_pack("{s:o, s:{s:s, s:o}}", "file", output_json_text(path), "error",
                               "code", error_json_code(err->code), "message",
                               output_json_text(err->message)));
}

static bool write_whole(FILE *f, const char *head, const void *bytes, size_t length)
{
    return fputs(head, f) != EOF && fwrite(bytes, 1, length, f) == length && fflush(f) == 0;
}

int output_bytes(const char *path, const char *head, const void *bytes, size_t length,
                 struct error *err)
{
    if (!path) {
        if (!write_whole(stdout, head, bytes, length))
            note_failure(errno);
        return ERR_OK;
    }
    FILE *f = fopen(path, "wbe");
    bool opened = f != NULL, written = opened && write_whole(f, head, bytes, length);
    int reason = errno;
    if (opened && fclose(f) != 0 && written) {
        written = false;
        reason = errno;
    }
    if (written)
        return ERR_OK;
    struct stat st;
    if (opened && lstat(path, &st) == 0 && S_ISREG(st.st_mode))
        unlink(path);
    return error_set(err, ERR_IO, "cannot write %s: %s", path, strerror(reason));
}

bool output_flush(void)
{
    if (fflush(stdout) != 0)
        note_failure(errno);
    return !first_error;
}

int output_close(int status)
{
    if (output_flush())
        return status;
    if (first_error != EPIPE)
        tool_message("cannot write the output: %s", strerror(first_error));
    return status != TOOL_OK ? status : TOOL_FAILED;
}
