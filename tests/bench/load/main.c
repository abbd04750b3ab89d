/* bench-load: makes the load of the benchmark, and is both its clients and its server, in one
 * process. The driver (../run) talks to it over standard input and output:
 *
 *     -> listening tcp:127.0.0.1:40001     where the relay is to connect to
 *     <- connect tcp:127.0.0.1:40002       where the relay listens (or the same: no relay)
 *     -> ready                             all connections are open, and warm
 *     <- go
 *     -> {"seconds": 1.000321, ...}        the results; the connections are still open
 *     <- (end of file)
 */
#include "load.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char usage[] =
    "usage: bench-load idle|bulk|pingpong|beside|connect [OPTION VALUE]...\n"
    "       bench-load check\n"
    "  --listen ENDPOINT     tcp:127.0.0.1:0 (default), unix:/PATH, vsock:CID:PORT\n"
    "  --connections N       at one time\n"
    "  --direction up|down|both   of bulk\n"
    "  --threads N           of bulk\n"
    "  --seconds S           how long to send\n"
    "  --bytes N             the most that each end of bulk sends\n"
    "  --size N              of a message, bytes\n"
    "  --count N             of short connections in all\n"
    "  --warm-up PART        of the load, before it counts (default 0.2)\n";

static const struct option options[] = {
    {"listen", required_argument, NULL, 'l'},    {"connections", required_argument, NULL, 'n'},
    {"direction", required_argument, NULL, 'd'}, {"threads", required_argument, NULL, 't'},
    {"seconds", required_argument, NULL, 's'},   {"bytes", required_argument, NULL, 'b'},
    {"size", required_argument, NULL, 'z'},      {"count", required_argument, NULL, 'c'},
    {"warm-up", required_argument, NULL, 'w'},   {0},
};

_Noreturn static void misuse(void)
{
    fputs(usage, stderr);
    exit(2);
}

static int choice(const char *text, const char *const *names)
{
    for (int i = 0; names[i]; i++) {
        if (strcmp(text, names[i]) == 0)
            return i;
    }
    misuse();
}

static enum mode mode_named(const char *text)
{
    static const char *const names[] = {"idle", "bulk", "pingpong", "beside", "connect", NULL};

    return (enum mode)choice(text, names);
}

static enum direction direction_named(const char *text)
{
    static const char *const names[] = {"up", "down", "both", NULL};

    return (enum direction)(choice(text, names) + 1);
}

static uint64_t number(const char *text)
{
    char *end;
    uint64_t value = strtoull(text, &end, 10);

    if (end == text || *end)
        misuse();
    return value;
}

/* Reads one line of the driver's, which begins with `word`; returns what follows. */
static char *expect(const char *word)
{
    static char line[256];
    size_t length = strlen(word);

    if (!fgets(line, sizeof line, stdin) || strncmp(line, word, length) != 0)
        die("the driver did not say '%s'", word);
    line[strcspn(line, "\n")] = '\0';
    return line + length;
}

static void say(const char *text)
{
    puts(text);
    fflush(stdout);
}

static void perform(struct load *load, double warm_up)
{
    char endpoint[ENDPOINT_TEXT];

    load->listener = net_listen(&load->target);
    where_format(&load->target, endpoint);
    printf("listening %s\n", endpoint);
    fflush(stdout);
    load->target = where_parse(expect("connect "));
    load_open(load);
    if (warm_up > 0)
        load_run(load, warm_up);
    say("ready");
    expect("go");
    load_run(load, 1);
    load_print(load);
    fflush(stdout);
    while (getchar() != EOF)
        ;
}

int main(int argc, char **argv)
{
    static struct load load;
    double warm_up = 0.2;
    const char *listen = "tcp:127.0.0.1:0";
    struct plan *plan = &load.plan;
    int option;

    if (argc == 2 && strcmp(argv[1], "check") == 0)
        return self_check();
    *plan = (struct plan){.direction = UP,
                          .connections = 1,
                          .threads = 1,
                          .ns = 1000000000,
                          .bytes = UINT64_MAX / 4,
                          .size = 64,
                          .count = 1000};
    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        switch (option) {
        case 'l':
            listen = optarg;
            break;
        case 'n':
            plan->connections = (unsigned)number(optarg);
            break;
        case 'd':
            plan->direction = direction_named(optarg);
            break;
        case 't':
            plan->threads = (unsigned)number(optarg);
            break;
        case 's':
            plan->ns = (uint64_t)(atof(optarg) * 1e9);
            break;
        case 'b':
            plan->bytes = number(optarg);
            break;
        case 'z':
            plan->size = number(optarg);
            break;
        case 'c':
            plan->count = (unsigned)number(optarg);
            break;
        case 'w':
            warm_up = atof(optarg);
            break;
        default:
            misuse();
        }
    }
    if (optind != argc - 1)
        misuse();
    plan->mode = mode_named(argv[optind]);
    if (plan->connections == 0 || plan->threads == 0 || plan->size == 0 || plan->size > 4096 ||
        (plan->mode == BESIDE && plan->connections < 2))
        misuse();
    load.target = where_parse(listen);
    perform(&load, warm_up);
    return 0;
}
