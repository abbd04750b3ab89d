/* The words of `hvrelay forward`, a line each: LISTEN, CONNECT, then KEY=VALUE. */
#include "config_rules.h"
#include "fuzz.h"

#include <stdlib.h>

enum { MOST_SETTINGS = 32 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = fuzz_text(data, size), *rest = text, *line;
    char *settings[MOST_SETTINGS];
    const char *listen = fuzz_line(&rest), *connect = fuzz_line(&rest);
    struct config config;
    int count = 0, complaints = 0;

    while (count < MOST_SETTINGS && (line = fuzz_line(&rest)) != NULL)
        settings[count++] = line;
    if (config_from_arguments("forward", listen, connect ? connect : "stdio", settings, count,
                              &config, check_complaint, &complaints) == 0) {
        HOLDS(complaints == 0 && config.count == 1);
        check_config(&config);
        config_free(&config);
    } else {
        HOLDS(complaints > 0);
    }
    free(text);
    return 0;
}
