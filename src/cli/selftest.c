/* The command selftest: proves on a user's machine what no test of ours can, and prints a table for
 * a bug report. */

#include "cli/selftest.h"

#include "app/process.h"
#include "base/text.h"
#include "cli/command.h"
#include "net/address.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define MIB ((uint64_t)1 << 20)

enum { FIRST_PORT = 0x20000000 }; /* ports that nobody registers, for a random one */

struct selftest {
    struct endpoint endpoint, nobody;
    struct listener *listener;
    char detail[sizeof((struct err *)0)->msg]; /* of the check that runs: a remark */
};

static int open_listener(struct selftest *test, struct err *err)
{
    const struct sock_options options = {.backlog = 16};

    return listener_open(&test->endpoint, &options, &test->listener, err);
}

static int check_echo(struct selftest *test, struct err *err)
{
    return selftest_exchange(test->listener, 1000, SELFTEST_STAYS, err);
}

static int check_many(struct selftest *test, struct err *err)
{
    int count = 100;

    for (int i = 0; i < count; i++) {
        if (selftest_exchange(test->listener, (uint64_t)i + 1, SELFTEST_ENDS, err) != 0)
            return err_prefix(err, "stream %d", i + 1);
    }
    snprintf(test->detail, sizeof test->detail, "%d streams, one after the other", count);
    return 0;
}

static int check_bulk(struct selftest *test, struct err *err)
{
    const uint64_t size = 64 * MIB;
    uint64_t start = uv_hrtime(), spent;

    if (selftest_exchange(test->listener, size, SELFTEST_STAYS, err) != 0)
        return -1;
    spent = uv_hrtime() - start;
    snprintf(test->detail, sizeof test->detail, "%" PRIu64 " MiB there and back, %.0f MiB/s each",
             size / MIB, (double)size / (double)MIB / ((double)spent / 1e9));
    return 0;
}

static int check_half_close(struct selftest *test, struct err *err)
{
    return selftest_exchange(test->listener, 0, SELFTEST_ENDS, err);
}

static int check_refusal(struct selftest *test, struct err *err)
{
    struct err answer;

    if (selftest_refusal(&test->nobody, &answer, err) != 0)
        return -1;
    snprintf(test->detail, sizeof test->detail, "%s", answer.msg);
    return 0;
}

static const struct check {
    const char *name;
    int (*run)(struct selftest *test, struct err *err);
} checks[] = {
    {"listen", open_listener},
    {"echo", check_echo},
    {"many", check_many},
    {"bulk", check_bulk},
    {"half-close", check_half_close},
    {"refusal", check_refusal},
};

enum { CHECKS = sizeof checks / sizeof *checks };

/* Prints a line of the table. Returns 0 or -1. */
static int run_check(struct selftest *test, const struct check *check, struct err *err)
{
    uint64_t start = uv_hrtime();
    int status;

    test->detail[0] = '\0';
    status = check->run(test, err);
    printf("%-11s %-7s %8.1f ms   %s\n", check->name, status == 0 ? "ok" : "FAILED",
           (double)(uv_hrtime() - start) / 1e6, status == 0 ? test->detail : err->msg);
    fflush(stdout);
    return status;
}

static void print_head(const struct selftest *test)
{
    char system[256], endpoint[ENDPOINT_TEXT];

    selftest_system(system, sizeof system);
    endpoint_format(&test->endpoint, endpoint, sizeof endpoint);
    printf("program     hvrelay %s, libuv %s\n", HVRELAY_VERSION, uv_version_string());
    printf("system      %s\n", system);
    printf("endpoint    %s\n\n", endpoint);
    printf("%-11s %-7s %11s   %s\n", "check", "result", "time", "");
}

static int run_checks(struct selftest *test)
{
    struct err err;
    int failed = 0;

    print_head(test);
    if (run_check(test, &checks[0], &err) != 0) {
        if (address_may_come(test->endpoint.family, err.code))
            printf("\nThis machine has no such sockets, or not yet: nothing else was tried.\n");
        else
            printf("\nNothing else was tried.\n");
        return APP_FAILED;
    }
    for (int i = 1; i < CHECKS; i++)
        failed += run_check(test, &checks[i], &err) != 0;
    listener_release(test->listener);
    if (failed)
        printf("\n%d of %d checks failed.\n", failed, CHECKS);
    else
        printf("\nAll checks passed.\n");
    return failed ? APP_FAILED : APP_OK;
}

static int parse(uint64_t port, struct endpoint *out, struct err *err)
{
    char text[64];

    snprintf(text, sizeof text, "%s:%" PRIu64, selftest_machine, port);
    return endpoint_parse(text, ENDPOINT_CONNECT, out, err);
}

int command_selftest(const struct arguments *arguments)
{
    const char *text = arguments->operands[0];
    struct selftest test = {.listener = NULL};
    uint32_t random = 0;
    uint64_t port;
    struct err err;

    process_prepare();
    uv_random(NULL, NULL, &random, sizeof random, 0, NULL);
    port = FIRST_PORT + random % FIRST_PORT;
    if (text && (text_number(text, UINT32_MAX - 2, &port) != 0 || port == 0)) {
        fprintf(stderr, "hvrelay: '%s' is not a port\n", text);
        return APP_MISCONFIGURED;
    }
    if (parse(port, &test.endpoint, &err) != 0 || parse(port + 1, &test.nobody, &err) != 0) {
        fprintf(stderr, "hvrelay: %s\n", err.msg);
        return APP_FAILED;
    }
    return run_checks(&test);
}
