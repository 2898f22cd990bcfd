/* A file of keys: whatever is in it, what is read finds no key that was not shown. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "conf/keys.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct key_list keys;
    struct error err;
    char *text = malloc(size + 1);
    CHECK(text);
    memcpy(text, data, size);
    text[size] = '\0';
    if (keys_parse(&keys, text, size, "fuzz", &err) == ERR_OK)
        CHECK(keys.count > 0 && !keys_find(&keys, "nobody has shown this key"));
    keys_free(&keys);
    free(text);
    return 0;
}
