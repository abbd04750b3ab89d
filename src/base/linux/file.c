#include "base/file.h"

FILE *file_open(const char *path)
{
    return fopen(path, "re");
}
