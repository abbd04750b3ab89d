/* How gates wait at a limit and are woken (forward.c, gate.c, worker.c), as a model: every order in
 * which the threads' steps can come is tried. A step is what is atomic in the program. In no order
 * may everything come to rest while a client waits and there is room for it.
 *
 * The model can fail: with each of the mistakes below it does. */
#include "unit.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum mistake {
    NONE,
    ADD_THEN_UNDO,     /* a count goes above its limit for a moment */
    NO_SECOND_ASK,     /* a gate that has announced itself waits without asking again */
    TELL_BEFORE_LEAVE, /* the gates are woken before the place is free */
    SILENT_RETRACT,    /* a place that nobody came for is given back without a word */
    WAKE_ONE,          /* of the gates, and not all */
    NO_RETRY,          /* who lost a race for one count gives up, and does not ask again */
};

enum { GATES = 3, FORWARDS = 2, SESSIONS = 2 }; /* at most; each count has a limit of 1 */

/* Where a thread is. The letters are counts: F of the forward, T of all forwards, D of descriptors,
 * which come last. */
enum step {
    IDLE,
    CHECK_F,
    CHECK_T,
    CHECK_D,
    TAKE_F,
    TAKE_T,
    TAKE_D,
    UNDO_T,
    UNDO_F,
    ADD_F,
    ADD_T,
    ADD_D,
    UNADD_D,
    UNADD_T,
    UNADD_F,
    REFUSED,
    ACCEPT,
    HELD, /* a session: it may end at any time */
    LEAVE_F,
    LEAVE_T,
    LEAVE_D,
    TELL, /* is anybody announced? */
    WAKE, /* all gates: in which order makes no difference, as they need not act at once */
};

struct state {
    uint8_t gates[GATES], sessions[SESSIONS]; /* where their threads are */
    bool waiting[GATES]; /* on the thread of the gate, and counted in `announced` */
    bool woken[GATES];   /* there is a message for it */
    uint8_t owner[SESSIONS];
    uint8_t announced;
    uint8_t count[FORWARDS], total, descriptors;
    uint8_t queue[FORWARDS]; /* clients that wait to be accepted */
    uint8_t spurious;        /* times that a gate is still woken for a client that another takes */
};

struct model {
    enum mistake mistake;
    int gates;
    uint8_t forward[GATES]; /* of each gate */
    struct state *states;
    size_t count, done, room;
    uint32_t *table; /* index + 1 into states */
    size_t slots;
    bool stuck;
};

static size_t hash_of(const struct state *state)
{
    const unsigned char *bytes = (const unsigned char *)state;
    uint64_t hash = 14695981039346656037U;

    for (size_t i = 0; i < sizeof *state; i++)
        hash = (hash ^ bytes[i]) * 1099511628211U;
    return (size_t)(hash ^ hash >> 32);
}

static void reach(struct model *model, const struct state *state)
{
    size_t slot = hash_of(state) % model->slots;

    for (; model->table[slot]; slot = (slot + 1) % model->slots) {
        if (memcmp(&model->states[model->table[slot] - 1], state, sizeof *state) == 0)
            return;
    }
    if (model->count == model->room)
        fail_msg("more than %zu states", model->room);
    model->states[model->count++] = *state;
    model->table[slot] = (uint32_t)model->count;
}

static enum step begin_ask(const struct model *model)
{
    return model->mistake == ADD_THEN_UNDO ? ADD_F : CHECK_F;
}

static enum step begin_leave(const struct model *model)
{
    return model->mistake == TELL_BEFORE_LEAVE ? TELL : LEAVE_F;
}

/* What is at the end of an ask that found no room: forward_enter has returned ENTRY_FULL. */
static enum step refuse(const struct model *model, struct state *state, int gate)
{
    if (state->waiting[gate])
        return IDLE;
    state->waiting[gate] = true;
    state->announced++;
    return model->mistake == NO_SECOND_ASK ? IDLE : begin_ask(model);
}

static enum step grant(struct state *state, int gate)
{
    if (state->waiting[gate])
        state->announced--;
    state->waiting[gate] = false;
    return ACCEPT;
}

/* One step of an ask. */
static enum step ask(const struct model *model, struct state *state, int gate, enum step step)
{
    uint8_t *count = &state->count[model->forward[gate]];
    const enum step lost = model->mistake == NO_RETRY ? REFUSED : begin_ask(model);

    switch (step) {
    case CHECK_F:
        return *count >= 1 ? REFUSED : CHECK_T;
    case CHECK_T:
        return state->total >= 1 ? REFUSED : CHECK_D;
    case CHECK_D:
        return state->descriptors >= 1 ? REFUSED : TAKE_F;
    case TAKE_F:
        if (*count >= 1)
            return lost;
        ++*count;
        return TAKE_T;
    case TAKE_T:
        if (state->total >= 1)
            return UNDO_F;
        state->total++;
        return TAKE_D;
    case TAKE_D:
        if (state->descriptors >= 1)
            return UNDO_T;
        state->descriptors++;
        return grant(state, gate);
    case UNDO_T:
        state->total--;
        return UNDO_F;
    case UNDO_F:
        --*count;
        return lost;
    case ADD_F:
        return (*count)++ < 1 ? ADD_T : UNADD_F;
    case ADD_T:
        return state->total++ < 1 ? ADD_D : UNADD_T;
    case ADD_D:
        return state->descriptors++ < 1 ? grant(state, gate) : UNADD_D;
    case UNADD_D:
        state->descriptors--;
        return UNADD_T;
    case UNADD_T:
        state->total--;
        return UNADD_F;
    case UNADD_F:
        --*count;
        return REFUSED;
    default:
        return refuse(model, state, gate);
    }
}

/* One step of whoever gives a place back. */
static void leave(const struct model *model, struct state *state, uint8_t *thread, uint8_t forward,
                  bool silent)
{
    const bool tell_first = model->mistake == TELL_BEFORE_LEAVE;
    const enum step told = tell_first ? LEAVE_F : IDLE;

    switch (*thread) {
    case LEAVE_F:
        state->count[forward]--;
        *thread = LEAVE_T;
        return;
    case LEAVE_T:
        state->total--;
        *thread = LEAVE_D;
        return;
    case LEAVE_D:
        state->descriptors--;
        *thread = silent || tell_first ? IDLE : TELL;
        return;
    case TELL:
        *thread = state->announced > 0 ? WAKE : (uint8_t)told;
        return;
    default:
        for (int i = 0; i < model->gates; i++)
            state->woken[i] = true;
        if (model->mistake == WAKE_ONE)
            memset(state->woken + 1, 0, sizeof state->woken - 1);
        *thread = (uint8_t)told;
    }
}

/* False: there are as many sessions that end as the model has room for. */
static bool accept_client(const struct model *model, struct state *state, int gate)
{
    uint8_t *thread = &state->gates[gate];
    uint8_t forward = model->forward[gate];

    if (state->queue[forward] == 0) {
        *thread = (uint8_t)begin_leave(model);
        return true;
    }
    for (int i = 0; i < SESSIONS; i++) {
        if (state->sessions[i] != IDLE)
            continue;
        state->queue[forward]--;
        state->sessions[i] = HELD;
        state->owner[i] = forward;
        *thread = IDLE;
        return true;
    }
    return false;
}

/* A loop takes its messages, or sees a client. False: it sleeps. */
static bool idle(const struct model *model, struct state *state, int gate)
{
    if (state->woken[gate]) {
        state->woken[gate] = false;
        if (state->waiting[gate])
            state->announced--;
        state->waiting[gate] = false;
        return true;
    }
    if (state->waiting[gate])
        return false;
    if (state->queue[model->forward[gate]] == 0) {
        if (state->spurious == 0)
            return false;
        state->spurious--;
    }
    state->gates[gate] = (uint8_t)begin_ask(model);
    return true;
}

/* False where this gate's thread can't go on. */
static bool step_gate(const struct model *model, struct state *state, int gate)
{
    uint8_t *thread = &state->gates[gate];

    if (*thread == IDLE)
        return idle(model, state, gate);
    if (*thread == ACCEPT)
        return accept_client(model, state, gate);
    if (*thread > HELD)
        leave(model, state, thread, model->forward[gate], model->mistake == SILENT_RETRACT);
    else
        *thread = (uint8_t)ask(model, state, gate, (enum step) * thread);
    return true;
}

static bool step_session(const struct model *model, struct state *state, int session)
{
    uint8_t *thread = &state->sessions[session];

    if (*thread == IDLE)
        return false;
    if (*thread == HELD)
        *thread = (uint8_t)begin_leave(model);
    else
        leave(model, state, thread, state->owner[session], false);
    if (*thread == IDLE)
        state->owner[session] = 0;
    return true;
}

/* All that can come after this state. Where nothing can, nobody may be left waiting. */
static void explore(struct model *model, const struct state *now)
{
    const struct state from = *now;
    bool rests = true;

    for (int i = 0; i < model->gates + SESSIONS; i++) {
        struct state next = from;
        bool goes = i < model->gates ? step_gate(model, &next, i)
                                     : step_session(model, &next, i - model->gates);

        if (goes)
            reach(model, &next);
        rests = rests && !goes;
    }
    if (!rests)
        return;
    if (model->mistake == NONE) {
        assert_int_equal(from.total + from.descriptors, 0);
        for (int i = 0; i < FORWARDS; i++)
            assert_int_equal(from.count[i], 0);
    }
    for (int i = 0; i < model->gates; i++)
        model->stuck = model->stuck || from.queue[model->forward[i]] > 0;
}

/* Does a client wait for ever, in some order of the steps? At first there is one session, of the
 * first gate's forward. */
static bool gets_stuck(enum mistake mistake, int gates, const uint8_t *forward,
                       const uint8_t *queue)
{
    struct model model = {.mistake = mistake, .gates = gates, .room = 3000000, .slots = 8000009};
    struct state first;
    bool stuck;

    memset(&first, 0, sizeof first);
    memcpy(model.forward, forward, (size_t)gates);
    first.sessions[0] = HELD;
    first.count[forward[0]] = first.total = first.descriptors = 1;
    first.owner[0] = forward[0];
    first.spurious = 1;
    memcpy(first.queue, queue, sizeof first.queue);
    model.states = malloc(model.room * sizeof *model.states);
    model.table = calloc(model.slots, sizeof *model.table);
    assert_non_null(model.states);
    assert_non_null(model.table);
    reach(&model, &first);
    while (model.done < model.count && !model.stuck)
        explore(&model, &model.states[model.done++]);
    stuck = model.stuck;
    print_message("%zu states\n", model.count);
    free(model.states);
    free(model.table);
    return stuck;
}

/* A client that none is left for may wake one gate beside these. */
static const struct {
    int gates;
    uint8_t forward[GATES], queue[FORWARDS];
} crews[] = {
    {2, {0, 0}, {2}},
    {2, {0, 1}, {0, 2}},
    {2, {0, 1}, {1, 1}},
    {3, {0, 0, 1}, {1, 1}},
};

static bool ever_gets_stuck(enum mistake mistake)
{
    bool stuck = false;

    for (size_t i = 0; i < LENGTH(crews) && !stuck; i++)
        stuck = gets_stuck(mistake, crews[i].gates, crews[i].forward, crews[i].queue);
    return stuck;
}

static void nobody_waits_beside_a_free_place(void **state)
{
    (void)state;
    assert_false(ever_gets_stuck(NONE));
}

static void each_mistake_is_found(void **state)
{
    (void)state;
    for (int mistake = ADD_THEN_UNDO; mistake <= NO_RETRY; mistake++) {
        if (!ever_gets_stuck((enum mistake)mistake))
            fail_msg("the model does not find mistake %d", mistake);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nobody_waits_beside_a_free_place),
        cmocka_unit_test(each_mistake_is_found),
    };

    return cmocka_run_group_tests_name("room_model", tests, NULL, NULL);
}
