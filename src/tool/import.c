#include "model/import.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/names.h"
#include "base/utf8.h"
#include "model/checkpoint.h"
#include "model/config.h"
#include "model/config_labels.h"
#include "model/file.h"
#include "model/strict_json.h"
#include "tool/args.h"
#include "tool/import_settings.h"
#include "tool/signals.h"

static const char *const filter_names[] = {"guess", "bilinear", "bicubic", NULL};
static struct import_options options;

/* One run. Files are written into `folder`, beside OUT, which they become at the end. */
struct run {
    struct tool *tool;
    struct import *import;
    struct template template;
    struct config_text config;
    struct label_list labels;
    char out[FILE_PATH_MAX], folder[FILE_PATH_MAX];
    char weights[FILE_PATH_MAX], text[FILE_PATH_MAX];
};

static int check(struct tool *tool, struct error *err)
{
    (void)tool;
    return import_options_check(&options, err);
}

/* OUT may be an empty folder. */
static int check_out(struct run *r, struct error *err)
{
    const char *out = r->tool->operands[1];
    size_t length = strlen(out);
    while (length > 1 && out[length - 1] == '/')
        length--;
    if (length == 0 ||
        snprintf(r->out, sizeof r->out, "%.*s", (int)length, out) >= FILE_PATH_MAX - 32)
        return error_set(err, ERR_PARAMETER, "the path of OUT is empty or too long");
    struct stat status;
    if (lstat(r->out, &status) == 0 && S_ISLNK(status.st_mode))
        return error_set(err, ERR_IO, "%s is a symbolic link; name a folder that is to be made",
                         r->out);
    DIR *dir = opendir(r->out);
    if (!dir)
        return errno == ENOENT ? ERR_OK
                               : error_set(err, ERR_IO, "cannot make %s: %s", r->out,
                                           errno == ENOTDIR ? "a file is there" : strerror(errno));
    bool empty = true;
    for (const struct dirent *entry; (entry = readdir(dir));)
        empty = empty && (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0);
    closedir(dir);
    return empty ? ERR_OK
                 : error_set(err, ERR_IO, "%s is not empty; name a folder that is to be made",
                             r->out);
}

static void print_taken(const struct import *import)
{
    const char *taken = import_taken(import), *other;
    printf("taken: ");
    tool_plain(stdout, *taken ? taken : "the tensors at the root");
    for (size_t i = 0; (other = import_other(import, i)); i++) {
        printf(i == 0 ? "; there is also: " : ", ");
        tool_plain(stdout, other);
    }
    puts(import_other(import, 0) ? " (--key)" : "");
}

/* Reads the network from the shapes, and checks that it has all tensors and no others. */
static int check_tensors(struct run *r, struct error *err)
{
    struct layer *layers;
    size_t count;
    const struct tensor_table *tensors = import_tensors(r->import);
    int code = checkpoint_template(tensors, &r->template, err);
    r->template.input_size = 224;
    if (code == ERR_OK)
        code = template_layers(&r->template, &layers, &count, err);
    if (code == ERR_OK) {
        code = checkpoint_check(tensors, layers, count, err);
        free(layers);
    }
    return error_prefix(err, code, "%s", r->tool->operands[0]);
}

/* A list, a map, or what a config.json has, as the value of a key. */
static int parse_json_labels(const char *bytes, size_t length, struct model_config *config,
                             struct error *err)
{
    static const char *const keys[] = {"label_names", "labels", "id2label", "label2id"};
    char *text;
    json_t *root = NULL;
    if (memchr(bytes, '\0', length))
        return error_set(err, ERR_MODEL_INVALID, "it contains a NUL");
    int size = asprintf(&text, "{\"label_names\":%.*s}", (int)length, bytes);
    if (size < 0)
        return error_set(err, ERR_NO_MEMORY, "no memory for labels");
    int code = strict_json_object(text, (size_t)size, &root, err);
    free(text);
    if (code != ERR_OK)
        return code;
    json_t *inner = json_object_get(root, "label_names"), *from = root;
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++)
        if (json_object_get(inner, keys[i]))
            from = inner;
    code = config_labels_read(config, from, from, 0, err);
    if (code == ERR_OK && (config->labels.count == 0 || json_object_size(root) != 1))
        code = error_set(err, ERR_MODEL_INVALID, "it is not one list or map of names");
    json_decref(root);
    return code;
}

static int read_labels(struct run *r, struct error *err)
{
    struct model_config config = {0};
    char *bytes;
    size_t length;
    int code = file_read_all(options.labels, LABELS_FILE_MAX, &bytes, &length, err);
    if (code != ERR_OK)
        return code;
    size_t mark = utf8_mark_length(bytes, length);
    const char *text = bytes + mark;
    char first = text[strspn(text, " \t\r\n")];
    if (first == '[' || first == '{') {
        code = parse_json_labels(text, length - mark, &config, err);
        r->labels = config.labels;
    } else {
        code = labels_parse(&r->labels, bytes, length, err);
    }
    free(bytes);
    return error_prefix(err, code, "%s", options.labels);
}

/* A network with one output may have two labels. */
static int take_labels(struct run *r, struct error *err)
{
    size_t outputs = (size_t)r->template.classes;
    int code = options.labels ? read_labels(r, err) : ERR_OK;
    r->config.labels = &r->labels;
    if (code == ERR_OK && !options.labels)
        printf("assumed: classes have %s (--labels)\n",
               outputs == 1000 ? "the names of ImageNet-1k" : "numbers as names");
    if (code != ERR_OK || !options.labels || r->labels.count == outputs ||
        (outputs == 1 && r->labels.count == 2))
        return code;
    return error_set(err, ERR_PARAMETER, "%s has %zu names, but the network has %zu classes",
                     options.labels, r->labels.count, outputs);
}

/* Makes the folder beside OUT. */
static int make_folder(struct run *r, struct error *err)
{
    mode_t mask = umask(0);
    umask(mask);
    snprintf(r->folder, sizeof r->folder, "%.*s.XXXXXX", FILE_PATH_MAX - 32, r->out);
    bool made = mkdtemp(r->folder) != NULL;
    if (!made || chmod(r->folder, 0777 & ~mask) != 0) {
        int code = error_set(err, ERR_IO, "cannot make %s: %s", r->out, strerror(errno));
        if (made)
            rmdir(r->folder);
        return code;
    }
    int code = file_path(r->weights, r->folder, "model.safetensors", err);
    return code == ERR_OK ? file_path(r->text, r->folder, "config.json", err) : code;
}

static void remove_folder(const struct run *r)
{
    unlink(r->weights);
    unlink(r->text);
    rmdir(r->folder);
}

static void step(void *context)
{
    progress_step(context, false);
}

static int write_folder(struct run *r, struct error *err)
{
    struct progress *progress = &r->tool->progress;
    int code = model_config_write(r->text, &r->config, err);
    if (code != ERR_OK)
        return code;
    progress_start(progress, import_tensors(r->import)->count);
    code = import_write(r->import, r->weights, step, progress, err);
    progress_clear(progress);
    if (code == ERR_OK)
        code = error_prefix(err, model_check(r->folder, &r->tool->load, err),
                            "the folder would not be served (--architecture and other options "
                            "change its config.json)");
    if (code == ERR_OK && rename(r->folder, r->out) != 0)
        code = error_set(err, ERR_IO, "cannot make %s: %s", r->out, strerror(errno));
    return code;
}

/* Leaves either the whole folder or nothing. */
static int make_out(struct run *r, struct error *err)
{
    sigset_t before;
    signals_hold(&before);
    int code = make_folder(r, err);
    if (code == ERR_OK && (code = write_folder(r, err)) != ERR_OK)
        remove_folder(r);
    signals_release(&before);
    return code;
}

static void print_result(const struct run *r)
{
    tool_plain(stdout, r->out);
    fputs(": ", stdout);
    tool_plain(stdout, r->config.architecture);
    printf(", %d classes, input %dx%d\n", r->template.classes, r->config.size, r->config.size);
    if (import_tensors(r->import)->naming == NAMING_HUGGING_FACE)
        puts("the network is of transformers: where its config.json and preprocessor_config.json "
             "are at hand, copy both to OUT; they say what is assumed above");
}

static int import_file(struct run *r, struct error *err)
{
    int code = check_out(r, err);
    if (code == ERR_OK)
        code = import_open(&r->import, r->tool->operands[0], options.key, err);
    if (code == ERR_OK)
        code = check_tensors(r, err);
    if (code != ERR_OK)
        return code;
    print_taken(r->import);
    code = import_settings(&options, r->import, &r->template, &r->config, err);
    if (code == ERR_OK)
        code = take_labels(r, err);
    if (code == ERR_OK)
        code = make_out(r, err);
    if (code == ERR_OK)
        print_result(r);
    return code;
}

static int run(struct tool *tool, struct error *err)
{
    static struct run r;
    r.tool = tool;
    int code = import_file(&r, err);
    import_close(r.import);
    label_list_destroy(&r.labels);
    return code;
}

const struct command command_import = {
    .name = "import",
    .operands = "FILE OUT",
    .summary = "Make a model folder of a PyTorch checkpoint",
    .details =
        "FILE is what torch.save wrote (.pth, .pt, .pth.tar, .ckpt, .bin): a state dict, or a\n"
        "checkpoint that has one; or a .safetensors file. Nothing in it is executed. OUT is the\n"
        "folder to make. What the file does not say is assumed, and printed.",
    .options = OPTIONS(
        TEXT("key", 'k', options.key, "NAME",
             "state dict to take, such as state_dict, of a file that has several"),
        CHOICE("like", options.like, like_names, "PROGRAM",
               "whose pictures the network was trained for"),
        INTEGER("size", 0, options.size, MODEL_EDGE_MIN, MODEL_EDGE_MAX, "edge of the input"),
        INTEGER("resize", 0, options.resize, MODEL_EDGE_MIN, 4096,
                "short edge of the picture, of which the input is cut"),
        TEXT("crop-pct", 0, options.crop_pct, "X", "instead of --resize: the input's part of it"),
        CHOICE("interpolation", options.interpolation, filter_names, "FILTER", "of the resizing"),
        TEXT("mean", 0, options.mean, "R,G,B", "of the pictures, from 0 to 1"),
        TEXT("std", 0, options.std, "R,G,B", "of the pictures"),
        TEXT("architecture", 0, options.architecture, "NAME",
             "name of the network, for what its tensors do not show"),
        TEXT("labels", 0, options.labels, "FILE",
             "names of the classes, one a line, or JSON: a list, a map, a config.json")),
    .check = check,
    .run = run,
};
