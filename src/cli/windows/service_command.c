#include "commands.h"

#include "app/process.h"
#include "app/windows/process_os.h"
#include "base/windows/wide.h"
#include "cli/windows/service.h"
#include "cli/windows/service_trust.h"

#include <stdio.h>
#include <string.h>
#include <uv.h>

#include <windows.h>

enum { PATH_ROOM = 3 * MAX_PATH }; /* in UTF-8 */

/* --- the administrator's words --- */

/* The service manager starts the service in another folder. */
static int absolute_config(const struct arguments *arguments, char out[PATH_ROOM], struct err *err)
{
    const char *path = arguments->config ? arguments->config : process_default_config();
    wchar_t wide[MAX_PATH], full[MAX_PATH];

    if (wide_from_utf8(path, wide, MAX_PATH) == 0 &&
        GetFullPathNameW(wide, MAX_PATH, full, NULL) < MAX_PATH &&
        utf8_from_wide(full, out, PATH_ROOM) == 0)
        return 0;
    return err_set(err, UV_EINVAL, "'%s' cannot be the path of a file", path);
}

static int install(const struct arguments *arguments, struct err *err)
{
    char config[PATH_ROOM];

    if (absolute_config(arguments, config, err) != 0 || trust_make_folder(err) != 0 ||
        trust_check_config(config, err) != 0)
        return -1;
    return service_install(config, err);
}

static int uninstall(const struct arguments *arguments, struct err *err)
{
    (void)arguments;
    return service_uninstall(err);
}

static int start(const struct arguments *arguments, struct err *err)
{
    (void)arguments;
    return service_start(err);
}

static int stop(const struct arguments *arguments, struct err *err)
{
    (void)arguments;
    return service_stop(err);
}

static int reload(const struct arguments *arguments, struct err *err)
{
    (void)arguments;
    return service_reload(err);
}

static int status(const struct arguments *arguments, struct err *err)
{
    static const char *const names[] = {"not installed", "stopped", "running", "changing"};
    struct service_status now;

    (void)arguments;
    if (service_query(&now, err) != 0)
        return -1;
    printf("%s", names[now.state]);
    if (now.state == SERVICE_IS_RUNNING)
        printf(", process %u", now.pid);
    if (now.state == SERVICE_IS_STOPPED && now.exit_code != 0)
        printf(", exit code %u", now.exit_code);
    printf("\n");
    if (now.state != SERVICE_ABSENT)
        printf("%s\n", now.command);
    return 0;
}

/* --- the service itself --- */

static void log_complaint(void *arg, const char *line)
{
    (void)arg;
    log_error("%s", line);
}

static int serve(void *arg)
{
    static const struct process_watcher watcher = {service_ready, service_stopping};
    const char *path = arg;
    struct config config;
    struct err err;
    int exit_code;

    if (trust_check_config(path, &err) != 0) {
        log_error("%s", err.msg);
        return APP_MISCONFIGURED;
    }
    if (config_load(path, &config, log_complaint, NULL) != 0)
        return APP_MISCONFIGURED;
    process_report_to(&watcher);
    exit_code = (int)app_run(&config, path);
    config_free(&config);
    return exit_code;
}

static void ask_to_stop(void *arg)
{
    (void)arg;
    process_ask(PROCESS_STOP);
}

static void ask_to_reload(void *arg)
{
    (void)arg;
    process_ask(PROCESS_RELOAD);
}

static int dispatch(const struct arguments *arguments, struct err *err)
{
    char config[PATH_ROOM];
    struct service_program program = {serve, ask_to_stop, ask_to_reload, config};

    if (absolute_config(arguments, config, err) != 0)
        return -1;
    return service_dispatch(&program, err) < 0 ? -1 : 0; /* the SCM knows the exit code */
}

int command_service(const struct arguments *arguments)
{
    static const struct verb verbs[] = {
        {"install", 0, install}, {"uninstall", 0, uninstall},
        {"start", 0, start},     {"stop", 0, stop},
        {"reload", 0, reload},   {"status", 0, status},
        {"run", 0, dispatch},    {NULL, 0, NULL},
    };

    return run_verb(verbs, arguments);
}
