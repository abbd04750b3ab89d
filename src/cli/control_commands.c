/* The commands that speak to a running hvrelay: reload. */

#include "cli/command.h"

#include "app/control.h"
#include "app/process.h"

static void print_line(const char *text)
{
    fprintf(stderr, "hvrelay: %s\n", text);
}

/* The new file may be full of mistakes, which the running program is to tell: only `control` is
 * looked for here. */
int command_reload(const struct arguments *arguments)
{
    const char *path = arguments->config ? arguments->config : process_default_config();
    enum control_result result;
    struct endpoint control;
    struct err err;

    if (config_find_control(path, &control, &err) != 0) {
        print_line(err.msg);
        return APP_MISCONFIGURED;
    }
    if (control_ask(&control, "reload", print_line, &result, &err) != 0) {
        print_line(err.msg);
        return APP_FAILED;
    }
    if (result == CONTROL_MISTAKEN)
        return APP_MISCONFIGURED;
    return result == CONTROL_OK ? APP_OK : APP_FAILED;
}
