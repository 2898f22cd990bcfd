#include "tool/files.h"

#include <errno.h>
#include <fts.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/array.h"
#include "base/file.h"

int files_append(struct file_list *list, const char *path, int class_id, const char *problem,
                 struct error *err)
{
    struct file_entry *entries =
        array_grow(list->entries, list->count, &list->capacity, sizeof *entries);
    if (entries)
        list->entries = entries;
    char *copy = entries ? strdup(path) : NULL;
    if (!copy)
        return error_set(err, ERR_NO_MEMORY, "no memory for the list of files");
    list->entries[list->count++] = (struct file_entry){copy, class_id, problem};
    return ERR_OK;
}

bool files_is_jpeg_name(const char *name)
{
    const char *dot = strrchr(name, '.');
    return dot && (strcasecmp(dot, ".jpg") == 0 || strcasecmp(dot, ".jpeg") == 0);
}

bool files_is_hidden(const char *name)
{
    return name[0] == '.' || strcmp(name, "__MACOSX") == 0 || strcmp(name, "@eaDir") == 0;
}

static int by_path(const void *a, const void *b)
{
    return strcmp(((const struct file_entry *)a)->path, ((const struct file_entry *)b)->path);
}

static bool is_shortage(int reason)
{
    return reason == ENOMEM || reason == EMFILE || reason == ENFILE;
}

/* Adds the entry that one step of the walk found. A directory that cannot be read is added like a
 * file, because reading it fails for the same reason. A shortage in this process ends the walk. */
static int add_found(struct file_list *list, const FTSENT *found, int class_id, struct error *err)
{
    switch (found->fts_info) {
    case FTS_D:
    case FTS_DP:
    case FTS_DC: /* a link back up */
        return ERR_OK;
    case FTS_DNR:
    case FTS_ERR:
        if (is_shortage(found->fts_errno))
            return error_set(err, ERR_IO, "cannot walk %s: %s", found->fts_path,
                             strerror(found->fts_errno));
        return files_append(list, found->fts_path, class_id, NULL, err);
    default:
        return files_is_jpeg_name(found->fts_name)
                   ? files_append(list, found->fts_path, class_id, NULL, err)
                   : ERR_OK;
    }
}

static int add_tree(struct file_list *list, const char *path, int class_id, struct error *err)
{
    char *root = strdup(path);
    char *const roots[] = {root, NULL};
    FTS *tree = root ? fts_open(roots, FTS_LOGICAL | FTS_NOCHDIR, NULL) : NULL;
    free(root);
    if (!tree)
        return error_set(err, ERR_NO_MEMORY, "no memory to walk %s", path);
    size_t before = list->count;
    int code = ERR_OK;
    for (FTSENT *found; code == ERR_OK && (found = fts_read(tree));) {
        if (found->fts_level > FTS_ROOTLEVEL && files_is_hidden(found->fts_name))
            fts_set(tree, found, FTS_SKIP);
        else
            code = add_found(list, found, class_id, err);
    }
    if (code == ERR_OK && errno != 0)
        code = error_set(err, ERR_IO, "cannot walk %s: %s", path, strerror(errno));
    fts_close(tree);
    if (code == ERR_OK && list->count == before)
        code = files_append(list, path, class_id, "there is no *.jpg or *.jpeg in this directory",
                            err);
    else if (code == ERR_OK)
        qsort(list->entries + before, list->count - before, sizeof *list->entries, by_path);
    return code;
}

int files_add(struct file_list *list, const char *path, int class_id, struct error *err)
{
    struct stat st;
    bool is_tree = strcmp(path, "-") != 0 && stat(path, &st) == 0 && S_ISDIR(st.st_mode);
    return is_tree ? add_tree(list, path, class_id, err)
                   : files_append(list, path, class_id, NULL, err);
}

void files_free(struct file_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        free(list->entries[i].path);
    free(list->entries);
    *list = (struct file_list){0};
}

static int grow(struct file_bytes *bytes, size_t capacity, struct error *err)
{
    if (capacity <= bytes->capacity)
        return ERR_OK;
    uint8_t *data = realloc(bytes->data, capacity);
    if (!data)
        return error_set(err, ERR_NO_MEMORY, "no memory for %zu bytes of a file", capacity);
    bytes->data = data;
    bytes->capacity = capacity;
    return ERR_OK;
}

static int too_large(size_t limit, struct error *err)
{
    return error_set(err, ERR_BODY_TOO_LARGE,
                     "larger than the limit of %zu bytes; --max-bytes raises it", limit);
}

/* Reads to the end, or until there are more than `limit` bytes. */
static int read_all(int fd, size_t limit, struct file_bytes *bytes, struct error *err)
{
    size_t space;
    ssize_t n;
    do {
        if (bytes->length == bytes->capacity) {
            size_t more = bytes->capacity < limit / 2 ? 2 * bytes->capacity : limit + 1;
            int code = grow(bytes, more > 65536 ? more : 65536, err);
            if (code != ERR_OK)
                return code;
        }
        space = bytes->capacity - bytes->length;
        n = file_read(fd, bytes->data + bytes->length, space, FILE_STREAM);
        if (n < 0)
            return error_set(err, ERR_IO, "cannot read: %s", strerror(errno));
        bytes->length += (size_t)n;
        if (bytes->length > limit)
            return too_large(limit, err);
    } while ((size_t)n == space);
    return ERR_OK;
}

static const char *kind_of(mode_t mode)
{
    return S_ISDIR(mode)    ? "a directory"
           : S_ISFIFO(mode) ? "a FIFO"
           : S_ISSOCK(mode) ? "a socket"
                            : "a device";
}

int files_read(const char *path, size_t limit, struct file_bytes *bytes, struct error *err)
{
    bytes->length = 0;
    if (strcmp(path, "-") == 0)
        return read_all(STDIN_FILENO, limit, bytes, err);
    struct stat st;
    int fd = file_open_regular(path, &st), code;
    if (fd < 0)
        return errno ? error_set(err, ERR_IO, "cannot open: %s", strerror(errno))
                     : error_set(err, ERR_IO, "%s, not a regular file", kind_of(st.st_mode));
    if (st.st_size > (off_t)limit)
        code = too_large(limit, err);
    else if ((code = grow(bytes, (size_t)st.st_size + 1, err)) == ERR_OK)
        code = read_all(fd, limit, bytes, err);
    close(fd);
    return code;
}
