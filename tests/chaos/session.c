#include "session.h"

#include "../lib/pattern.h"
#include "../lib/random.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOVE_MAX = 256 * 1024 };

struct session_totals session_totals;

static unsigned char buffer[MOVE_MAX];
static const char *const side_names[] = {"client", "target"};

void session_note(struct session *session, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(session->history[session->told++ % HISTORY_LINES], HISTORY_WIDTH, format, args);
    va_end(args);
}

static void print_end(const struct session *session, int side)
{
    static const char *const finishes[] = {"ends", "closes", "stalls"};
    static const char *const cames[] = {"nothing", "EOF", "RESET"};
    const struct end *end = &session->end[side];

    fprintf(stderr,
            "    %s (%s, stream %" PRIu32 "): sent %" PRIu64 " of %" PRIu64
            ", then %s; received %" PRIu64 ", then %s%s%s%s\n",
            side_names[side], end->family->name, end->stream, end->sent, end->plan.size,
            finishes[end->plan.finish], end->received, cames[end->came],
            end->ended ? "; has ended" : "", end->closed ? "; has closed" : "",
            end->aborted ? "; has aborted" : "");
}

void session_print(const struct session *session)
{
    unsigned first = session->told > HISTORY_LINES ? session->told - HISTORY_LINES : 0;

    fprintf(stderr, "  session %u on %s, since step %" PRIu64 "%s%s%s\n", session->number,
            session->lane, session->started, session->opening ? ", target not seen yet" : "",
            session->breakable ? ", may break: " : "",
            session->breakable ? session->breakable : "");
    print_end(session, CLIENT);
    print_end(session, TARGET);
    for (unsigned i = first; i < session->told; i++)
        fprintf(stderr, "      %s\n", session->history[i % HISTORY_LINES]);
}

void chaos_fail(const struct session *session, const char *format, ...)
{
    va_list args;
    fprintf(stderr, "FAILED: ");
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fprintf(stderr, "\n");
    if (session != NULL)
        session_print(session);
    exit(1);
}

bool session_may_break(const struct session *session)
{
    return session->breakable != NULL || session->end[CLIENT].aborted ||
           session->end[TARGET].aborted || session->end[CLIENT].closed ||
           session->end[TARGET].closed;
}

const char *session_eof_fault(const struct session *session, int side, uint64_t received)
{
    const struct end *to = &session->end[side], *from = &session->end[!side];
    bool complete = received == from->sent && (from->ended || from->closed || from->aborted);

    if (!to->family->sees_reset && session_may_break(session))
        return NULL;
    if (complete && from->aborted && !from->ended && from->family->resets == RESETS_ALWAYS)
        return "the other side's reset came as a clean end of file";
    if (complete)
        return NULL;
    if (received < from->sent)
        return "a clean end of file before all bytes had come";
    return "a clean end of file, but the other side has not ended";
}

void session_init(struct session *session, unsigned number, const char *lane, uint64_t step,
                  struct peer *client, const struct end_plan plans[2], const struct family *front,
                  const struct family *back)
{
    static uint32_t streams;

    *session = (struct session){.number = number, .lane = lane, .started = step, .opening = true};
    for (int side = CLIENT; side <= TARGET; side++) {
        struct end *end = &session->end[side];
        end->family = side == CLIENT ? front : back;
        end->plan = plans[side];
        end->stream = streams++ % (PATTERN_STREAMS - 1) + 1;
        end->random = end->stream * UINT64_C(0x9E3779B97F4A7C15) | 1;
    }
    session->end[CLIENT].peer = client;
    session_totals.sessions++;
    session_note(session, "step %" PRIu64 ": the client has connected", step);
}

void session_meet(struct session *session, struct peer *target, uint64_t received, uint64_t step)
{
    session->end[TARGET].peer = target;
    session->end[TARGET].received = received;
    session->opening = session->over = false;
    session_note(session, "step %" PRIu64 ": the target is there", step);
}

/* Where no side has a peer any more the session is over, but for a target that is still to come. */
static void settle(struct session *session)
{
    session->over = session->end[CLIENT].peer == NULL && session->end[TARGET].peer == NULL;
}

static void leave(struct session *session, int side, const char *how)
{
    session_note(session, "%s: %s", side_names[side], how);
    peer_close(session->end[side].peer);
    session->end[side].peer = NULL;
    settle(session);
}

static void abort_end(struct session *session, int side)
{
    struct end *end = &session->end[side];

    session_note(session, "%s: aborts at %" PRIu64 "/%" PRIu64, side_names[side], end->sent,
                 end->received);
    session_totals.aborts++;
    end->aborted = true;
    peer_abort(end->peer);
    end->peer = NULL;
    settle(session);
}

void session_drop(struct session *session)
{
    for (int side = CLIENT; side <= TARGET; side++) {
        peer_close(session->end[side].peer);
        session->end[side].peer = NULL;
    }
    session->over = true;
}

static void take_reset(struct session *session, int side, const char *call)
{
    struct end *end = &session->end[side];

    if (!session_may_break(session))
        chaos_fail(session, "%s: a reset (told by %s), and nothing broke the session",
                   side_names[side], call);
    end->came = CAME_RESET;
    session_totals.resets++;
    leave(session, side, call);
}

static void take_eof(struct session *session, int side)
{
    struct end *end = &session->end[side];
    const char *fault = session_eof_fault(session, side, end->received);

    if (fault != NULL)
        chaos_fail(session, "%s: %s: %" PRIu64 " of %" PRIu64, side_names[side], fault,
                   end->received, session->end[!side].sent);
    end->came = CAME_EOF;
    session_totals.ends_of_file++;
    session_note(session, "%s: EOF after %" PRIu64, side_names[side], end->received);
}

static void rest(struct end *end)
{
    if (random_next(&end->random) % 256 < end->plan.pause_chance)
        end->pause = (unsigned)(random_next(&end->random) % (end->plan.pause_max + 1));
}

static void finish_sending(struct session *session, int side, uint64_t step)
{
    struct end *end = &session->end[side];

    if (end->plan.finish == FINISH_END) {
        end->ended = true;
        if (end->plan.abort_after_end != NEVER)
            end->plan.abort_step = step + end->plan.abort_after_end;
        peer_end_sending(end->peer);
        session_note(session, "%s: ends after %" PRIu64, side_names[side], end->sent);
    } else if (end->plan.finish == FINISH_CLOSE) {
        end->closed = true;
        leave(session, side, "closes");
    }
}

static bool wants_to_abort(const struct end *end, uint64_t step)
{
    return end->sent >= end->plan.abort_sent || end->received >= end->plan.abort_received ||
           step >= end->plan.abort_step;
}

/* A stalling end, or one that reads no more, goes once the other side has ended. */
static bool is_done(const struct end *end)
{
    return end->came == CAME_EOF && (end->ended || end->plan.finish == FINISH_STALL) &&
           (end->sent == end->plan.size);
}

bool session_prepare(struct session *session, int side, uint64_t step, struct peer_want *want)
{
    struct end *end = &session->end[side];
    bool sending = !end->ended && end->sent < end->plan.size;

    *want = (struct peer_want){.peer = NULL};
    if (end->peer == NULL)
        return false;
    if (wants_to_abort(end, step)) {
        abort_end(session, side);
        return true;
    }
    if (!sending && !end->ended && end->plan.finish != FINISH_STALL) {
        finish_sending(session, side, step);
        return true;
    }
    if (is_done(end)) {
        if (end->plan.finish == FINISH_STALL)
            end->closed = true;
        leave(session, side, "is done");
        return true;
    }
    if (end->pause > 0) {
        end->pause--;
        return true;
    }
    want->peer = end->peer;
    want->write = sending;
    want->read = end->came == CAME_NOTHING && step >= end->plan.first_read;
    return false;
}

static bool send_some(struct session *session, int side)
{
    struct end *end = &session->end[side];
    uint64_t len = random_next(&end->random) % end->plan.write_max + 1;
    long n;

    if (len > end->plan.size - end->sent)
        len = end->plan.size - end->sent;
    if (end->plan.abort_sent != NEVER && len > end->plan.abort_sent - end->sent)
        len = end->plan.abort_sent - end->sent;
    pattern_fill(end->stream, end->sent, buffer, (size_t)len);
    if (random_next(&end->random) % 256 < end->plan.urgent_chance)
        n = peer_send_urgent(end->peer, buffer, (size_t)len);
    else
        n = peer_send(end->peer, buffer, (size_t)len);
    if (n == PEER_RESET) {
        take_reset(session, side, "send: reset");
        return true;
    }
    if (n > 0) {
        end->sent += (uint64_t)n;
        session_note(session, "%s: sent %ld, %" PRIu64, side_names[side], n, end->sent);
        rest(end);
    }
    return n > 0;
}

static void check_bytes(struct session *session, int side, size_t len)
{
    const struct end *end = &session->end[side], *from = &session->end[!side];
    size_t right = pattern_check(from->stream, end->received, buffer, len);
    uint32_t stream = 0;
    uint64_t offset = 0;

    if (right == len && len <= from->sent - end->received)
        return;
    session_note(session, "%s: %zu bytes came, %" PRIu64 " had been sent", side_names[side], len,
                 from->sent - end->received);
    if (right == len)
        chaos_fail(session, "%s: bytes came before they were sent", side_names[side]);
    /* The first five bytes of a word are those of many streams. */
    if (pattern_locate(buffer + right, len - right, &stream, &offset) ||
        pattern_locate(buffer, len, &stream, &offset))
        chaos_fail(session,
                   "%s: a wrong byte at %" PRIu64 ": what comes is stream %" PRIu32 " from %" PRIu64
                   ", and should be stream %" PRIu32,
                   side_names[side], end->received + right, stream, offset, from->stream);
    chaos_fail(session, "%s: a wrong byte at %" PRIu64, side_names[side], end->received + right);
}

static bool receive_some(struct session *session, int side)
{
    struct end *end = &session->end[side];
    size_t most = (size_t)(random_next(&end->random) % end->plan.read_max + 1);
    long n = peer_recv(end->peer, buffer, most);

    if (n == PEER_LATER)
        return false;
    if (n == PEER_RESET) {
        take_reset(session, side, "recv: reset");
    } else if (n == PEER_EOF) {
        take_eof(session, side);
    } else {
        check_bytes(session, side, (size_t)n);
        end->received += (uint64_t)n;
        session_totals.bytes += (uint64_t)n;
        session_note(session, "%s: received %ld, %" PRIu64, side_names[side], n, end->received);
        rest(end);
    }
    return true;
}

bool session_act(struct session *session, int side, const struct peer_want *want)
{
    bool moved = false;

    if (want->can_write)
        moved = send_some(session, side);
    if (want->can_read && session->end[side].peer != NULL)
        moved = receive_some(session, side) || moved;
    return moved;
}
