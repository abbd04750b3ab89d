#include "base/text.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

struct unit {
    const char *name;
    uint64_t factor;
};

/* Largest first: formatting takes the first that divides. */
static const struct unit time_units[] = {
    {"d", 86400000}, {"h", 3600000}, {"m", 60000}, {"s", 1000}, {"ms", 1}, {NULL, 0},
};
static const struct unit size_units[] = {
    {"GiB", (uint64_t)1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}, {"B", 1}, {NULL, 0},
};

static const uint64_t max_duration = (uint64_t)365 * 86400000;
static const uint64_t max_size = (uint64_t)1 << 40;

/* The value of a digit, or 99. */
static unsigned digit(char c)
{
    if (c >= '0' && c <= '9')
        return (unsigned)(c - '0');
    if (c >= 'a' && c <= 'f')
        return (unsigned)(c - 'a' + 10);
    if (c >= 'A' && c <= 'F')
        return (unsigned)(c - 'A' + 10);
    return 99;
}

/* Reads digits up to `max`; returns the first byte after them, or NULL (none, or too many). */
static const char *read_digits(const char *text, unsigned base, uint64_t max, uint64_t *out)
{
    const char *p = text;

    *out = 0;
    for (; digit(*p) < base; p++) {
        if (*out > (max - digit(*p)) / base || digit(*p) > max)
            return NULL;
        *out = *out * base + digit(*p);
    }
    return p == text ? NULL : p;
}

int text_number(const char *text, uint64_t max, uint64_t *out)
{
    bool hex = text[0] == '0' && (text[1] == 'x' || text[1] == 'X');
    const char *end = read_digits(hex ? text + 2 : text, hex ? 16 : 10, max, out);

    return end && *end == '\0' ? 0 : -1;
}

static int read_with_unit(const char *text, const struct unit *units, uint64_t max, uint64_t *out)
{
    const char *end;
    uint64_t number;

    if (strcmp(text, "off") == 0) {
        *out = 0;
        return 0;
    }
    end = read_digits(text, 10, max, &number);
    if (!end)
        return -1;
    if (number == 0 && *end == '\0') {
        *out = 0;
        return 0;
    }
    for (const struct unit *unit = units; unit->name; unit++) {
        if (strcmp(end, unit->name) == 0 && number <= max / unit->factor) {
            *out = number * unit->factor;
            return 0;
        }
    }
    return -1;
}

int text_duration(const char *text, uint64_t *milliseconds)
{
    return read_with_unit(text, time_units, max_duration, milliseconds);
}

int text_size(const char *text, uint64_t *bytes)
{
    return read_with_unit(text, size_units, max_size, bytes);
}

static void format_with_unit(uint64_t value, const struct unit *unit, char *out, size_t size)
{
    if (value == 0) {
        snprintf(out, size, "off");
        return;
    }
    while (value % unit->factor != 0)
        unit++;
    snprintf(out, size, "%" PRIu64 "%s", value / unit->factor, unit->name);
}

void text_format_duration(uint64_t milliseconds, char *out, size_t size)
{
    format_with_unit(milliseconds, time_units, out, size);
}

void text_format_size(uint64_t bytes, char *out, size_t size)
{
    format_with_unit(bytes, size_units, out, size);
}

/* Edits (insert, delete, replace) from a to b; b is cut at 63 characters. */
static size_t edit_distance(const char *a, const char *b)
{
    size_t row[64];
    size_t width = strlen(b) < 63 ? strlen(b) : 63;

    for (size_t j = 0; j <= width; j++)
        row[j] = j;
    for (size_t i = 1; a[i - 1]; i++) {
        size_t diagonal = row[0];

        row[0] = i;
        for (size_t j = 1; j <= width; j++) {
            size_t best = diagonal + (a[i - 1] != b[j - 1]);

            if (row[j] + 1 < best)
                best = row[j] + 1;
            if (row[j - 1] + 1 < best)
                best = row[j - 1] + 1;
            diagonal = row[j];
            row[j] = best;
        }
    }
    return row[width];
}

const char *text_nearest(const char *text, const char *const *names, size_t count)
{
    const char *nearest = NULL;
    size_t best = strlen(text) / 2 + 1;

    for (size_t i = 0; i < count; i++) {
        size_t distance = edit_distance(text, names[i]);

        if (distance < best) {
            best = distance;
            nearest = names[i];
        }
    }
    return nearest;
}

int text_copy(char *out, size_t size, const char *text, size_t length)
{
    if (length >= size)
        return -1;
    memcpy(out, text, length);
    out[length] = '\0';
    return 0;
}

void text_make_printable(char *text)
{
    for (unsigned char *c = (unsigned char *)text; *c; c++) {
        bool c1 = c[0] == 0xc2 && c[1] >= 0x80 && c[1] < 0xa0;

        if (*c >= 0x20 && *c != 0x7f && !c1)
            continue;
        *c = '?';
        if (c1)
            *++c = '?';
    }
}

bool text_equal_nocase(const char *a, const char *b)
{
    while (*a && tolower((unsigned char)*a) == tolower((unsigned char)*b)) {
        a++;
        b++;
    }
    return *a == *b;
}
