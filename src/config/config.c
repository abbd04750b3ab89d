#include "config/config.h"

#include "base/file.h"
#include "base/text.h"
#include "config/reader.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static const struct forward_config default_forward = {
    .options = {.backlog = 4096, .socket_mode = 0600, .keepalive = 60000},
    .connect_timeout = 10000,
    .half_close_timeout = HALF_CLOSE_UNSET,
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

    *out = default_config;
    reader_run(&reader);
    if (ferror(file))
        reader_complain(&reader, 0, "cannot read it: %s", strerror(errno));
    reader_check(&reader);
    free(reader.notes);
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
    file = file_open(path);
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
        .file = file_open(path),
        .name = path,
        .config = &config,
        .defaults = default_forward,
        .complain = ignore,
    };

    if (!reader.file)
        return err_set(err, 0, "%s: cannot open the configuration: %s", path, strerror(errno));
    reader_run(&reader);
    fclose(reader.file);
    free(reader.notes);
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
        reader_complain(reader, 0, "'%s' is not of the form KEY=VALUE", setting);
        return;
    }
    key = key_find(forward_keys, name);
    if (!key) {
        key = key_find(program_keys, name);
        structure = reader->config;
    }
    if (!key) {
        const char *nearest = key_nearest(forward_keys, name);

        if (!nearest)
            nearest = key_nearest(program_keys, name);
        reader_complain(reader, 0,
                        nearest ? "unknown key '%s', did you mean '%s'?" : "unknown key '%s'", name,
                        nearest);
    } else if (key_set(key, structure, equals + 1, &err) != 0) {
        reader_complain(reader, 0, "%s: %s", name, err.msg);
    } else if (structure == reader->config->forwards) {
        reader_note_key(reader, structure, key);
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
    forward = reader_add_forward(&reader, name);
    if (!forward) {
        reader_complain(&reader, 0, "not enough memory");
        return -1;
    }
    reader.notes->can_listen = endpoint_parse(listen, ENDPOINT_LISTEN, &forward->listen, &err) == 0;
    if (!reader.notes->can_listen)
        reader_complain(&reader, 0, "%s", err.msg);
    reader.notes->can_connect =
        endpoint_parse(connect, ENDPOINT_CONNECT, &forward->connect, &err) == 0;
    if (!reader.notes->can_connect)
        reader_complain(&reader, 0, "%s", err.msg);
    for (int i = 0; i < count; i++)
        set_from_argument(&reader, settings[i]);
    reader_check(&reader);
    free(reader.notes);
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
