#include "sharers.h"

#include "../lib/clock.h"
#include "session.h"

#include <inttypes.h>

/* Who is late by more than some 10 ms loses its part by design, and on a busy machine, or once the
 * relay has been held, a worker is. So only a session that starves is too far behind (e2e.shares is
 * more exact). Limits let a burst pass. */
enum {
    PIECE = 1 << 16,
    MOST_PIECES = 64,
    MIB = 1 << 20,
    AHEAD_MS = 500,
    LEAST_MS = 1500,
    BURST = 2 * MIB
};

void sharers_prepare(struct sharers *sharers)
{
    if (sharers->rate > 0)
        sharers->target = listener_open(family_named("tcp"), LISTENER_ACCEPTING);
}

void sharers_open(struct sharers *sharers, const char *endpoint)
{
    for (int i = 0; i < SHARERS; i++) {
        struct sharer *sharer = &sharers->sharer[i];

        sharer->end[CLIENT] = peer_connect(endpoint, PATIENCE_MS);
        sharer->end[TARGET] = listener_accept(sharers->target, PATIENCE_MS);
        if (sharer->end[CLIENT] == NULL || sharer->end[TARGET] == NULL)
            chaos_fail(NULL, "a sharer does not get through: %s", peer_error());
    }
    sharers->opened = clock_ms();
}

static void move(struct sharer *sharer)
{
    static unsigned char bytes[PIECE];
    long n;

    for (int i = 0; i < MOST_PIECES; i++) {
        n = peer_send(sharer->end[TARGET], bytes, PIECE);
        if (n <= 0)
            break;
        sharer->sent += (uint64_t)n;
    }
    for (int i = 0; i < MOST_PIECES; i++) {
        n = peer_recv(sharer->end[CLIENT], bytes, PIECE);
        if (n < 0)
            chaos_fail(NULL, "a sharer's session is broken");
        if (n == 0)
            break;
        sharer->received += (uint64_t)n;
    }
}

void sharers_step(struct sharers *sharers)
{
    bool all = true;

    if (sharers->opened == 0)
        return;
    for (int i = 0; i < SHARERS; i++) {
        move(&sharers->sharer[i]);
        all = all && sharers->sharer[i].received > 0;
    }
    for (int i = 0; i < SHARERS && all && !sharers->both; i++)
        sharers->sharer[i].before = sharers->sharer[i].received;
    sharers->both = all;
}

static void judge(const struct sharers *sharers)
{
    const struct sharer *one = &sharers->sharer[0], *other = &sharers->sharer[1];
    uint64_t a = one->received - one->before, b = other->received - other->before;
    uint64_t less = a < b ? a : b, more = a < b ? b : a;
    uint64_t ms = clock_ms() - sharers->opened;

    if (sharers->both && more > 4 * less + AHEAD_MS * (uint64_t)sharers->rate * MIB / 1000)
        chaos_fail(NULL, "of %u MiB/s two sessions have had %" PRIu64 " and %" PRIu64 " bytes",
                   sharers->rate, a, b);
    if (one->received + other->received > (ms + ms / 4) * sharers->rate * MIB / 1000 + BURST)
        chaos_fail(NULL, "with a rate_limit of %u MiB/s %" PRIu64 " bytes came in %" PRIu64 " ms",
                   sharers->rate, one->received + other->received, ms);
}

void sharers_go_on(struct sharers *sharers)
{
    while (sharers->opened != 0 && clock_ms() < sharers->opened + LEAST_MS) {
        sharers_step(sharers);
        clock_pause(1);
    }
}

void sharers_end(struct sharers *sharers)
{
    if (sharers->opened == 0)
        return;
    judge(sharers);
    sharers->opened = 0;
    for (int i = 0; i < SHARERS; i++) {
        peer_abort(sharers->sharer[i].end[CLIENT]);
        peer_close(sharers->sharer[i].end[TARGET]);
    }
}

void sharers_close(struct sharers *sharers)
{
    listener_close(sharers->target);
    *sharers = (struct sharers){0};
}
