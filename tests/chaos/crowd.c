#include "crowd.h"

#include "../lib/clock.h"

#include <stdio.h>

enum { WANTS_MAX = 2 * (SESSIONS_MAX + LANES_MAX) + LANES_MAX * STRANGERS_MAX };

/* What a want is about: a session's side, or a stranger on a lane. */
struct about {
    struct session *session;
    int side;
    struct lane *lane;
    struct peer *stranger;
};

static struct peer_want wants[WANTS_MAX];
static struct about abouts[WANTS_MAX];

static size_t collect(struct crowd *crowd, bool *moved)
{
    size_t n = 0;

    for (unsigned i = 0; i < crowd->begun; i++) {
        struct session *session = &crowd->sessions[i];
        for (int side = CLIENT; side <= TARGET && !session->over; side++) {
            *moved |= session_prepare(session, side, crowd->step, &wants[n]);
            if (wants[n].peer != NULL)
                abouts[n++] = (struct about){.session = session, .side = side};
        }
    }
    for (unsigned i = 0; i < crowd->lane_count; i++) {
        struct lane *lane = &crowd->lanes[i];
        for (unsigned k = 0; k < lane->stranger_count; k++) {
            wants[n] = (struct peer_want){.peer = lane->strangers[k].peer, .read = true};
            abouts[n++] = (struct about){.lane = lane, .stranger = lane->strangers[k].peer};
        }
    }
    return n;
}

static void hear_stranger(const struct about *about, uint64_t step)
{
    for (unsigned k = 0; k < about->lane->stranger_count; k++)
        if (about->lane->strangers[k].peer == about->stranger) {
            lane_hear(about->lane, k, step);
            return;
        }
}

static bool act(struct crowd *crowd, size_t n)
{
    bool moved = false;

    for (size_t i = 0; i < n; i++) {
        const struct about *about = &abouts[i];
        /* On vsock a peer that has closed for good is no event to one that waits for room to write;
         * only the attempt tells. */
        if (about->session != NULL && about->session->end[about->side].came == CAME_EOF)
            wants[i].can_write = wants[i].write;
        if (!wants[i].can_read && !wants[i].can_write)
            continue;
        if (about->session == NULL) {
            hear_stranger(about, crowd->step);
            moved = true;
        } else {
            moved |= session_act(about->session, about->side, &wants[i]);
        }
    }
    return moved;
}

/* A session whose client has left without its target is over for now, and haunts its lane. */
static bool look_at_lanes(struct crowd *crowd)
{
    bool moved = false;

    for (unsigned i = 0; i < crowd->lane_count; i++) {
        struct lane *lane = &crowd->lanes[i];
        moved |= lane_accept(lane, crowd->step);
        if (lane->opening != NULL && lane->opening->over)
            lane_give_up(lane);
    }
    return moved;
}

static void fail_stalled(const struct crowd *crowd)
{
    for (unsigned i = 0; i < crowd->begun; i++)
        if (!crowd->sessions[i].over)
            chaos_fail(&crowd->sessions[i], "nothing has moved for %d s, %u sessions are open",
                       PATIENCE_MS / 1000, crowd_live(crowd));
    chaos_fail(NULL, "nothing has moved for %d s, and no session is open", PATIENCE_MS / 1000);
}

void crowd_step(struct crowd *crowd, bool patient)
{
    bool moved, paused = false;
    size_t n;

    crowd->step++;
    n = collect(crowd, &paused);
    if (n > 0)
        (void)peers_wait(wants, n, paused && !patient ? 0 : 1);
    else if (!paused || patient)
        clock_pause(1);
    moved = act(crowd, n);
    moved |= look_at_lanes(crowd);
    if (moved || paused || crowd->deadline == 0)
        crowd->deadline = clock_ms() + PATIENCE_MS;
    else if (clock_left_ms(crowd->deadline) == 0)
        fail_stalled(crowd);
}

unsigned crowd_live(const struct crowd *crowd)
{
    unsigned count = 0;
    for (unsigned i = 0; i < crowd->begun; i++)
        count += !crowd->sessions[i].over;
    return count;
}

bool crowd_is_over(const struct crowd *crowd)
{
    for (unsigned i = 0; i < crowd->lane_count; i++)
        if (crowd->lanes[i].stranger_count > 0)
            return false;
    return crowd_live(crowd) == 0;
}

struct session *crowd_begin(struct crowd *crowd, struct lane *lane, const struct end_plan plans[2],
                            const char *breakable)
{
    struct session *session = &crowd->sessions[crowd->begun];
    struct peer *client = peer_connect(lane->endpoint, PATIENCE_MS);

    if (client == NULL)
        chaos_fail(NULL, "%s: a client cannot connect to %s: %s", lane->name, lane->endpoint,
                   peer_error());
    session_init(session, crowd->begun, lane->name, crowd->step, client, plans, lane->front,
                 lane->back);
    session->breakable = breakable;
    lane->opening = session;
    crowd->begun++;
    return session;
}

static void await_end(struct crowd *crowd)
{
    while (!crowd_is_over(crowd))
        crowd_step(crowd, true);
}

void crowd_fence(struct crowd *crowd)
{
    const struct end_plan listens = {.write_max = 1,
                                     .read_max = HELLO,
                                     .abort_sent = NEVER,
                                     .abort_received = NEVER,
                                     .abort_step = NEVER,
                                     .abort_after_end = NEVER};
    struct end_plan plans[2] = {listens, listens};

    plans[CLIENT].size = plans[CLIENT].write_max = HELLO;
    for (unsigned i = 0; i < crowd->lane_count; i++) {
        struct lane *lane = &crowd->lanes[i];
        if (lane->present && lane->ghost_count > 0)
            (void)crowd_begin(crowd, lane, plans,
                              lane->served ? lane->breaks : "its target is away");
    }
    await_end(crowd);
}

void crowd_meet_ghosts(struct crowd *crowd)
{
    bool came = true;

    while (came) {
        came = false;
        for (unsigned i = 0; i < crowd->lane_count; i++)
            came |= lane_accept(&crowd->lanes[i], crowd->step);
        await_end(crowd);
    }
    for (unsigned i = 0; i < crowd->lane_count; i++)
        crowd->lanes[i].ghost_count = 0;
}
