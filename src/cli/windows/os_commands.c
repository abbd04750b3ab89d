#include "commands.h"

#include <stdio.h>
#include <string.h>

#include <uv.h>

const struct command os_commands[] = {
    {
        "service",
        "install|uninstall|start|stop|reload|status [-c FILE]",
        "hvrelay as a Windows service",
        "  install    make the service; it starts with Windows and is started again after a\n"
        "             failure. Its log is the Event Log, unless log_file names a file.\n"
        "  uninstall  stop and remove it\n"
        "  reload     have it read its configuration again; its log says what is wrong\n"
        "  -c FILE    (install) the configuration that it reads at each start\n"
        "\n"
        "'service run' is what the service manager calls.\n",
        "c",
        1,
        1,
        command_service,
    },
    {
        "registry",
        "list | add PORT|GUID NAME | remove PORT|GUID|NAME",
        "the services of this host that its VMs may reach",
        "A listener on 'hyperv:...' needs its service registered, once, by an administrator.\n",
        "",
        1,
        3,
        command_registry,
    },
    {
        "vms",
        "",
        "the virtual machines of this host, and what to write for each",
        "",
        "",
        0,
        0,
        command_vms,
    },
    {NULL, NULL, NULL, NULL, NULL, 0, 0, NULL},
};

int run_verb(const struct verb *verbs, const struct arguments *arguments)
{
    struct err err;

    for (const struct verb *verb = verbs; verb->name; verb++) {
        if (strcmp(verb->name, arguments->operands[0]) != 0)
            continue;
        if (arguments->operand_count != verb->operands + 1) {
            fprintf(stderr, "hvrelay: '%s' takes %d arguments\n", verb->name, verb->operands);
            return APP_MISCONFIGURED;
        }
        if (verb->run(arguments, &err) == 0)
            return APP_OK;
        fprintf(stderr, "hvrelay: %s\n", err.msg);
        return err.code == UV_EINVAL ? APP_MISCONFIGURED : APP_FAILED;
    }
    fprintf(stderr, "hvrelay: unknown word '%s'\n", arguments->operands[0]);
    return APP_MISCONFIGURED;
}
