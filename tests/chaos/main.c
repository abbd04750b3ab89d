/* Chaos: random scenarios, one after the other, until the time is up; or, as a soak, one relay that
 * lives through all of them. */
#include "names.h"
#include "network.h"
#include "scenario.h"
#include "session.h"
#include "soak.h"

#include "../lib/clock.h"
#include "../lib/os.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

enum { EXIT_USAGE = 2, REPORT_EVERY_MS = 60000, WARM_UP_MAX_MS = 300000 };

static const char usage[] =
    "usage: chaos [OPTION]...\n"
    "  --relay PATH     the program under test (default: $HVRELAY)\n"
    "  --time SECONDS   how long (default: 60)\n"
    "  --seed NUMBER    what all is drawn from (default: random, and printed)\n"
    "  --one NUMBER     only this scenario of the seed\n"
    "  --verbose        says what was drawn for each scenario\n"
    "  --soak           one relay, which is to use no more at the end than at the beginning\n";

struct options {
    const char *relay;
    uint64_t seconds, seed, one;
    bool soak;
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
    options = (struct options){getenv("HVRELAY"), 60, random_seed(), NEVER, false};
    for (int i = 1; i < argc; i++) {
        const char *option = argv[i];

        if (strcmp(option, "--verbose") == 0) {
            scenario_verbose = true;
            continue;
        }
        if (strcmp(option, "--soak") == 0) {
            options.soak = true;
            continue;
        }
        if (++i == argc)
            usage_error("a value is missing, or unknown option", option);
        if (strcmp(option, "--relay") == 0)
            options.relay = argv[i];
        else if (strcmp(option, "--time") == 0)
            options.seconds = strtoull(argv[i], NULL, 10);
        else if (strcmp(option, "--seed") == 0)
            options.seed = strtoull(argv[i], NULL, 0);
        else if (strcmp(option, "--one") == 0)
            options.one = strtoull(argv[i], NULL, 10);
        else
            usage_error("unknown option", option);
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
    fprintf(stderr, "again: chaos --relay %s --seed %" PRIu64, options.relay, options.seed);
    if (options.soak)
        fprintf(stderr, " --soak --time %" PRIu64 "\n", options.seconds);
    else
        fprintf(stderr, " --one %" PRIu64 "\n", scenario);
}

static void tell_families(void)
{
    for (const struct family *family = families; family->name != NULL; family++)
        if (family->missing() != NULL)
            printf("left out: family %s: %s\n", family->name, family->missing());
}

static void report_more(void)
{
    printf("    %" PRIu64 " accounts of the relay's; clients that left:", scenario_totals.accounts);
    for (int i = 0; i < LEAVE_STATES; i++)
        printf(" %s %" PRIu64 "%s", leave_names[i], scenario_totals.left[i],
               i + 1 < LEAVE_STATES ? "," : "\n");
    if (names_are_there())
        printf("    the name server: %" PRIu64 " answers, %" PRIu64 " questions ignored\n",
               names_answered(), names_ignored());
}

static void report(uint64_t begin)
{
    printf("%" PRIu64 " s: %" PRIu64 " scenarios, %" PRIu64 " sessions, %" PRIu64 " MiB, %" PRIu64
           " ends of file, %" PRIu64 " resets (%" PRIu64 " by peers), %" PRIu64 " reloads, %" PRIu64
           " target restarts, %" PRIu64 " kills, %" PRIu64 " drains, %" PRIu64 " connects\n",
           (clock_ms() - begin) / 1000, scenario_totals.scenarios, session_totals.sessions,
           session_totals.bytes >> 20, session_totals.ends_of_file, session_totals.resets,
           session_totals.aborts, scenario_totals.reloads, scenario_totals.restarts,
           scenario_totals.kills, scenario_totals.drains, scenario_totals.pipelines);
    report_more();
    if (options.soak && !passed)
        soak_report();
}

static void run_until(uint64_t end, uint64_t begin)
{
    static uint64_t next_report;

    if (next_report == 0)
        next_report = begin + REPORT_EVERY_MS;
    while (clock_ms() < end) {
        if (options.soak) {
            soak_round();
        } else {
            if (scenario_verbose)
                printf("scenario %" PRIu64 "\n", scenario);
            scenario_run(options.relay, options.seed, scenario);
            scenario++; /* only now: a failure names the one that has failed */
        }
        if (clock_ms() >= next_report) {
            report(begin);
            next_report += REPORT_EVERY_MS;
        }
    }
}

/* What a relay keeps for reuse comes within a third of the time, at most. */
static void soak(uint64_t begin)
{
    uint64_t warm_up = options.seconds * 1000 / 3;

    if (warm_up > WARM_UP_MAX_MS)
        warm_up = WARM_UP_MAX_MS;
    soak_begin(options.relay, options.seed);
    run_until(begin + warm_up, begin);
    soak_settle();
    run_until(begin + options.seconds * 1000, begin);
    soak_end();
}

int main(int argc, char **argv)
{
    uint64_t begin = clock_ms();

    parse(argc, argv);
    setvbuf(stdout, NULL, _IOLBF, 0);
    printf("seed %" PRIu64 "\n", options.seed);
    network_enter();
    tell_families();
    os_prepare();
    atexit(report_failure);
    if (options.one != NEVER) {
        scenario = options.one;
        scenario_run(options.relay, options.seed, scenario);
    } else if (options.soak) {
        soak(begin);
    } else {
        run_until(begin + options.seconds * 1000, begin);
    }
    passed = true;
    report(begin);
    return 0;
}
