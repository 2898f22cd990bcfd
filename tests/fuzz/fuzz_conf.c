/* A configuration file with any content. */
#include <stdint.h>

#include "conf/file.h"
#include "conf/models.h"
#include "conf/options.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
const char *__lsan_default_suppressions(void);

/* libconfig 1.5 forgets a string that stands before a syntax error. */
const char *__lsan_default_suppressions(void)
{
    return "leak:libconfig";
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct conf conf = {0};
    struct error err;
    if (conf_set_defaults(&conf, &err) == ERR_OK &&
        conf_read_text(&conf, "fuzz", (const char *)data, size, &err) == ERR_OK)
        conf_models_complete(&conf, &err);
    conf_free(&conf);
    return 0;
}
