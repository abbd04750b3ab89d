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
    struct endpoint control;
    struct err err;
    int answer;

    if (config_find_control(path, &control, &err) != 0) {
        print_line(err.msg);
        return APP_MISCONFIGURED;
    }
    answer = control_ask(&control, "reload", print_line, &err);
    if (answer < 0)
        print_line(err.msg);
    return answer == 1 ? APP_OK : APP_FAILED;
}
