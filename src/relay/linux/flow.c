#include "flow.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    SMALL_READ = 64 * 1024,  /* bytes asked for while a direction is small */
    BULK_READ = 16 * 1024,   /* less than this is small for a bulk one */
    BULK_STREAK = 3,         /* such reads in a row make it bulk, or small again */
    TURN_SHARE = 256 * 1024, /* bytes after which the other sessions get their turn */
    DRAIN_MOST = 16 << 20    /* from a source that has failed: more than a socket holds */
};

/* What was read by copy and is not yet written. */
struct held {
    uint32_t start, end;
    unsigned char bytes[];
};

void flow_init(struct flow *flow, struct conn *from, struct conn *to, enum pump pump,
               uint64_t *delivered)
{
    *flow = (struct flow){
        .from = from,
        .to = to,
        .pump = (uint8_t)pump,
        .delivered = delivered,
        /* The kernel copies out of a vsock socket page by page: large reads cost a part of it. */
        .splice_refused = pump == PUMP_AUTO && from->family == FAMILY_VSOCK,
    };
}

uint64_t flow_pending(const struct flow *flow)
{
    return (flow->held ? flow->held->end - flow->held->start : 0) +
           (flow->pipe ? flow->pipe->length : 0);
}

static void drop_pipe(struct flow *flow, struct pumps *pumps)
{
    if (flow->pipe)
        pipe_give(&pumps->pool, flow->pipe);
    flow->pipe = NULL;
}

void flow_close(struct flow *flow, struct pumps *pumps)
{
    drop_pipe(flow, pumps);
    free(flow->held);
    flow->held = NULL;
}

static struct held *make_held(size_t length)
{
    struct held *held = malloc(sizeof *held + length);

    if (held)
        *held = (struct held){.end = (uint32_t)length};
    return held;
}

/* Keeps a copy of what the receiver did not take. */
static int hold(struct flow *flow, const unsigned char *bytes, size_t length)
{
    flow->held = make_held(length);
    if (!flow->held)
        return -ENOMEM;
    memcpy(flow->held->bytes, bytes, length);
    return 0;
}

/* Writes until all is gone, the receiver is full, or it fails (*error). Returns the bytes written.
 */
static size_t write_some(struct flow *flow, const unsigned char *bytes, size_t length, int *error)
{
    size_t written = 0;

    while (written < length && flow->to->writable && *error == 0) {
        ssize_t count = conn_write(flow->to, bytes + written, length - written);

        if (count >= 0)
            written += (size_t)count;
        else if (count != -EAGAIN)
            *error = (int)count;
    }
    *flow->delivered += written;
    return written;
}

static int flush_held(struct flow *flow)
{
    struct held *held = flow->held;
    int error = 0;

    held->start +=
        (uint32_t)write_some(flow, held->bytes + held->start, held->end - held->start, &error);
    if (held->start == held->end) {
        free(held);
        flow->held = NULL;
    }
    return error;
}

/* The receiver takes no splice (a file opened to append, say): what is in the pipe goes on as if it
 * had been read by copy. */
static int unload_pipe(struct flow *flow)
{
    struct pipe *pipe = flow->pipe;
    struct held *held = make_held(pipe->length);
    ssize_t count = held ? read(pipe->read_end, held->bytes, pipe->length) : -1;

    flow->splice_refused = true;
    if (count != (ssize_t)pipe->length) {
        free(held);
        return held ? -EIO : -ENOMEM;
    }
    flow->held = held;
    pipe->length = 0;
    return flush_held(flow);
}

static int flush_pipe(struct flow *flow)
{
    struct pipe *pipe = flow->pipe;

    while (pipe->length > 0 && flow->to->writable) {
        ssize_t count = splice(pipe->read_end, NULL, flow->to->wfd, NULL, pipe->length,
                               SPLICE_F_MOVE | SPLICE_F_NONBLOCK);

        if (count < 0 && errno == EAGAIN)
            flow->to->writable = false;
        else if (count < 0 && errno == EINVAL)
            return unload_pipe(flow);
        else if (count < 0 && errno != EINTR)
            return -errno;
        if (count > 0) {
            pipe->length -= (size_t)count;
            *flow->delivered += (uint64_t)count;
        }
    }
    return 0;
}

/* Delivers what is held. Returns 0 (flow_pending tells whether anything is left) or -errno. */
static int flush(struct flow *flow)
{
    if (flow->held)
        return flush_held(flow);
    if (flow->pipe)
        return flush_pipe(flow);
    return 0;
}

/* A direction becomes bulk by full reads in a row. It reads less whenever it has drained its
 * socket, so it takes as many really small ones to make it small again. */
static void note_read(struct flow *flow, ssize_t count)
{
    bool large = count >= (flow->bulk ? BULK_READ : SMALL_READ);

    if (large == flow->bulk) {
        flow->streak = 0;
    } else if (++flow->streak == BULK_STREAK) {
        flow->streak = 0;
        flow->bulk = large;
    }
}

/* Moves one buffer, at most `most` bytes. Returns the bytes read, 0 at EOF, or -errno of the
 * reading side; an error of the writing side goes to *write_error. */
static ssize_t copy_once(struct flow *flow, struct pumps *pumps, size_t most, int *write_error)
{
    size_t want = flow->bulk ? BUFFER_SIZE : SMALL_READ;
    ssize_t count = conn_read(flow->from, pumps->buffer, want < most ? want : most);
    size_t written;

    if (count <= 0)
        return count;
    note_read(flow, count);
    written = write_some(flow, pumps->buffer, (size_t)count, write_error);
    if (written < (size_t)count &&
        hold(flow, pumps->buffer + written, (size_t)count - written) != 0)
        *write_error = -ENOMEM;
    return count;
}

/* Fills the (empty) pipe, up to `most` bytes. With an empty pipe EAGAIN can only mean that there is
 * nothing to read. */
static ssize_t splice_once(struct flow *flow, size_t most)
{
    struct pipe *pipe = flow->pipe;
    size_t want = pipe->capacity < most ? pipe->capacity : most;
    ssize_t count;

    do
        count = splice(flow->from->rfd, NULL, pipe->write_end, NULL, want,
                       SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
    while (count < 0 && errno == EINTR);
    if (count < 0) {
        if (errno == EAGAIN)
            conn_drained(flow->from);
        return -errno;
    }
    pipe->length = (size_t)count;
    note_read(flow, count);
    return count;
}

/* Which path the next read takes. `auto` waits for a direction to prove that it is bulk. */
static bool wants_splice(const struct flow *flow)
{
    if (flow->splice_refused || flow->pump == PUMP_COPY || flow->from->urgent)
        return false;
    return flow->pump == PUMP_SPLICE || flow->bulk;
}

/* Reads once, by splice where it suits and can be had, else by copy. */
static ssize_t move_once(struct flow *flow, struct pumps *pumps, size_t most, int *write_error)
{
    ssize_t count;

    if (wants_splice(flow) && !flow->pipe)
        flow->pipe = pipe_take(&pumps->pool);
    else if (!wants_splice(flow))
        drop_pipe(flow, pumps);
    if (!flow->pipe)
        return copy_once(flow, pumps, most, write_error);
    count = splice_once(flow, most);
    if (count == -EINVAL) { /* this kernel can't splice from this family; the pipe is empty */
        flow->splice_refused = true;
        drop_pipe(flow, pumps);
    } else if (count != 0 || flow->from->family != FAMILY_TCP) {
        return count;
    }
    /* Or an EOF, which splice tells before an urgent byte, too (tcp_splice_read). */
    return copy_once(flow, pumps, most, write_error);
}

/* All is delivered: passes the EOF on. A vsock or unix peer that has closed both halves leaves
 * ENOTCONN, and no harm is done; after a reset of the transport there is an error beside it. */
static enum flow_state end(struct flow *flow, struct flow_fault *fault)
{
    int error = conn_shutdown(flow->to);

    if (error == -ENOTCONN && flow->to->family != FAMILY_TCP)
        error = conn_take_error(flow->to);
    if (error != 0) {
        *fault = (struct flow_fault){flow->to, error, false};
        return FLOW_BROKEN;
    }
    flow->ended = true;
    return FLOW_ENDED;
}

/* How many bytes the next read may take; 0: none for `wait`. */
static size_t allowance(struct flow *flow)
{
    uint64_t wait = 0, most;

    if (!flow->limit)
        return SIZE_MAX;
    most = limit_ask(flow->limit, BUFFER_SIZE, &wait);
    flow->wait = (uint32_t)wait;
    return (size_t)most;
}

/* The loop of flow_run and flow_drain, for about `share` bytes; never returns FLOW_ENDED. */
static enum flow_state move(struct flow *flow, struct pumps *pumps, uint64_t share,
                            struct flow_fault *fault)
{
    uint64_t stop = *flow->delivered + share;

    for (;;) {
        int error = flush(flow);
        size_t most;
        ssize_t count;

        if (error == 0 && flow_pending(flow) > 0)
            return FLOW_WAITS;
        if (error == 0 && !flow->eof && *flow->delivered >= stop)
            return FLOW_MORE;
        if (error == 0 && (flow->eof || !flow->from->readable)) {
            drop_pipe(flow, pumps);
            return FLOW_WAITS;
        }
        most = allowance(flow);
        if (error == 0 && most == 0) {
            drop_pipe(flow, pumps);
            return FLOW_LATER;
        }
        count = error == 0 ? move_once(flow, pumps, most, &error) : 0;
        if (count == -ENOTCONN && conn_has_ended(flow->from))
            count = 0;
        if (count > 0 && flow->limit)
            limit_pay(flow->limit, (uint64_t)count);
        if (error != 0) {
            *fault = (struct flow_fault){flow->to, error, false};
            return FLOW_BROKEN;
        }
        if (count < 0 && count != -EAGAIN) {
            *fault = (struct flow_fault){flow->from, (int)count, true};
            return FLOW_BROKEN;
        }
        flow->eof = count == 0;
    }
}

enum flow_state flow_run(struct flow *flow, struct pumps *pumps, struct flow_fault *fault)
{
    enum flow_state state;

    if (flow->ended)
        return FLOW_ENDED;
    state = move(flow, pumps, TURN_SHARE, fault);
    if (state == FLOW_WAITS && flow->eof && flow_pending(flow) == 0)
        return end(flow, fault);
    return state;
}

void flow_drain(struct flow *flow, struct pumps *pumps)
{
    struct flow_fault ignored;

    if (flow->ended)
        return;
    flow->limit = NULL;
    flow->from->readable = flow->to->writable = true;
    (void)move(flow, pumps, DRAIN_MOST, &ignored);
}
