#include "lane.h"

#include "../lib/linux/socket.h"
#include "../lib/pattern.h"

#include <inttypes.h>
#include <stddef.h>
#include <string.h>

bool lane_is_free(const struct lane *lane)
{
    return lane->present && lane->opening == NULL && lane->ghost_count < GHOSTS_MAX;
}

bool lane_needs_hello(const struct lane *lane)
{
    return lane->ghost_count > 0;
}

bool lane_accept(struct lane *lane, uint64_t step)
{
    struct peer *peer;

    if (!lane->served || lane->stranger_count == STRANGERS_MAX ||
        (lane->opening == NULL && lane->ghost_count == 0))
        return false;
    peer = listener_accept(lane->target, 0);
    if (peer == NULL)
        return false;
    if (lane->ghost_count == 0) {
        session_meet(lane->opening, peer, 0, step);
        lane->opening = NULL;
    } else {
        lane->strangers[lane->stranger_count++] = (struct stranger){.peer = peer};
    }
    return true;
}

void lane_give_up(struct lane *lane)
{
    lane->ghosts[lane->ghost_count++] = lane->opening;
    lane->opening = NULL;
}

static void forget(struct lane *lane, unsigned index)
{
    lane->strangers[index] = lane->strangers[--lane->stranger_count];
}

static bool sent_this(const struct session *session, const struct stranger *stranger)
{
    const struct end *client = &session->end[CLIENT];

    return client->sent >= stranger->have &&
           pattern_check(client->stream, 0, stranger->bytes, stranger->have) == stranger->have;
}

/* Why this can't have been the session's target; NULL: it can. */
static const char *explain_by(const struct session *session, const struct stranger *stranger,
                              bool eof)
{
    if (!sent_this(session, stranger))
        return "nobody whose target has not been seen yet has sent its bytes";
    if (eof)
        return session_eof_fault(session, TARGET, stranger->have);
    return session_may_break(session) ? NULL : "a reset, and nothing broke the session";
}

/* It ended before it told who it was: a ghost must be able to explain that, or whoever is opening.
 */
static void explain(const struct lane *lane, const struct stranger *stranger, bool eof)
{
    const struct session *suspect = lane->opening;
    const char *fault = suspect != NULL ? explain_by(suspect, stranger, eof) : "";

    for (unsigned i = 0; fault != NULL && i < lane->ghost_count; i++) {
        suspect = lane->ghosts[i];
        fault = explain_by(suspect, stranger, eof);
    }
    if (fault != NULL)
        chaos_fail(suspect, "%s: a connection at the target ended (%s) after %u bytes: %s",
                   lane->name, eof ? "EOF" : "RESET", stranger->have, fault);
}

/* Whose first bytes are these? */
static void recognise(struct lane *lane, unsigned index, uint64_t step)
{
    struct stranger stranger = lane->strangers[index];

    forget(lane, index);
    if (lane->opening != NULL && sent_this(lane->opening, &stranger)) {
        session_meet(lane->opening, stranger.peer, HELLO, step);
        lane->opening = NULL;
        return;
    }
    for (unsigned i = 0; i < lane->ghost_count; i++) {
        struct session *ghost = lane->ghosts[i];
        if (!sent_this(ghost, &stranger))
            continue;
        lane->ghosts[i] = lane->ghosts[--lane->ghost_count];
        session_meet(ghost, stranger.peer, HELLO, step);
        return;
    }
    chaos_fail(NULL, "%s: the first bytes of a connection at the target are nobody's", lane->name);
}

void lane_hear(struct lane *lane, unsigned index, uint64_t step)
{
    struct stranger *stranger = &lane->strangers[index];
    long n = peer_recv(stranger->peer, stranger->bytes + stranger->have, HELLO - stranger->have);

    if (n == PEER_LATER)
        return;
    if (n > 0) {
        stranger->have += (unsigned)n;
        if (stranger->have == HELLO)
            recognise(lane, index, step);
        return;
    }
    explain(lane, stranger, n == PEER_EOF);
    peer_close(stranger->peer);
    forget(lane, index);
}

void lane_close(struct lane *lane)
{
    while (lane->stranger_count > 0)
        peer_close(lane->strangers[--lane->stranger_count].peer);
    listener_close(lane->target);
    lane->target = NULL;
    swallower_close(&lane->swallower);
}
