#include "config/reader.h"

#include "base/text.h"

#include <ini.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

enum { LONGEST_LINE = 196 }; /* bytes; inih cuts lines at 200, and would read the rest as another */

void reader_complain(struct reader *reader, int line, const char *format, ...)
{
    char text[768];
    size_t used = 0;
    va_list args;

    used = (size_t)snprintf(text, sizeof text, line > 0 ? "%s:%d: " : "%s: ", reader->name, line);
    if (used >= sizeof text)
        used = sizeof text - 1;
    va_start(args, format);
    vsnprintf(text + used, sizeof text - used, format, args);
    va_end(args);
    text_make_printable(text);
    reader->complain(reader->arg, text);
    reader->complaints++;
}

/* Notes that the key was given on `line`. Returns the line of an earlier one, or 0. */
static int note_seen(struct seen *seen, const struct key *key, int line)
{
    for (int i = 0; i < seen->count; i++) {
        if (seen->keys[i] == key)
            return seen->lines[i];
    }
    seen->keys[seen->count] = key;
    seen->lines[seen->count++] = line;
    return 0;
}

static bool was_seen(const struct seen *seen, const char *name)
{
    for (int i = 0; i < seen->count; i++) {
        if (strcmp(seen->keys[i]->name, name) == 0)
            return true;
    }
    return false;
}

/* What the section must have, once it has been read. */
static void end_section(struct reader *reader)
{
    struct section *section = &reader->section;
    const struct forward_config *forward = section->structure;

    if (section->keys != forward_keys || section->structure == &reader->defaults)
        return;
    if (!was_seen(&section->seen, "listen"))
        reader_complain(reader, section->line, "forward '%s' has no 'listen'", forward->name);
    if (!was_seen(&section->seen, "connect"))
        reader_complain(reader, section->line, "forward '%s' has no 'connect'", forward->name);
}

static bool is_forward_name(const char *name)
{
    size_t length =
        strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.");

    return length > 0 && length < FORWARD_NAME && name[length] == '\0';
}

/* Doubles the room for forwards when it is full: at each power of two. Returns -1: no memory. */
static int make_room(struct reader *reader)
{
    struct config *config = reader->config;
    size_t count = config->count;
    size_t room = count == 0 ? 1 : count * 2;
    struct forward_config *forwards;
    struct note *notes;

    if ((count & (count - 1)) != 0 && count != 0)
        return 0;
    forwards = realloc(config->forwards, room * sizeof *forwards);
    if (!forwards)
        return -1;
    config->forwards = forwards;
    notes = realloc(reader->notes, room * sizeof *notes);
    if (!notes)
        return -1;
    reader->notes = notes;
    return 0;
}

struct forward_config *reader_add_forward(struct reader *reader, const char *name)
{
    struct config *config = reader->config;
    struct forward_config *forward;

    if (make_room(reader) != 0)
        return NULL;
    reader->notes[config->count] = (struct note){.line = reader->line};
    forward = &config->forwards[config->count++];
    *forward = reader->defaults;
    (void)text_copy(forward->name, FORWARD_NAME, name, strlen(name));
    return forward;
}

static void begin_forward(struct reader *reader, const char *name)
{
    if (!is_forward_name(name)) {
        reader_complain(
            reader, reader->line,
            "'%s' is not a name for a forward: 1 to %d letters, digits, '-', '_' or '.'", name,
            FORWARD_NAME - 1);
        return;
    }
    for (size_t i = 0; i < reader->config->count; i++) {
        if (strcmp(reader->config->forwards[i].name, name) == 0)
            reader_complain(reader, reader->line, "there is a forward '%s' already, on line %d",
                            name, reader->notes[i].line);
    }
    reader->section.structure = reader_add_forward(reader, name);
    if (reader->section.structure)
        reader->section.keys = forward_keys;
    else
        reader_complain(reader, reader->line, "not enough memory");
}

/* A section that may stand once, before the forwards. */
static void begin_once(struct reader *reader, const char *name, int *line, const struct key *keys,
                       void *structure)
{
    if (*line != 0)
        reader_complain(reader, reader->line, "section [%s] stands twice, first on line %d", name,
                        *line);
    else if (reader->config->count > 0)
        reader_complain(reader, reader->line,
                        "section [%s] must stand before the first [forward ...]", name);
    *line = reader->line;
    reader->section.keys = keys;
    reader->section.structure = structure;
}

static void begin_section(struct reader *reader, const char *name)
{
    static const char *const names[] = {"hvrelay", "defaults", "forward NAME"};
    const char *nearest;

    end_section(reader);
    reader->section = (struct section){.line = reader->line};
    if (strcmp(name, "hvrelay") == 0) {
        begin_once(reader, name, &reader->program_line, program_keys, reader->config);
    } else if (strcmp(name, "defaults") == 0) {
        begin_once(reader, name, &reader->defaults_line, forward_keys, &reader->defaults);
    } else if (strncmp(name, "forward ", 8) == 0) {
        begin_forward(reader, name + 8 + strspn(name + 8, " \t"));
    } else {
        nearest = text_nearest(name, names, sizeof names / sizeof *names);
        reader_complain(reader, reader->line, "unknown section [%s], did you mean [%s]?", name,
                        nearest ? nearest : "forward NAME");
    }
}

static bool is_endpoint_key(const char *name)
{
    return strcmp(name, "listen") == 0 || strcmp(name, "connect") == 0;
}

void reader_note_key(struct reader *reader, const struct forward_config *forward,
                     const struct key *key)
{
    bool is_default = forward == &reader->defaults;
    struct note *note = is_default ? NULL : &reader->notes[reader->config->count - 1];

    if (key->repeats)
        (is_default ? reader->default_rules : note->rules)[forward->access.count - 1] =
            reader->line;
    if (is_default)
        return;
    note->can_listen = note->can_listen || strcmp(key->name, "listen") == 0;
    note->can_connect = note->can_connect || strcmp(key->name, "connect") == 0;
    if (strcmp(key->name, "socket_mode") == 0 || strcmp(key->name, "socket_owner") == 0) {
        note->file_key = key->name;
        note->file_line = reader->line;
    }
}

/* Sets one key of the current section; inih calls it for each KEY = VALUE. */
static int on_key(void *user, const char *section_name, const char *name, const char *value)
{
    struct reader *reader = user;
    struct section *section = &reader->section;
    const struct key *key;
    struct err err;
    int earlier;

    (void)section_name;
    if (section->line == 0)
        reader_complain(reader, reader->line, "'%s' stands before any section", name);
    if (!section->keys)
        return 1;
    key = key_find(section->keys, name);
    if (!key) {
        const char *nearest = key_nearest(section->keys, name);

        reader_complain(reader, reader->line,
                        nearest ? "unknown key '%s', did you mean '%s'?" : "unknown key '%s'", name,
                        nearest);
        return 1;
    }
    earlier = note_seen(&section->seen, key, reader->line);
    if (earlier != 0 && !key->repeats)
        reader_complain(reader, reader->line, "'%s' stands twice, first on line %d", name, earlier);
    else if (value[0] == '\0')
        reader_complain(reader, reader->line, "'%s' has no value: it takes %s", name, key->takes);
    else if (section->structure == &reader->defaults && is_endpoint_key(name))
        reader_complain(reader, reader->line, "'%s' is each forward's own: it is no default", name);
    else if (key_set(key, section->structure, value, &err) != 0)
        reader_complain(reader, reader->line, "%s: %s", name, err.msg);
    else if (section->keys == forward_keys)
        reader_note_key(reader, section->structure, key);
    return 1;
}

/* "[NAME]" with anything but a comment behind it is a mistake that inih would not see. */
static void read_section_line(struct reader *reader, char *text)
{
    char *end = strchr(text, ']');
    const char *rest = end ? end + 1 + strspn(end + 1, " \t\r\n") : NULL;

    if (!end || (*rest != '\0' && *rest != ';' && *rest != '#')) {
        reader_complain(reader, reader->line, "a section is written '[NAME]', alone on its line");
        end_section(reader);
        reader->section = (struct section){.line = reader->line};
        return;
    }
    *end = '\0';
    begin_section(reader, text + 1);
    *end = ']';
}

/* A line without its end, cut where it does not fit. Returns its length as it stands in the file,
 * or -1 at the end of the file. */
static long read_raw_line(FILE *file, char *out, size_t size, bool *has_nul)
{
    long length = 0;
    int c = getc(file);

    *has_nul = false;
    if (c == EOF)
        return -1;
    for (; c != EOF && c != '\n'; c = getc(file)) {
        *has_nul = *has_nul || c == '\0';
        if ((size_t)length < size - 1)
            out[length] = (char)c;
        length++;
    }
    out[(size_t)length < size - 1 ? (size_t)length : size - 1] = '\0';
    if (length > 0 && (size_t)length < size && out[length - 1] == '\r')
        out[--length] = '\0';
    return length;
}

/* True where the line is for inih: of the form KEY = VALUE. All others are dealt with here. */
static bool is_for_inih(struct reader *reader, char *text, long length, bool has_nul)
{
    if (text[0] == '\0' && !has_nul)
        return false;
    if (text[0] == '#' || text[0] == ';')
        return false;
    if (has_nul)
        reader_complain(reader, reader->line, "the line holds a NUL byte: is this a text file?");
    else if (length > LONGEST_LINE)
        reader_complain(reader, reader->line, "the line is longer than %d bytes", LONGEST_LINE);
    else if (text[0] == '[')
        read_section_line(reader, text);
    else if (strpbrk(text, "=:"))
        return true;
    else
        reader_complain(reader, reader->line, "'%s' is not of the form KEY = VALUE", text);
    return false;
}

/* inih's way to read a line. It sees only lines of the form KEY = VALUE, without indentation (which
 * it would take for the continuation of a value): sections and mistakes are dealt with here, where
 * the line number is known and a section without keys is seen too. */
static char *read_line(char *out, int size, void *user)
{
    struct reader *reader = user;
    char line[LONGEST_LINE + 64]; /* with room for indentation */
    char *text = line;
    bool has_nul;
    long length = read_raw_line(reader->file, line, sizeof line, &has_nul);

    if (length < 0)
        return NULL;
    reader->line++;
    if (reader->line == 1 && strncmp(text, "\xEF\xBB\xBF", 3) == 0)
        text += 3; /* a byte order mark, as Windows editors write it */
    text += strspn(text, " \t");
    length -= (long)(text - line);
    if (!is_for_inih(reader, text, length, has_nul) ||
        text_copy(out, (size_t)size, text, strlen(text)) != 0)
        out[0] = '\0';
    return out;
}

void reader_run(struct reader *reader)
{
    int bad_line = ini_parse_stream(read_line, reader, on_key, reader);

    end_section(reader);
    if (bad_line != 0 && reader->complaints == 0)
        reader_complain(reader, bad_line, "this is not of the form KEY = VALUE");
}
