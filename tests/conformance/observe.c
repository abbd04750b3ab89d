#include "suite.h"

#include <inttypes.h>
#include <stdio.h>

void expect_log(const struct suite *suite, const char *const *words)
{
    if (relay_log_has(suite->relay, suite->log_mark, words, PATIENCE_MS))
        return;
    char list[200] = "";
    for (size_t len = 0; *words != NULL && len < sizeof list; words++)
        len += (size_t)snprintf(list + len, sizeof list - len, " '%s'", *words);
    fail_msg("no line of the relay's log has all of%s", list);
}

void expect_log_done(const struct suite *suite, uint64_t up, uint64_t down)
{
    char up_text[40], down_text[40];
    const char *const words[] = {"forward 'plain'", "done", up_text, down_text, NULL};
    snprintf(up_text, sizeof up_text, " %" PRIu64 " B up", up);
    snprintf(down_text, sizeof down_text, " %" PRIu64 " B down", down);
    expect_log(suite, words);
}

struct os_descriptors descriptors_now(const struct suite *suite)
{
    struct os_descriptors now;
    if (!os_descriptors_of(relay_pid(suite->relay), &now))
        fail_msg("the relay is gone");
    return now;
}

int pipes_at_rest(const struct suite *suite)
{
    enum { KEPT = 8, ENDS = 2 }; /* relay/linux/pipe.c */
    return suite->descriptors_at_start.pipes + (int)suite->workers * KEPT * ENDS;
}

size_t resident_now(const struct suite *suite)
{
    return os_resident_bytes(relay_pid(suite->relay));
}

void expect_sockets(const struct suite *suite, int sockets)
{
    uint64_t deadline = clock_ms() + PATIENCE_MS;
    int open = descriptors_now(suite).sockets;
    while (open != sockets && clock_left_ms(deadline) > 0) {
        clock_pause(1);
        open = descriptors_now(suite).sockets;
    }
    if (open != sockets)
        fail_msg("the relay has %d sockets open, not %d", open, sockets);
}

void expect_settled(const struct suite *suite, int sockets)
{
    const int others = suite->descriptors_at_start.others + (int)suite->workers;
    const int pipes = pipes_at_rest(suite);
    uint64_t deadline = clock_ms() + PATIENCE_MS;
    for (;;) {
        suite_clear_targets(suite); /* a client that is gone may reach its target yet */
        struct os_descriptors now = descriptors_now(suite);
        if (now.sockets == sockets && now.pipes <= pipes && now.others <= others)
            return;
        if (clock_left_ms(deadline) == 0)
            fail_msg("the relay has %d sockets, %d of pipes and %d other descriptors open, not %d "
                     "and at most %d and %d",
                     now.sockets, now.pipes, now.others, sockets, pipes, others);
        clock_pause(1);
    }
}

void expect_quiet(const struct suite *suite)
{
    peers_close_all();
    if (!relay_running(suite->relay))
        fail_msg("the relay has ended by itself");
    expect_settled(suite, suite->descriptors_at_start.sockets);
}

void skip_because(struct suite *suite, const char *reason)
{
    suite->passed = true; /* nothing needs to be built anew */
    print_message("    skipped: %s\n", reason);
    skip();
}
