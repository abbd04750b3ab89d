#include "cli/command.h"

#include "app/process.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <uv.h>

const struct command commands[] = {
    {
        "run",
        "[-c FILE]",
        "relay what a configuration file says, until stopped",
        "  -c FILE   the configuration; '-' is standard input. Without it, the system's\n"
        "            usual place.\n"
        "\n"
        "Standard output tells, once clients may come, 'listening NAME ENDPOINT' for\n"
        "each forward and then 'ready'. The log goes to standard error. SIGTERM or\n"
        "SIGINT stops: sessions may end within drain_timeout; a second one stops at once.\n",
        "c",
        0,
        0,
        command_run,
    },
    {
        "forward",
        "LISTEN CONNECT [-o KEY=VALUE]...",
        "relay one pair of endpoints, without a file",
        "  -o KEY=VALUE   any key of a [forward] or of [hvrelay], as in a file\n"
        "\n"
        "  hvrelay forward tcp:127.0.0.1:2222 vsock:3:22\n",
        "o",
        2,
        2,
        command_forward,
    },
    {
        "connect",
        "ENDPOINT [-o KEY=VALUE]...",
        "standard input and output to an endpoint, as ssh's ProxyCommand",
        "  -o KEY=VALUE   any key of a [forward] or of [hvrelay], as in a file\n"
        "\n"
        "  ssh -o ProxyCommand='hvrelay connect vsock:3:22' user@vm\n"
        "\n"
        "Exit code 0 where both directions came to their end, 1 where not.\n",
        "o",
        1,
        1,
        command_connect,
    },
    {
        "check",
        "[-c FILE]",
        "say what a configuration file would do, and what is wrong with it",
        "  -c FILE   as of 'run'\n",
        "c",
        0,
        0,
        command_check,
    },
    {
        "reload",
        "[-c FILE]",
        "have a running hvrelay read its configuration again",
        "  -c FILE   as of 'run': its 'control' key says where to ask\n"
        "\n"
        "Says what is wrong with the new configuration; then nothing has changed, and\n"
        "the exit code is 1. SIGHUP does the same, and tells the log.\n",
        "c",
        0,
        0,
        command_reload,
    },
    {
        "guid",
        "PORT|GUID",
        "translate a vsock port to its Hyper-V service GUID, or back",
        "",
        "",
        1,
        1,
        command_guid,
    },
    {
        "selftest",
        "[PORT]",
        "try this machine's VM sockets out, and print a table for a bug report",
        "Listens on PORT of this machine itself (a random one when not given), connects\n"
        "to it and to PORT + 1, where nobody listens. Needs no VM. Exit code 0 where all\n"
        "is well, 1 where not.\n",
        "",
        0,
        1,
        command_selftest,
    },
    {NULL, NULL, NULL, NULL, NULL, 0, 0, NULL},
};

static void print_summaries(FILE *out, const struct command *table)
{
    for (const struct command *command = table; command->name; command++)
        fprintf(out, "  %-9s %s\n", command->name, command->summary);
}

static const struct command *command_named(const struct command *table, const char *name)
{
    for (const struct command *command = table; command->name; command++) {
        if (strcmp(name, command->name) == 0)
            return command;
    }
    return NULL;
}

static void print_usage(FILE *out)
{
    fprintf(out, "usage: hvrelay COMMAND [ARGUMENT]...\n\n");
    print_summaries(out, commands);
    print_summaries(out, os_commands);
    fprintf(out, "\n'hvrelay COMMAND --help' tells more; 'hvrelay --version' the version.\n");
}

static void print_help(const struct command *command)
{
    printf("usage: hvrelay %s %s\n\n%s\n%s%s", command->name, command->synopsis, command->summary,
           command->help[0] ? "\n" : "", command->help);
}

static int misuse(const struct command *command, const char *what, const char *which)
{
    fprintf(stderr, "hvrelay: %s%s\nusage: hvrelay %s %s\n", what, which, command->name,
            command->synopsis);
    return APP_MISCONFIGURED;
}

static bool is_help(const char *text)
{
    return strcmp(text, "--help") == 0 || strcmp(text, "-h") == 0;
}

/* Sorts the words behind the command. Returns 0, or the exit code of a mistake. */
static int parse(const struct command *command, char **words, int count, struct arguments *out)
{
    const int most_settings = (int)(sizeof out->settings / sizeof *out->settings);

    for (int i = 0; i < count; i++) {
        const char *word = words[i];

        if (word[0] != '-' || word[1] == '\0') {
            if (out->operand_count == command->most_operands)
                return misuse(command, "too many arguments: ", word);
            out->operands[out->operand_count++] = words[i];
            continue;
        }
        if (word[2] != '\0' || !strchr(command->options, word[1]))
            return misuse(command, "unknown option ", word);
        if (++i == count)
            return misuse(command, "no value after ", word);
        if (word[1] == 'c')
            out->config = words[i];
        else if (out->setting_count == most_settings)
            return misuse(command, "too many options ", word);
        else
            out->settings[out->setting_count++] = words[i];
    }
    if (out->operand_count < command->operands)
        return misuse(command, "too few arguments", "");
    return 0;
}

static int run_command(const struct command *command, char **words, int count)
{
    struct arguments arguments = {0};
    int mistake;

    for (int i = 0; i < count; i++) {
        if (is_help(words[i])) {
            print_help(command);
            return APP_OK;
        }
    }
    mistake = parse(command, words, count, &arguments);
    return mistake ? mistake : command->run(&arguments);
}

static int dispatch(int argc, char **argv)
{
    const struct command *command;

    if (argc < 2) {
        print_usage(stderr);
        return APP_MISCONFIGURED;
    }
    if (is_help(argv[1])) {
        print_usage(stdout);
        return APP_OK;
    }
    if (strcmp(argv[1], "--version") == 0) {
        printf("hvrelay %s (libuv %s)\n", HVRELAY_VERSION, uv_version_string());
        return APP_OK;
    }
    command = command_named(commands, argv[1]);
    if (!command)
        command = command_named(os_commands, argv[1]);
    if (command)
        return run_command(command, argv + 2, argc - 2);
    fprintf(stderr, "hvrelay: unknown command '%s'\n", argv[1]);
    print_usage(stderr);
    return APP_MISCONFIGURED;
}

/* An answer that could not be written is no success. */
int main(int argc, char **argv)
{
    int status;

    process_prepare();
    argv = process_arguments(argc, argv);
    status = dispatch(argc, argv);
    if (fflush(stdout) != 0 && status == APP_OK) {
        fprintf(stderr, "hvrelay: cannot write to standard output\n");
        return APP_FAILED;
    }
    return status;
}
