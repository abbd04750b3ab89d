#include "config/config.h"

#include "base/text.h"
#include "config/keys.h"
#include "net/address.h"

#include <errno.h>
#include <ini.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

enum {
    MOST_KEYS = 32,
    LONGEST_LINE = 196, /* bytes; inih cuts lines at 200, and would read the rest as another */
};

/* The keys that one section has given, to find those given twice and those missing. */
struct seen {
    const struct key *keys[MOST_KEYS];
    int lines[MOST_KEYS];
    int count;
};

struct section {
    const struct key *keys; /* what may stand in it; NULL: unknown, its keys are passed over */
    void *structure;        /* what they set */
    struct seen seen;
    int line;
};

struct reader {
    FILE *file;
    const char *name; /* of the text, in messages */
    int line;
    struct config *config;
    struct forward_config defaults;
    struct section section; /* the one being read */
    int program_line, defaults_line;
    int *forward_lines; /* as many as config->count */
    int complaints;
    config_complain *complain;
    void *arg;
};

static void PRINTF_LIKE(3, 4) complain(struct reader *reader, int line, const char *format, ...)
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
        complain(reader, section->line, "forward '%s' has no 'listen'", forward->name);
    if (!was_seen(&section->seen, "connect"))
        complain(reader, section->line, "forward '%s' has no 'connect'", forward->name);
}

static bool is_forward_name(const char *name)
{
    size_t length =
        strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.");

    return length > 0 && length < FORWARD_NAME && name[length] == '\0';
}

/* A forward starts as a copy of the defaults. Returns NULL where memory is short. */
static struct forward_config *add_forward(struct reader *reader, const char *name)
{
    struct config *config = reader->config;
    size_t count = config->count + 1;
    struct forward_config *forwards = realloc(config->forwards, count * sizeof *forwards);
    int *lines = forwards ? realloc(reader->forward_lines, count * sizeof *lines) : NULL;

    if (forwards)
        config->forwards = forwards;
    if (!lines)
        return NULL;
    reader->forward_lines = lines;
    lines[config->count] = reader->line;
    forwards[config->count] = reader->defaults;
    (void)text_copy(forwards[config->count].name, FORWARD_NAME, name, strlen(name));
    return &forwards[config->count++];
}

static void begin_forward(struct reader *reader, const char *name)
{
    if (!is_forward_name(name)) {
        complain(reader, reader->line,
                 "'%s' is not a name for a forward: 1 to %d letters, digits, '-', '_' or '.'", name,
                 FORWARD_NAME - 1);
        return;
    }
    for (size_t i = 0; i < reader->config->count; i++) {
        if (strcmp(reader->config->forwards[i].name, name) == 0)
            complain(reader, reader->line, "there is a forward '%s' already, on line %d", name,
                     reader->forward_lines[i]);
    }
    reader->section.structure = add_forward(reader, name);
    if (reader->section.structure)
        reader->section.keys = forward_keys;
    else
        complain(reader, reader->line, "not enough memory");
}

/* A section that may stand once, before the forwards. */
static void begin_once(struct reader *reader, const char *name, int *line, const struct key *keys,
                       void *structure)
{
    if (*line != 0)
        complain(reader, reader->line, "section [%s] stands twice, first on line %d", name, *line);
    else if (reader->config->count > 0)
        complain(reader, reader->line, "section [%s] must stand before the first [forward ...]",
                 name);
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
        complain(reader, reader->line, "unknown section [%s], did you mean [%s]?", name,
                 nearest ? nearest : "forward NAME");
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
        complain(reader, reader->line, "'%s' stands before any section", name);
    if (!section->keys)
        return 1;
    key = key_find(section->keys, name);
    if (!key) {
        const char *nearest = key_nearest(section->keys, name);

        complain(reader, reader->line,
                 nearest ? "unknown key '%s', did you mean '%s'?" : "unknown key '%s'", name,
                 nearest);
        return 1;
    }
    earlier = note_seen(&section->seen, key, reader->line);
    if (earlier != 0 && !key->repeats)
        complain(reader, reader->line, "'%s' stands twice, first on line %d", name, earlier);
    else if (value[0] == '\0')
        complain(reader, reader->line, "'%s' has no value: it takes %s", name, key->takes);
    else if (key_set(key, section->structure, value, &err) != 0)
        complain(reader, reader->line, "%s: %s", name, err.msg);
    return 1;
}

/* "[NAME]" with anything but a comment behind it is a mistake that inih would not see. */
static void read_section_line(struct reader *reader, char *text)
{
    char *end = strchr(text, ']');
    const char *rest = end ? end + 1 + strspn(end + 1, " \t\r\n") : NULL;

    if (!end || (*rest != '\0' && *rest != ';' && *rest != '#')) {
        complain(reader, reader->line, "a section is written '[NAME]', alone on its line");
        end_section(reader);
        reader->section = (struct section){.line = reader->line};
        return;
    }
    *end = '\0';
    begin_section(reader, text + 1);
    *end = ']';
}

/* inih's way to read a line. It sees only lines of the form KEY = VALUE, without indentation (which
 * it would take for the continuation of a value): sections and mistakes are dealt with here, where
 * the line number is known and a section without keys is seen too. */
static char *read_line(char *out, int size, void *user)
{
    struct reader *reader = user;
    char line[4096];
    char *text = line;
    size_t length;

    if (!fgets(line, sizeof line, reader->file))
        return NULL;
    reader->line++;
    if (reader->line == 1 && strncmp(text, "\xEF\xBB\xBF", 3) == 0)
        text += 3; /* a byte order mark, as Windows editors write it */
    text += strspn(text, " \t");
    length = strcspn(text, "\r\n");
    if (strchr(";#", text[0]) && text[0] != '\0')
        length = 0;
    else if (text[0] == '[')
        read_section_line(reader, text);
    else if (length > LONGEST_LINE)
        complain(reader, reader->line, "the line is longer than %d bytes", LONGEST_LINE);
    else if (length > 0 && !strpbrk(text, "=:"))
        complain(reader, reader->line, "'%.*s' is not of the form KEY = VALUE", (int)length, text);
    if (length > LONGEST_LINE || text[0] == '[' || !strpbrk(text, "=:"))
        length = 0;
    if (text_copy(out, (size_t)size, text, length) != 0)
        out[0] = '\0';
    return out;
}

/* What this system can't open is refused before anything runs. */
static void check_endpoint(struct reader *reader, int line, const struct endpoint *endpoint)
{
    struct address address;
    struct err err;
    char text[ENDPOINT_TEXT];

    if (endpoint->family == FAMILY_TCP || endpoint->family == FAMILY_SYSTEMD ||
        family_is_single(endpoint->family) || address_needs_lookup(endpoint))
        return;
    if (address_from_endpoint(endpoint, &address, &err) == 0)
        return;
    endpoint_format(endpoint, text, sizeof text);
    complain(reader, line, "cannot use '%s': %s", text, err.msg);
}

static bool may_stand_twice(const struct endpoint *endpoint)
{
    return endpoint->family == FAMILY_TCP && endpoint->u.tcp.port == 0;
}

/* Each stream can be used once, and each endpoint listened on once. */
static void check_pair(struct reader *reader, size_t first, size_t second)
{
    const struct forward_config *a = &reader->config->forwards[first];
    const struct forward_config *b = &reader->config->forwards[second];
    char text[ENDPOINT_TEXT];

    endpoint_format(&b->listen, text, sizeof text);
    if (endpoint_equal(&a->listen, &b->listen) && !may_stand_twice(&a->listen))
        complain(reader, reader->forward_lines[second],
                 "forwards '%s' and '%s' both listen on '%s'", a->name, b->name, text);
}

static void check_forwards(struct reader *reader)
{
    struct config *config = reader->config;

    for (size_t i = 0; i < config->count; i++) {
        check_endpoint(reader, reader->forward_lines[i], &config->forwards[i].listen);
        check_endpoint(reader, reader->forward_lines[i], &config->forwards[i].connect);
        for (size_t j = 0; j < i; j++)
            check_pair(reader, j, i);
    }
    if (config->count == 0)
        complain(reader, 0, "there is no [forward NAME] section: nothing to do");
}

static const struct forward_config default_forward = {
    .options = {.backlog = 4096, .socket_mode = 0600, .keepalive = 60000},
    .connect_timeout = 10000,
    .pump = PUMP_AUTO,
};
static const struct config default_config = {
    .log_level = LOG_LEVEL_INFO,
    .log_format = LOG_FORMAT_TEXT,
    .drain_timeout = 30000,
};

int config_read(FILE *file, const char *name, struct config *out, config_complain *complain_to,
                void *arg)
{
    struct reader reader = {
        .file = file,
        .name = name,
        .config = out,
        .defaults = default_forward,
        .complain = complain_to,
        .arg = arg,
    };
    int bad_line;

    *out = default_config;
    bad_line = ini_parse_stream(read_line, &reader, on_key, &reader);
    end_section(&reader);
    if (bad_line != 0 && reader.complaints == 0)
        complain(&reader, bad_line, "this is not of the form KEY = VALUE");
    if (ferror(file))
        complain(&reader, 0, "cannot read it: %s", strerror(errno));
    if (reader.complaints == 0)
        check_forwards(&reader);
    free(reader.forward_lines);
    if (reader.complaints == 0)
        return 0;
    config_free(out);
    return -1;
}

int config_load(const char *path, struct config *out, config_complain *complain_to, void *arg)
{
    char line[512];
    FILE *file;
    int status;

    if (strcmp(path, "-") == 0)
        return config_read(stdin, "standard input", out, complain_to, arg);
    file = fopen(path, "r");
    if (!file) {
        snprintf(line, sizeof line, "%s: cannot open the configuration: %s", path, strerror(errno));
        complain_to(arg, line);
        return -1;
    }
    status = config_read(file, path, out, complain_to, arg);
    fclose(file);
    return status;
}

static void ignore(void *arg, const char *line)
{
    (void)arg;
    (void)line;
}

int config_find_control(const char *path, struct endpoint *control, struct err *err)
{
    struct config config = default_config;
    struct reader reader = {
        .file = fopen(path, "r"),
        .name = path,
        .config = &config,
        .defaults = default_forward,
        .complain = ignore,
    };

    if (!reader.file)
        return err_set(err, 0, "%s: cannot open the configuration: %s", path, strerror(errno));
    ini_parse_stream(read_line, &reader, on_key, &reader);
    fclose(reader.file);
    free(reader.forward_lines);
    config_free(&config);
    *control = config.control;
    if (config.has_control)
        return 0;
    return err_set(err, 0, "%s: there is no 'control' in [hvrelay]: nobody can be asked", path);
}

/* "KEY=VALUE" for the forward, or for the program. */
static void set_from_argument(struct reader *reader, const char *setting)
{
    const char *equals = strchr(setting, '=');
    char name[64];
    const struct key *key;
    void *structure = reader->config->forwards;
    struct err err;

    if (!equals || text_copy(name, sizeof name, setting, (size_t)(equals - setting)) != 0) {
        complain(reader, 0, "'%s' is not of the form KEY=VALUE", setting);
        return;
    }
    key = key_find(forward_keys, name);
    if (!key) {
        key = key_find(program_keys, name);
        structure = reader->config;
    }
    if (!key) {
        const char *nearest = key_nearest(forward_keys, name);

        complain(reader, 0, nearest ? "unknown key '%s', did you mean '%s'?" : "unknown key '%s'",
                 name, nearest);
    } else if (key_set(key, structure, equals + 1, &err) != 0) {
        complain(reader, 0, "%s: %s", name, err.msg);
    }
}

int config_from_arguments(const char *name, const char *listen, const char *connect,
                          char *const *settings, int count, struct config *out,
                          config_complain *complain_to, void *arg)
{
    struct reader reader = {
        .name = "arguments",
        .config = out,
        .defaults = default_forward,
        .complain = complain_to,
        .arg = arg,
    };
    struct forward_config *forward;
    struct err err;

    *out = default_config;
    forward = add_forward(&reader, name);
    if (!forward) {
        complain(&reader, 0, "not enough memory");
        return -1;
    }
    if (endpoint_parse(listen, ENDPOINT_LISTEN, &forward->listen, &err) != 0)
        complain(&reader, 0, "%s", err.msg);
    if (endpoint_parse(connect, ENDPOINT_CONNECT, &forward->connect, &err) != 0)
        complain(&reader, 0, "%s", err.msg);
    for (int i = 0; i < count; i++)
        set_from_argument(&reader, settings[i]);
    if (reader.complaints == 0)
        check_forwards(&reader);
    free(reader.forward_lines);
    if (reader.complaints == 0)
        return 0;
    config_free(out);
    return -1;
}

void config_free(struct config *config)
{
    free(config->forwards);
    config->forwards = NULL;
    config->count = 0;
}
