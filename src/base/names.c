#include "base/names.h"

#include <string.h>
#include <strings.h>

int names_find(const char *const *names, const char *name)
{
    for (int i = 0; names[i]; i++)
        if (strcmp(names[i], name) == 0)
            return i;
    return -1;
}

bool names_list_has(const char *list, const char *item)
{
    size_t wanted = strlen(item);
    while (*list) {
        list += strspn(list, ", \t");
        size_t length = strcspn(list, ",");
        const char *next = list + length;
        while (length > 0 && (list[length - 1] == ' ' || list[length - 1] == '\t'))
            length--;
        if (length == wanted && strncasecmp(list, item, length) == 0)
            return true;
        list = next;
    }
    return false;
}
