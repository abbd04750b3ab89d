/* The addresses of one target, raced as RFC 8305 (Happy Eyeballs) says: the next one starts while
 * those before it have not answered, and the first that connects wins. */
#ifndef HVRELAY_NET_RACE_H
#define HVRELAY_NET_RACE_H

#include "net/connector.h"
#include "net/dial.h"
#include "net/resolve.h"

enum {
    RACE_DELAY = 250, /* ms before the next address starts beside those under way */
    RACE_LANES = 4,   /* attempts at once */
};

struct race;

/* Status 0: the conn is open. Otherwise none of the addresses could be reached: `status` and
 * `failed` of the race say why. */
typedef void race_done(struct race *race, int status);

struct race_lane {
    struct connector connector;
    struct race *race;
    struct conn own; /* of all lanes but the first, which connects the race's conn */
    uint64_t started;
    int address; /* the index of the one it tries, or -1 */
};

/* Embedded in its owner, who fills the first three before the start. */
struct race {
    struct address addresses[RESOLVE_MAX];
    int count;
    uint64_t deadline; /* loop time when the owner will end it */

    struct loop *loop;
    const struct dial_plan *plan;
    struct conn *conn;
    race_done *done;
    int next; /* the address to start next */
    struct timer stagger;
    struct race_lane lanes[RACE_LANES];
    int status, failed; /* why an address failed, a libuv error number, and its index */
};

/* Starts connecting `conn`, an empty one of the caller's, to one of `count` addresses; the order of
 * the addresses is changed. If not all can be under way at once, each address gets its share of the
 * time until the deadline. An attempt beside the first takes a descriptor from the budget; if there
 * is none, the addresses are tried one after another. `done` is called once, from the loop, as the
 * race's last act. */
void race_start(struct race *race, struct loop *loop, const struct dial_plan *plan,
                struct conn *conn, race_done *done);

/* Resets what is under way. `done` is not called any more, the conn is empty, and `status` and
 * `failed` say why it has not connected so far. Harmless where no race is under way. */
void race_stop(struct race *race);

#endif
