/* Chaos: random scenarios, one after the other, until the time is up. */
#include "scenario.h"
#include "session.h"

#include "../lib/clock.h"
#include "../lib/os.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

enum { EXIT_USAGE = 2, REPORT_EVERY_MS = 60000 };

static const char usage[] =
    "usage: chaos [OPTION]...\n"
    "  --relay PATH     the program under test (default: $HVRELAY)\n"
    "  --time SECONDS   how long (default: 60)\n"
    "  --seed NUMBER    what all is drawn from (default: random, and printed)\n"
    "  --one NUMBER     only this scenario of the seed\n";

struct options {
    const char *relay;
    uint64_t seconds, seed, one;
};

static struct options options;
static uint64_t scenario; /* the one that runs */
static bool passed;

static void usage_error(const char *problem, const char *subject)
{
    fprintf(stderr, "chaos: %s '%s'\n%s", problem, subject, usage);
    exit(EXIT_USAGE);
}

static uint64_t random_seed(void)
{
    uint32_t seed = 1;
    (void)uv_random(NULL, NULL, &seed, sizeof seed, 0, NULL);
    return seed;
}

static void parse(int argc, char **argv)
{
    options = (struct options){getenv("HVRELAY"), 60, random_seed(), NEVER};
    for (int i = 1; i < argc; i += 2) {
        if (i + 1 == argc)
            usage_error("a value is missing, or unknown option", argv[i]);
        if (strcmp(argv[i], "--relay") == 0)
            options.relay = argv[i + 1];
        else if (strcmp(argv[i], "--time") == 0)
            options.seconds = strtoull(argv[i + 1], NULL, 10);
        else if (strcmp(argv[i], "--seed") == 0)
            options.seed = strtoull(argv[i + 1], NULL, 0);
        else if (strcmp(argv[i], "--one") == 0)
            options.one = strtoull(argv[i + 1], NULL, 10);
        else
            usage_error("unknown option", argv[i]);
    }
    if (options.relay == NULL)
        usage_error("which program?", "--relay");
}

/* However the program ends: in a check of our own, or of the library's. */
static void report_failure(void)
{
    if (passed)
        return;
    scenario_abandon();
    fprintf(stderr, "again: chaos --relay %s --seed %" PRIu64 " --one %" PRIu64 "\n", options.relay,
            options.seed, scenario);
}

static void tell_families(void)
{
    for (const struct family *family = families; family->name != NULL; family++)
        if (family->missing() != NULL)
            printf("left out: family %s: %s\n", family->name, family->missing());
}

static void report(uint64_t begin)
{
    printf("%" PRIu64 " s: %" PRIu64 " scenarios, %" PRIu64 " sessions, %" PRIu64 " MiB, %" PRIu64
           " ends of file, %" PRIu64 " resets (%" PRIu64 " by peers), %" PRIu64 " reloads, %" PRIu64
           " target restarts, %" PRIu64 " kills, %" PRIu64 " drains\n",
           (clock_ms() - begin) / 1000, scenario_totals.scenarios, session_totals.sessions,
           session_totals.bytes >> 20, session_totals.ends_of_file, session_totals.resets,
           session_totals.aborts, scenario_totals.reloads, scenario_totals.restarts,
           scenario_totals.kills, scenario_totals.drains);
}

static void run_until(uint64_t begin)
{
    uint64_t next_report = begin + REPORT_EVERY_MS;

    while (clock_ms() < begin + options.seconds * 1000) {
        scenario_run(options.relay, options.seed, scenario);
        scenario++;
        if (clock_ms() >= next_report) {
            report(begin);
            next_report += REPORT_EVERY_MS;
        }
    }
}

int main(int argc, char **argv)
{
    uint64_t begin = clock_ms();

    parse(argc, argv);
    setvbuf(stdout, NULL, _IOLBF, 0);
    printf("seed %" PRIu64 "\n", options.seed);
    tell_families();
    os_prepare();
    atexit(report_failure);
    if (options.one != NEVER) {
        scenario = options.one;
        scenario_run(options.relay, options.seed, scenario);
    } else {
        run_until(begin);
    }
    passed = true;
    report(begin);
    return 0;
}
