#include "config_reading.h"

#include "unit.h"

void reading_complain(void *arg, const char *line)
{
    struct reading *reading = arg;

    if (reading->count < COMPLAINTS)
        snprintf(reading->complaints[reading->count], sizeof *reading->complaints, "%s", line);
    reading->count++;
}

void read_bytes(struct reading *reading, const char *text, size_t length)
{
    FILE *file = tmpfile();

    assert_non_null(file);
    assert_int_equal(fwrite(text, 1, length, file), length);
    rewind(file);
    reading->count = 0;
    reading->status = config_read(file, "T", &reading->config, reading_complain, reading);
    fclose(file);
    assert_int_equal(reading->status, reading->count > 0 ? -1 : 0);
}

void read_text(struct reading *reading, const char *text)
{
    read_bytes(reading, text, strlen(text));
}

void reading_free(struct reading *reading)
{
    if (reading->status == 0)
        config_free(&reading->config);
}

static void print_complaints(const struct reading *reading)
{
    for (int i = 0; i < reading->count && i < COMPLAINTS; i++)
        print_error("complaint %d: %s\n", i + 1, reading->complaints[i]);
}

void assert_read(const struct reading *reading)
{
    print_complaints(reading);
    assert_int_equal(reading->count, 0);
}

void assert_complaints(const struct reading *reading, const char *const *complaints)
{
    int expected = 0;
    bool good = true;

    for (; complaints[expected]; expected++) {
        if (expected < reading->count &&
            strstr(reading->complaints[expected], complaints[expected]))
            continue;
        print_error("there is no '%s' in complaint %d\n", complaints[expected], expected + 1);
        good = false;
    }
    if (!good || expected != reading->count)
        print_complaints(reading);
    assert_true(good);
    assert_int_equal(reading->count, expected);
}
