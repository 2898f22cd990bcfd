/* Any pickle. */
#include <stdint.h>

#include "model/pickle.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct pickle pickle;
    size_t n;
    if (pickle_read(&pickle, data, size, NULL) != ERR_OK)
        return 0;
    pickle_get(pickle.root, "state_dict");
    pickle_size(pickle_item(pickle.root, 3), &n);
    pickle_destroy(&pickle);
    return 0;
}
