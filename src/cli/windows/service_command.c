#include "commands.h"

#include "app/process.h"
#include "base/windows/eventlog.h"
#include "base/windows/wide.h"
#include "cli/windows/service.h"

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

    if (absolute_config(arguments, config, err) != 0)
        return -1;
    return service_install(config, NULL, err);
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

static void report_complaint(void *arg, const char *line)
{
    (void)arg;
    log_error("%s", line);
    eventlog_write(SERVICE_NAME, LOG_LEVEL_ERROR, line);
}

/* FILE.ini logs to FILE.log: a service has no standard error. */
static void open_log(const char *config)
{
    char path[PATH_ROOM + 8];
    wchar_t wide[MAX_PATH];
    FILE *file = NULL;
    char *dot;

    snprintf(path, sizeof path, "%s", config);
    dot = strrchr(path, '.');
    if (!dot || strpbrk(dot, "\\/"))
        dot = path + strlen(path);
    strcpy(dot, ".log");
    if (wide_from_utf8(path, wide, MAX_PATH) == 0)
        file = _wfopen(wide, L"a");
    if (file)
        log_set_file(file);
    else
        eventlog_write(SERVICE_NAME, LOG_LEVEL_WARNING, "cannot write the log file");
}

static int serve(void *arg)
{
    const char *path = arg;
    struct config config;
    int exit_code;

    open_log(path);
    if (config_load(path, &config, report_complaint, NULL) != 0)
        return APP_MISCONFIGURED;
    app_on_ready(service_ready);
    exit_code = (int)app_run(&config);
    config_free(&config);
    return exit_code;
}

static void stop_serving(void *arg)
{
    (void)arg;
    app_stop();
}

static int dispatch(const struct arguments *arguments, struct err *err)
{
    char config[PATH_ROOM];
    struct service_program program = {serve, stop_serving, config};

    if (absolute_config(arguments, config, err) != 0)
        return -1;
    return service_dispatch(&program, err) < 0 ? -1 : 0; /* the SCM knows the exit code */
}

int command_service(const struct arguments *arguments)
{
    static const struct verb verbs[] = {
        {"install", 0, install}, {"uninstall", 0, uninstall}, {"start", 0, start},
        {"stop", 0, stop},       {"status", 0, status},       {"run", 0, dispatch},
        {NULL, 0, NULL},
    };

    return run_verb(verbs, arguments);
}
