/* Runs the conformance suite for the asked pumps and families. */
#include "cases.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SELECTED_MAX 16
#define CASES_MAX    64
#define NAME_SPACE   160
#define GROUP_SPACE  64
#define LOG_LINES    40

/* So that what is counted per forward is counted across threads. */
#define DEFAULT_WORKERS 2

enum { EXIT_SKIPPED = 77, EXIT_USAGE = 2 };

static const char usage[] =
    "usage: conformance [OPTION]...\n"
    "  --relay PATH      the program under test (default: $HVRELAY)\n"
    "  --pump NAME       splice, copy, stream or auto; may be repeated (default: all)\n"
    "  --front FAMILY    family that clients use; may be repeated (default: all that can be "
    "opened)\n"
    "  --back FAMILY     family that targets use; likewise\n"
    "  --workers NUMBER  of the relay; may be repeated: the suites take them in turn, so that each "
    "meets\n"
    "                    each pump and each family (default: 2)\n"
    "  --every           runs each suite with each of these numbers\n"
    "  --case TEXT       only cases whose name contains TEXT\n"
    "  --scale FACTOR    scales amounts of data and numbers of sessions (default: "
    "$HVRELAY_TEST_SCALE or 1)\n"
    "  --seed NUMBER     repeats a run's random write sizes\n"
    "  --first           skips what comes after the first failure\n"
    "  --list            prints the names of the cases and exits\n";

struct selection {
    const char *name[SELECTED_MAX];
    size_t count;
};

static const struct selection all_pumps = {{"splice", "copy", "stream", "auto"}, 4};

struct options {
    struct selection pumps, fronts, backs;
    unsigned workers[SELECTED_MAX];
    size_t workers_count;
    const char *relay, *filter;
    double scale;
    uint64_t seed;
    bool list, every, first;
};

/* One test of cmocka's: a case of a suite. */
struct bound_case {
    struct suite *suite;
    const struct conformance_case *what;
    char name[NAME_SPACE];
};

static int set_up(void **state)
{
    struct suite *suite = ((struct bound_case *)*state)->suite;
    if (suite->given_up)
        return 0;
    if (suite->relay == NULL) {
        if (suite->unstartable)
            fail_msg("the relay did not start before");
        suite->unstartable = true;
        suite_start(suite);
        suite->unstartable = false;
    }
    suite->log_mark = relay_log_mark(suite->relay);
    suite->passed = false;
    bystander_open(suite);
    return 0;
}

static void run(void **state)
{
    const struct bound_case *bound = *state;
    struct suite *suite = bound->suite;
    if (suite->given_up)
        skip();
    bound->what->run(suite);
    if (suite->relay != NULL) {
        bystander_close(suite);
        expect_quiet(suite);
    }
    suite->passed = true;
}

/* After a failure the relay goes: what was left half done must not reach the next case. */
static int tear_down(void **state)
{
    struct suite *suite = ((struct bound_case *)*state)->suite;
    if (suite->given_up)
        return 0;
    if (!suite->passed) {
        relay_log_print(suite->extra, 0, LOG_LINES);
        relay_log_print(suite->relay, suite->log_mark, LOG_LINES);
    }
    peers_close_all();
    relay_free(suite->extra);
    suite->extra = NULL;
    suite_clear_targets(suite);
    if (!suite->passed)
        suite_stop(suite);
    suite->given_up = suite->first && !suite->passed;
    return 0;
}

static bool suits(enum needs needs, const struct family *front, const struct family *back)
{
    if (needs == DEAF_TARGET)
        return front->half_closes && !back->half_closes;
    return needs == ANY_FAMILY || (front->half_closes && back->half_closes);
}

/* Runs the selected cases of one pump between two families; returns the number that failed. */
static int run_suite(const struct options *options, const char *pump, const struct family *front,
                     const struct family *back, unsigned workers)
{
    static struct bound_case bound[CASES_MAX];
    static struct CMUnitTest tests[CASES_MAX];
    struct suite suite = {.program = options->relay,
                          .pump = pump,
                          .front = front,
                          .back = back,
                          .workers = workers,
                          .scale = options->scale,
                          .seed = options->seed,
                          .first = options->first};
    char group[GROUP_SPACE];
    size_t n = 0;

    snprintf(group, sizeof group, "%s %s->%s, %u workers", pump, front->name, back->name, workers);
    for (const struct conformance_case *what = conformance_cases; what->name != NULL; what++) {
        if (options->filter != NULL && strstr(what->name, options->filter) == NULL)
            continue;
        if (!suits(what->needs, front, back))
            continue;
        bound[n] = (struct bound_case){&suite, what, ""};
        snprintf(bound[n].name, NAME_SPACE, "%s: %s", group, what->name);
        tests[n] = (struct CMUnitTest){bound[n].name, run, set_up, tear_down, &bound[n]};
        if (options->list)
            printf("%s\n", bound[n].name);
        n++;
    }
    int failed = options->list || n == 0 ? 0 : _cmocka_run_group_tests(group, tests, n, NULL, NULL);
    suite_stop(&suite);
    return failed;
}

/* The asked families, or all; those that this machine cannot open are left out, with the reason. */
static size_t usable(const struct selection *asked, const struct family *out[SELECTED_MAX])
{
    size_t n = 0;
    for (const struct family *family = families; family->name != NULL; family++) {
        bool wanted = asked->count == 0;
        for (size_t i = 0; i < asked->count; i++)
            wanted |= strcmp(asked->name[i], family->name) == 0;
        const char *missing = wanted ? family->missing() : NULL;
        if (missing != NULL)
            printf("skipped: family %s: %s\n", family->name, missing);
        else if (wanted)
            out[n++] = family;
    }
    return n;
}

static size_t number_of(const char *pump)
{
    size_t number = 0;
    while (number < all_pumps.count - 1 && strcmp(all_pumps.name[number], pump) != 0)
        number++;
    return number;
}

/* One pump between two families, which are pair number `pair`, with all or one of the numbers of
 * workers. A pump that is run on its own takes the same ones as it does among all. */
static int run_pair(const struct options *options, const char *pump, const struct family *front,
                    const struct family *back, size_t pair)
{
    const size_t count = options->workers_count;
    if (!options->every)
        return run_suite(options, pump, front, back,
                         options->workers[(number_of(pump) + pair) % count]);

    int failed = 0;
    for (size_t w = 0; w < count && !(options->first && failed > 0); w++)
        failed += run_suite(options, pump, front, back, options->workers[w]);
    return failed;
}

/* Returns the number of failed cases; *suites counts what was run. */
static int run_all(const struct options *options, size_t *suites)
{
    const struct family *fronts[SELECTED_MAX], *backs[SELECTED_MAX];
    size_t front_count = usable(&options->fronts, fronts);
    size_t back_count = usable(&options->backs, backs);
    int failed = 0;

    for (size_t p = 0; p < options->pumps.count; p++)
        for (size_t f = 0; f < front_count; f++)
            for (size_t b = 0; b < back_count && !(options->first && failed > 0); b++, ++*suites)
                failed += run_pair(options, options->pumps.name[p], fronts[f], backs[b],
                                   f * back_count + b);
    return failed;
}

static void usage_error(const char *problem, const char *subject)
{
    fprintf(stderr, "conformance: %s '%s'\n%s", problem, subject, usage);
    exit(EXIT_USAGE);
}

static void add(struct selection *selection, const char *name)
{
    if (selection->count == SELECTED_MAX)
        usage_error("one too many:", name);
    selection->name[selection->count++] = name;
}

static void add_workers(struct options *options, const char *value)
{
    unsigned long number = strtoul(value, NULL, 10);
    if (number == 0 || number > 256 || options->workers_count == SELECTED_MAX)
        usage_error("not a number of workers, or one too many:", value);
    options->workers[options->workers_count++] = (unsigned)number;
}

static void parse_option(struct options *options, const char *key, const char *value)
{
    if (strcmp(key, "--relay") == 0)
        options->relay = value;
    else if (strcmp(key, "--pump") == 0)
        add(&options->pumps, value);
    else if (strcmp(key, "--front") == 0)
        add(&options->fronts, value);
    else if (strcmp(key, "--back") == 0)
        add(&options->backs, value);
    else if (strcmp(key, "--workers") == 0)
        add_workers(options, value);
    else if (strcmp(key, "--case") == 0)
        options->filter = value;
    else if (strcmp(key, "--scale") == 0)
        options->scale = strtod(value, NULL);
    else if (strcmp(key, "--seed") == 0)
        options->seed = strtoull(value, NULL, 0);
    else
        usage_error("unknown option", key);
}

static void check_families(const struct selection *selection)
{
    for (size_t i = 0; i < selection->count; i++)
        if (family_named(selection->name[i]) == NULL)
            usage_error("no such family on this system:", selection->name[i]);
}

/* An option without a value. */
static bool parse_flag(struct options *options, const char *key)
{
    options->list |= strcmp(key, "--list") == 0;
    options->every |= strcmp(key, "--every") == 0;
    options->first |= strcmp(key, "--first") == 0;
    return strcmp(key, "--list") == 0 || strcmp(key, "--every") == 0 || strcmp(key, "--first") == 0;
}

static struct options parse(int argc, char **argv)
{
    const char *scale = getenv("HVRELAY_TEST_SCALE");
    struct options options = {.relay = getenv("HVRELAY"),
                              .scale = scale != NULL ? strtod(scale, NULL) : 1,
                              .seed = clock_ms()};

    for (int i = 1; i < argc; i++) {
        if (parse_flag(&options, argv[i]))
            continue;
        if (i + 1 == argc)
            usage_error("a value is missing, or unknown option", argv[i]);
        parse_option(&options, argv[i], argv[i + 1]);
        i++;
    }
    check_families(&options.fronts);
    check_families(&options.backs);
    if (options.scale <= 0 || options.seed == 0)
        usage_error("must be above 0:", "--scale, --seed");
    if (options.relay == NULL && !options.list)
        usage_error("which program?", "--relay");
    if (options.pumps.count == 0)
        options.pumps = all_pumps;
    if (options.workers_count == 0)
        options.workers[options.workers_count++] = DEFAULT_WORKERS;
    return options;
}

int main(int argc, char **argv)
{
    size_t suites = 0;
    struct options options = parse(argc, argv);

    setvbuf(stdout, NULL, _IOLBF, 0);
    os_prepare();
    if (!options.list)
        printf("conformance --seed %" PRIu64 "\n", options.seed);
    int failed = run_all(&options, &suites);
    scratch_remove();
    if (suites == 0)
        return EXIT_SKIPPED;
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
