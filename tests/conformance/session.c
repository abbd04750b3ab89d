#include "suite.h"

#include "../lib/pattern.h"

#define QUIET_MS 100

/* No other session moves a multiple of this. */
#define BYSTANDER_STEP 997

struct peer *client_open(const struct suite *suite, enum forward forward)
{
    struct peer *client = peer_connect(suite->endpoints[forward], PATIENCE_MS);
    if (client == NULL)
        fail_msg("the client cannot connect to '%s': %s", suite->endpoints[forward], peer_error());
    return client;
}

struct peer *target_accept(const struct suite *suite)
{
    struct peer *target = listener_accept(suite->target, PATIENCE_MS);
    if (target == NULL)
        fail_msg("no connection reached the target within %d s", PATIENCE_MS / 1000);
    return target;
}

void client_introduce(struct peer *client, unsigned number)
{
    unsigned char hello[PATTERN_LOCATABLE];
    pattern_fill(number + 1, 0, hello, sizeof hello);
    assert_int_equal(peer_send(client, hello, sizeof hello), sizeof hello);
}

/* False: the connection has ended before. */
static bool read_introduction(struct peer *target, unsigned *client)
{
    unsigned char hello[PATTERN_LOCATABLE];
    struct peer_want want = {.peer = target, .read = true};
    uint32_t number = 0;
    uint64_t offset = 1;

    for (size_t have = 0; have < sizeof hello;) {
        if (peers_wait(&want, 1, PATIENCE_MS) == 0)
            fail_msg("a target waits for its client's first bytes: %zu of %zu came", have,
                     sizeof hello);
        long n = peer_recv(target, hello + have, sizeof hello - have);
        if (n < 0)
            return false;
        have += (size_t)n;
    }
    if (!pattern_locate(hello, sizeof hello, &number, &offset) || offset != 0)
        fail_msg("the first bytes at the target are not those of any client");
    *client = number - 1;
    return true;
}

unsigned target_introduced(struct peer *target)
{
    unsigned client = 0;
    if (!read_introduction(target, &client))
        fail_msg("a connection ended before its client's first bytes had come");
    return client;
}

void expect_no_target(const struct suite *suite)
{
    if (listener_accept(suite->target, QUIET_MS) != NULL)
        fail_msg("a connection reached the target that should not have");
}

void expect_gone(const char *name, struct peer *peer)
{
    uint64_t deadline = clock_ms() + PATIENCE_MS;
    while (peer_send(peer, "?", 1) != PEER_RESET) {
        if (clock_left_ms(deadline) == 0)
            fail_msg("the relay has not closed its connection with the %s", name);
        clock_pause(1);
    }
}

struct session session_open(const struct suite *suite, enum forward forward)
{
    struct peer *client = client_open(suite, forward);
    return (struct session){client, target_accept(suite)};
}

void session_close(struct session *session)
{
    peer_close(session->client);
    peer_close(session->target);
    *session = (struct session){NULL, NULL};
}

void session_echo(struct session *session, uint64_t size)
{
    flow_move("client -> target", session->client, session->target, size, FLOW_STAYS);
    flow_move("target -> client", session->target, session->client, size, FLOW_STAYS);
}

void bystander_works(struct suite *suite)
{
    session_echo(&suite->bystander, BYSTANDER_STEP);
    suite->bystander_bytes += BYSTANDER_STEP;
}

void bystander_open(struct suite *suite)
{
    suite->bystander = session_open(suite, PLAIN);
    suite->bystander_bytes = 0;
    bystander_works(suite);
}

void bystander_close(struct suite *suite)
{
    bystander_works(suite);
    session_close(&suite->bystander);
    expect_log_done(suite, suite->bystander_bytes, suite->bystander_bytes);
}

/* The next client that says who it is gets its target. Those who vanished in line before say
 * nothing.
 */
static struct session *serve_next(struct suite *suite, struct session *sessions)
{
    unsigned client = 0;
    struct peer *target = target_accept(suite);
    while (!read_introduction(target, &client)) {
        peer_close(target);
        target = target_accept(suite);
    }
    sessions[client].target = target;
    session_echo(&sessions[client], 100);
    return &sessions[client];
}

void expect_places(struct suite *suite)
{
    struct session sessions[LIMIT + 1], *served[LIMIT];

    for (unsigned i = 0; i <= LIMIT; i++) {
        sessions[i] = (struct session){client_open(suite, LIMITED), NULL};
        client_introduce(sessions[i].client, i);
    }
    for (size_t i = 0; i < LIMIT; i++)
        served[i] = serve_next(suite, sessions);
    expect_no_target(suite);
    session_close(served[0]);
    served[0] = serve_next(suite, sessions);
    for (size_t i = 0; i < LIMIT; i++)
        session_close(served[i]);
}
