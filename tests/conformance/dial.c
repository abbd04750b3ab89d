/* The target cannot be reached. */
#include "cases.h"

/* The client is turned away without a byte, with a reset where its family knows one. */
static void expect_turned_away(const struct suite *suite, struct peer *client)
{
    struct flow nothing = flow_make("relay -> client", NULL, client, 0);
    long end = flow_drain(&nothing);
    assert_int_equal(nothing.received, 0);
    if (suite->front->sees_reset && end == PEER_EOF)
        fail_msg("the client of an unreachable target saw a clean end of file, not a reset");
    peer_close(client);
}

/* Goal: a refusal reaches the client, and the log says who refused. */
void case_refused(struct suite *suite)
{
    const char *const words[] = {"forward 'refused'", listener_endpoint(suite->refusing), NULL};
    expect_turned_away(suite, client_open(suite, REFUSED));
    expect_log(suite, words);
}

/* Goal: a target that does not answer costs its own clients connect_timeout, and others nothing. */
void case_silent(struct suite *suite)
{
    const char *const words[] = {"forward 'silent'", listener_endpoint(suite->silent), NULL};
    struct peer *waiting[SILENT_LIMIT];
    const size_t n = sizeof waiting / sizeof waiting[0];

    for (size_t i = 0; i < n; i++)
        waiting[i] = client_open(suite, SILENT);
    struct session session = session_open(suite, PLAIN);
    session_echo(&session, 1000);
    session_close(&session);
    for (size_t i = 0; i < n; i++)
        expect_turned_away(suite, waiting[i]);
    expect_log(suite, words);
}

/* Goal: clients that go away while their target is being dialled leave nothing behind: no socket
 * (which is asked after every case), and no place that the next one would wait for in vain. */
void case_client_leaves_dial(struct suite *suite)
{
    for (int i = 0; i < 2 * SILENT_LIMIT; i++) {
        struct peer *client = client_open(suite, SILENT);
        if (i % 2 == 0)
            peer_close(client);
        else
            peer_abort(client);
    }
    expect_turned_away(suite, client_open(suite, SILENT));
}
