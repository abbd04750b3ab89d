/* Numbers, durations and sizes: what reads is within its limits, and is written so that it reads as
 * the same. The text is a word; names that are like it are looked for, too. */
#include "fuzz.h"

#include "base/text.h"

#include <stdlib.h>
#include <string.h>

static void check_number(const char *text)
{
    static const uint64_t limits[] = {0, 9, 255, 65535, UINT32_MAX - 1, UINT64_MAX};
    const size_t count = sizeof limits / sizeof *limits;
    uint64_t number, most;

    if (text_number(text, UINT64_MAX, &most) != 0)
        most = UINT64_MAX;
    for (size_t i = 0; i < count; i++) {
        bool fits = text_number(text, limits[i], &number) == 0;

        HOLDS(!fits || (number <= limits[i] && number == most));
        HOLDS(fits || most > limits[i] || most == UINT64_MAX);
    }
}

static void check_units(const char *text)
{
    uint64_t value, same;
    char written[32];

    if (text_duration(text, &value) == 0) {
        HOLDS(value <= (uint64_t)365 * 86400 * 1000);
        text_format_duration(value, written, sizeof written);
        HOLDS(strlen(written) <= strlen(text) || value == 0);
        HOLDS(text_duration(written, &same) == 0 && same == value);
    }
    if (text_size(text, &value) == 0) {
        HOLDS(value <= (uint64_t)1 << 40);
        text_format_size(value, written, sizeof written);
        HOLDS(text_size(written, &same) == 0 && same == value);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const names[] = {"", "idle_timeout", "max_sessions", "listen"};
    char *text = fuzz_text(data, size);
    const char *nearest = text_nearest(text, names, sizeof names / sizeof *names);

    check_number(text);
    check_units(text);
    HOLDS(!nearest || strlen(nearest) <= 12);
    free(text);
    return 0;
}
