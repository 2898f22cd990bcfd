#include "tool/random_model.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "model/init.h"
#include "model/observer.h"
#include "model/session.h"
#include "tool/pictures.h"
#include "tool/signals.h"

static void remove_file(const char *folder, const char *name)
{
    char path[PATH_MAX];
    if (snprintf(path, sizeof path, "%s/%s", folder, name) < (int)sizeof path)
        unlink(path);
}

/* Calibrates the float32 network on a picture of random pixels. */
static int calibrate(const struct model *exact, struct calibration *out, struct error *err)
{
    struct observer *observer = NULL;
    struct session *session = NULL;
    int code = observer_create(&observer, exact->network, err);
    if (code == ERR_OK)
        code = sessions_create(&session, &exact, 1, 1, err);
    if (code == ERR_OK)
        picture_random(&exact->preprocess, session->rgb);
    for (int round = 0; code == ERR_OK && round < 2; round++) {
        session_put_rgb(session, 0);
        observer_forward(observer, session->workspace);
        if (round == 0)
            code = observer_second_round(observer, err);
    }
    if (code == ERR_OK)
        code = observer_choose(observer, RANGE_MINMAX, out, err);
    if (code == ERR_OK)
        calibration_bind(out, exact->sha256, exact->preprocess.mean, exact->preprocess.std);
    sessions_destroy(session, 1);
    observer_destroy(observer);
    return code;
}

static int load_int8(struct model **out, const char *folder, const struct model_options *options,
                     struct error *err)
{
    struct model_options with = *options;
    struct calibration calibration = {0};
    struct model *exact;
    with.precision = PRECISION_F32;
    int code = model_load(&exact, folder, &with, err);
    if (code != ERR_OK)
        return code;
    code = calibrate(exact, &calibration, err);
    model_destroy(exact);
    with.precision = PRECISION_INT8;
    with.calibration = &calibration;
    if (code == ERR_OK)
        code = model_load(out, folder, &with, err);
    calibration_destroy(&calibration);
    return code;
}

static int load(struct model **out, const struct template *t, const struct model_options *options,
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
    int code = model_init_folder(t, 0, folder, err);
    if (code == ERR_OK)
        code = options->precision == PRECISION_INT8 ? load_int8(out, folder, options, err)
                                                    : model_load(out, folder, options, err);
    remove_file(folder, "model.safetensors");
    remove_file(folder, "config.json");
    rmdir(folder);
    return code;
}

int random_model_load(struct model **out, const struct template *t,
                      const struct model_options *options, struct error *err)
{
    sigset_t before;
    signals_hold(&before);
    int code = load(out, t, options, err);
    signals_release(&before);
    return code;
}
