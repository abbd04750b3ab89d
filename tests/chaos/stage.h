/* A scenario that runs: the relay with its configuration, and what is done to it meanwhile. For
 * scenario.c alone, which leads it from begin to end. */
#ifndef CHAOS_STAGE_H
#define CHAOS_STAGE_H

#include "../lib/os.h"
#include "../lib/relay.h"
#include "journal.h"
#include "plan.h"
#include "sharers.h"
#include "standing.h"

#include <stdio.h>

enum { RELOADS_MAX = 8 };

/* What the relay uses when it has no session. */
struct usage {
    struct os_descriptors open;
    unsigned threads;
};

struct scenario {
    struct plan plan;
    uint64_t random;
    struct relay *relay;
    struct journal journal;
    char path[200]; /* of the configuration */
    struct crowd crowd;
    bool soaks; /* the relay lives through many rounds */
    struct standing standing;
    struct sharers sharers;
    uint64_t standing_before; /* bytes of the scenarios before */
    unsigned listening;       /* sockets that the relay listens on */
    int sockets;              /* it has open besides those and its sessions' */
    struct usage at_rest;     /* as it was ready */
    bool ending;              /* the relay has been told to end: no session begins any more */
    bool names_stall;         /* the name server answers nobody */
    unsigned held;            /* steps that the relay still gets no time to run */

    /* A reload that the relay has not told the end of yet. */
    bool reloading;
    enum mistake mistake;
    struct listener *in_the_way; /* of a reload: it has the address of a new forward */
    unsigned reloads;
    size_t log_mark;
};

/* ---- stage.c ---- */

/* Writes the configuration for the lanes as they are, and with that mistake. */
void stage_write_config(struct scenario *scenario, enum mistake mistake);

/* Opens the lanes and starts the relay, and the sessions that stand. */
void stage_open(struct scenario *scenario, const char *program);
void stage_close(struct scenario *scenario);

/* May this lane be left out of the configuration for a while? */
bool stage_may_be_absent(const struct scenario *scenario, const struct lane *lane);

struct usage stage_usage(const struct scenario *scenario);

/* ---- account.c ---- */

/* After the relay's exit, where all of its log is there: what it says of its sessions must go with
 * what their ends know. Each ends once, and delivers what has come and no more than was sent. */
void account_check(struct scenario *scenario);

/* ---- describe.c ---- */

/* What was drawn, and how far it is. */
void describe(FILE *file, const struct scenario *scenario);

/* ---- meddle.c ---- */

/* Restarts a target, reloads, ends the relay: whatever the plan has for this step. */
void meddle(struct scenario *scenario);

/* The relay gets no time to run, as on a busy machine, for some steps or until it is let go; then
 * the name server answers again, too. */
void meddle_hold(struct scenario *scenario);
void meddle_let_go(struct scenario *scenario);

/* Lanes that come are used once the relay says that it has them. */
void meddle_reload(struct scenario *scenario, enum mistake mistake);

#endif
