/* The command line and the environment. */
#ifndef RESNEXT_CONF_ARGUMENTS_H
#define RESNEXT_CONF_ARGUMENTS_H

#include "conf/conf.h"

/* What the command line says besides options. */
struct conf_request {
    enum conf_action action; /* the last one asked for */
    const char *file;        /* of --config, or NULL; points into argv */
};

/* Finds action and file, and checks the form of every argument and the names of the options. */
int conf_scan_arguments(struct conf_request *request, int argc, char *const *argv,
                        struct error *err);

/* Sets the options and models that argv names; argv has been scanned. The last value of an option
 * counts; a list option and --model collect theirs. */
int conf_read_arguments(struct conf *conf, int argc, char *const *argv, struct error *err);

/* Sets the options that RESNEXTD_KEY variables name, and the models of RESNEXTD_MODEL; lists are
 * separated by blanks. Other RESNEXTD_ variables are an error only if they look like a misspelled
 * option, and never if they are those of service_links.h. */
int conf_read_environment(struct conf *conf, char *const *environment, struct error *err);

#endif
