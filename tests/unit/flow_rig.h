/* One flow between two streams whose far ends the test holds:
 *
 *     feed -> source ==== from -> FLOW -> to ==== sink -> take
 *
 * What is fed is the test pattern, and what is taken is checked against it. */
#ifndef TESTS_UNIT_FLOW_RIG_H
#define TESTS_UNIT_FLOW_RIG_H

#include "relay/linux/flow.h"

struct rig {
    struct loop loop;
    struct pumps *pumps;
    struct conn from, to;
    int source, sink; /* the far ends, non-blocking */
    struct flow flow;
    struct flow_fault fault;
    uint64_t delivered;
    uint64_t fed, taken;
};

enum rig_kind { RIG_UNIX, RIG_TCP };

void rig_open(struct rig *rig, enum rig_kind kind, enum pump pump);
void rig_close(struct rig *rig);

/* Instead of sockets: from the descriptor `source`, of which the other end is not the rig's, to
 * `sink`. Both belong to the rig from here on. */
void rig_open_files(struct rig *rig, int source, int sink, enum pump pump);

/* One turn of the loop, which learns what has happened; then the flow's. */
enum flow_state rig_run(struct rig *rig);

/* Turns until that state, under a deadline. */
void rig_run_until(struct rig *rig, enum flow_state state);

/* Writes up to `length` bytes, as many as the source takes at once. Returns how many. */
size_t rig_feed(struct rig *rig, size_t length);

/* Reads up to `length` bytes, as many as have arrived. Returns how many, 0 at EOF, -1 where there
 * are none now. */
ssize_t rig_take(struct rig *rig, size_t length);

/* Feeds until neither the source nor the flow takes any more. */
void rig_stuff(struct rig *rig);

/* Runs and takes until `total` bytes were taken. */
void rig_take_until(struct rig *rig, uint64_t total);

/* Ends, or breaks, the far ends. */
void rig_end_source(struct rig *rig);
void rig_close_sink(struct rig *rig);
void rig_reset_source(struct rig *rig);

#endif
