#include "net/race.h"

#include "net/descriptors.h"

#include <string.h>

/* --- the order --- */

/* FNV-1a. Two addresses with the same one would only be tried in another order. */
static uint64_t race_fingerprint(const struct address *address)
{
    const unsigned char *bytes = (const unsigned char *)&address->sa;
    uint64_t hash = 0xcbf29ce484222325;

    for (uint32_t i = 0; i < address->length; i++)
        hash = (hash ^ bytes[i]) * 0x100000001b3;
    return hash;
}

/* Moves an address to an earlier place; those between move on by one. */
static void race_advance(struct race *race, int from, int to)
{
    struct address address = race->addresses[from];

    for (int i = from; i > to; i--)
        race->addresses[i] = race->addresses[i - 1];
    race->addresses[to] = address;
}

static void race_put_last_good_first(struct race *race)
{
    uint64_t good = race->plan->last_good ? atomic_load(race->plan->last_good) : 0;

    for (int i = 1; i < race->count && good != 0; i++) {
        if (race_fingerprint(&race->addresses[i]) == good)
            race_advance(race, i, 0);
    }
}

/* The families take turns, so that one that does not work here costs a single delay. */
static void race_interleave(struct race *race)
{
    for (int i = 1; i < race->count; i++) {
        int next = i;

        while (next < race->count &&
               race->addresses[next].sa.ss_family == race->addresses[i - 1].sa.ss_family)
            next++;
        if (next < race->count)
            race_advance(race, next, i);
    }
}

/* While the resolver's first address serves, nothing is remembered: its order may spread load. */
static void race_remember(const struct race *race, int address)
{
    if (race->plan->last_good && address != 0)
        atomic_store(race->plan->last_good, race_fingerprint(&race->addresses[address]));
}

/* --- the lanes --- */

static bool race_is_first(const struct race_lane *lane)
{
    return lane == &lane->race->lanes[0];
}

/* An empty lane, or NULL. The session has the descriptor of the first one; the others take theirs
 * as pipes do, and leave half of the budget to sessions. */
static struct race_lane *race_take_lane(struct race *race)
{
    for (int i = 0; i < RACE_LANES; i++) {
        if (race->lanes[i].address >= 0)
            continue;
        if (i == 0 || descriptors_take(1, descriptors_total() / 2))
            return &race->lanes[i];
        return NULL;
    }
    return NULL;
}

static void race_give_lane(struct race_lane *lane)
{
    const struct dial_plan *plan = lane->race->plan;

    lane->address = -1;
    if (race_is_first(lane))
        return;
    descriptors_give(1);
    if (plan->room)
        plan->room(plan->arg);
}

/* That this machine has no way to an address says less than what another address has answered. */
static void race_note(struct race *race, int address, int status)
{
    bool no_way =
        status == UV_EADDRNOTAVAIL || status == UV_ENETUNREACH || status == UV_EAFNOSUPPORT;

    if (no_way && race->status != 0)
        return;
    race->status = status;
    race->failed = address;
}

/* Resets what the lane has under way. */
static void race_break_off(struct race_lane *lane)
{
    int status = connector_cancel(&lane->connector);

    race_note(lane->race, lane->address, status ? status : UV_ETIMEDOUT);
}

static void race_on_end(struct connector *connector, int status);

static void race_start_next(struct race *race, struct race_lane *lane)
{
    lane->address = race->next++;
    lane->started = uv_now(&race->loop->uv);
    conn_init(&lane->own);
    connector_start(&lane->connector, race->loop, &race->addresses[lane->address],
                    race->plan->options, race->plan->timeout,
                    race_is_first(lane) ? race->conn : &lane->own, race_on_end);
    if (race->next < race->count)
        timer_set(&race->loop->timers, &race->stagger, RACE_DELAY);
    else
        timer_clear(&race->loop->timers, &race->stagger);
}

/* The attempt that is under way for the longest time gives up its lane, once it has had its share
 * of the time that was left when it started. NULL if it has not. No lane was free, so the first is
 * in use. */
static struct race_lane *race_take_over(struct race *race)
{
    struct race_lane *oldest = &race->lanes[0];
    uint64_t share;

    for (int i = 1; i < RACE_LANES; i++) {
        struct race_lane *lane = &race->lanes[i];

        if (lane->address >= 0 && lane->started < oldest->started)
            oldest = lane;
    }
    share = (race->deadline - oldest->started) / (uint64_t)(race->count - race->next + 1);
    if (uv_now(&race->loop->uv) - oldest->started < share)
        return NULL;
    race_break_off(oldest);
    return oldest;
}

static void race_on_stagger(struct timer *timer)
{
    struct race *race = list_entry(timer, struct race, stagger);
    struct race_lane *lane = race_take_lane(race);

    if (!lane)
        lane = race_take_over(race);
    if (lane)
        race_start_next(race, lane);
    else
        timer_set(&race->loop->timers, &race->stagger, RACE_DELAY);
}

void race_stop(struct race *race)
{
    if (race->count == 0)
        return;
    timer_clear(&race->loop->timers, &race->stagger);
    for (int i = 0; i < RACE_LANES; i++) {
        if (race->lanes[i].address < 0)
            continue;
        race_break_off(&race->lanes[i]);
        race_give_lane(&race->lanes[i]);
    }
}

static void race_win(struct race *race, struct race_lane *lane)
{
    int address = lane->address, status = 0;

    lane->address = -1; /* what is under way is all the others */
    race_stop(race);
    race_give_lane(lane);
    if (!race_is_first(lane))
        status = conn_move(race->conn, &lane->own);
    if (status == 0)
        race_remember(race, address);
    else
        race_note(race, address, status);
    race->done(race, status);
}

static bool race_is_under_way(const struct race *race)
{
    for (int i = 0; i < RACE_LANES; i++) {
        if (race->lanes[i].address >= 0)
            return true;
    }
    return false;
}

/* One that fails is followed by the next at once. */
static void race_on_end(struct connector *connector, int status)
{
    struct race_lane *lane = list_entry(connector, struct race_lane, connector);
    struct race *race = lane->race;

    if (status == 0) {
        race_win(race, lane);
        return;
    }
    race_note(race, lane->address, status);
    if (race->next < race->count) {
        race_start_next(race, lane);
        return;
    }
    race_give_lane(lane);
    if (!race_is_under_way(race))
        race->done(race, race->status);
}

void race_start(struct race *race, struct loop *loop, const struct dial_plan *plan,
                struct conn *conn, race_done *done)
{
    race->loop = loop;
    race->plan = plan;
    race->conn = conn;
    race->done = done;
    race->next = 0;
    race->status = race->failed = 0;
    timer_init(&race->stagger, race_on_stagger);
    for (int i = 0; i < RACE_LANES; i++) {
        race->lanes[i].race = race;
        race->lanes[i].address = -1;
    }
    race_put_last_good_first(race);
    race_interleave(race);
    race_start_next(race, &race->lanes[0]);
}
