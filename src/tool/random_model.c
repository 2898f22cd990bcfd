#include "tool/random_model.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "model/init.h"

static void remove_file(const char *folder, const char *name)
{
    char path[PATH_MAX];
    if (snprintf(path, sizeof path, "%s/%s", folder, name) < (int)sizeof path)
        unlink(path);
}

static int load(struct model **out, const struct template *t, struct kernel_ladder ladder,
                struct error *err)
{
    char folder[PATH_MAX / 2];
    const char *parent = getenv("TMPDIR");
    if (!parent || !*parent)
        parent = "/tmp";
    if (snprintf(folder, sizeof folder, "%s/resnext.XXXXXX", parent) >= (int)sizeof folder)
        return error_set(err, ERR_IO, "TMPDIR is too long");
    if (!mkdtemp(folder))
        return error_set(err, ERR_IO, "cannot make a folder in %s: %s; set TMPDIR to another",
                         parent, strerror(errno));
    int rc = model_init_folder(t, 0, folder, err);
    if (rc == ERR_OK)
        rc = model_load(out, folder, ladder, err);
    remove_file(folder, "model.safetensors");
    remove_file(folder, "config.json");
    rmdir(folder);
    return rc;
}

int random_model_load(struct model **out, const char *name, struct kernel_ladder ladder,
                      struct error *err)
{
    struct template t;
    int rc = template_from_name(name, &t, err);
    if (rc != ERR_OK)
        return rc;
    sigset_t ending, before;
    sigemptyset(&ending);
    sigaddset(&ending, SIGHUP);
    sigaddset(&ending, SIGINT);
    sigaddset(&ending, SIGTERM);
    sigprocmask(SIG_BLOCK, &ending, &before);
    rc = load(out, &t, ladder, err);
    sigprocmask(SIG_SETMASK, &before, NULL);
    return rc;
}
