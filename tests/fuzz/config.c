/* The text of a configuration: either complaints, each with its place and fit for a terminal, or a
 * structure in which all is within its limits. */
#include "config_rules.h"
#include "fuzz.h"

#include <stdio.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    FILE *file = fmemopen((void *)(uintptr_t)data, size, "r"); /* it is only read */
    struct config config;
    int complaints = 0;

    if (!file)
        return 0; /* of no bytes, with some C libraries */
    if (config_read(file, "T", &config, check_complaint, &complaints) == 0) {
        HOLDS(complaints == 0);
        check_config(&config);
        config_free(&config);
    } else {
        HOLDS(complaints > 0);
    }
    fclose(file);
    return 0;
}
