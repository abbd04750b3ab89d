#include "standing.h"

#include "../lib/clock.h"
#include "../lib/pattern.h"
#include "session.h"

enum { MESSAGE = 100 };

unsigned long long standing_exchanges;

void standing_open(struct standing *standing, unsigned count, const char *endpoint,
                   struct listener *target)
{
    while (standing->count < count) {
        struct peer **end = standing->end[standing->count];

        end[CLIENT] = peer_connect(endpoint, PATIENCE_MS);
        end[TARGET] = listener_accept(target, PATIENCE_MS);
        if (end[CLIENT] == NULL || end[TARGET] == NULL)
            chaos_fail(NULL, "a standing session does not get through: %s", peer_error());
        standing->count++;
    }
}

static void pass(struct peer *from, struct peer *to, unsigned number)
{
    struct peer_want want = {.peer = to, .read = true};
    unsigned char bytes[MESSAGE];
    size_t have = 0;

    pattern_fill(number, standing_exchanges, bytes, MESSAGE);
    if (peer_send(from, bytes, MESSAGE) != MESSAGE)
        chaos_fail(NULL, "standing session %u takes no message", number);
    while (have < MESSAGE) {
        long n = PEER_LATER;

        if (peers_wait(&want, 1, PATIENCE_MS) > 0)
            n = peer_recv(to, bytes + have, MESSAGE - have);
        if (n <= 0)
            chaos_fail(NULL, "standing session %u: %s", number,
                       n == PEER_LATER ? "no answer" : "is broken");
        have += (size_t)n;
    }
    if (pattern_check(number, standing_exchanges, bytes, MESSAGE) != MESSAGE)
        chaos_fail(NULL, "standing session %u: wrong bytes", number);
}

static void exchange(struct standing *standing, unsigned number)
{
    pass(standing->end[number][CLIENT], standing->end[number][TARGET], number);
    pass(standing->end[number][TARGET], standing->end[number][CLIENT], number);
    standing_exchanges++;
}

void standing_exchange(struct standing *standing)
{
    if (standing->count > 0)
        exchange(standing, standing->turn++ % (standing->count / 2));
}

void standing_close(struct standing *standing)
{
    for (unsigned i = 0; i < standing->count; i++)
        exchange(standing, i);
    standing_forget(standing);
}

void standing_forget(struct standing *standing)
{
    while (standing->count > 0) {
        standing->count--;
        peer_close(standing->end[standing->count][CLIENT]);
        peer_close(standing->end[standing->count][TARGET]);
    }
}

uint64_t standing_bytes(void)
{
    return standing_exchanges * MESSAGE;
}
