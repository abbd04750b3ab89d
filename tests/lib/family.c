#include "family.h"

#include <string.h>

const struct family *family_named(const char *name)
{
    for (const struct family *family = families; family->name != NULL; family++)
        if (strcmp(family->name, name) == 0)
            return family;
    return NULL;
}
