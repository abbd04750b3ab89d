/* Two halves: threads that log fill one, the writer empties the other, and takes the filled one
 * when it is done. So nothing is written under the lock, and while the log flows, only the first
 * pages of either half are used. */

#include "base/log_queue.h"

#include "base/log_output.h"
#include "base/log_sink.h"

#include <stdatomic.h>
#include <string.h>
#include <uv.h>

/* A writer that is asked to give up looks after LOG_OUTPUT_WAIT, or is in a write that does not
 * end: then it is left behind. */
enum { HALF = LOG_QUEUE / 2, GIVE_UP_TIME = 5 * LOG_OUTPUT_WAIT };

/* After a write the writer naps, and what comes meanwhile goes out together: to wake it for each
 * line would cost more than the line. */
enum { NAP = 5 }; /* ms */

static const size_t queue_head = offsetof(struct log_line, bytes);

enum { MOST_SWITCHES = 8 }; /* in one half; the last one gives way to those after it */

/* Lines from there on go to another target. */
struct queue_switch {
    size_t at;
    struct log_target *target;
};

struct half {
    _Alignas(struct log_line) char bytes[HALF]; /* the beginnings of struct log_line */
    size_t used;
    uint64_t lost;                               /* lines that came after, and found no room */
    struct queue_switch switches[MOST_SWITCHES]; /* in their order */
    size_t switch_count;
    size_t switches_done; /* the writer's */
};

static enum { QUEUE_DIRECT, QUEUE_RUNS, QUEUE_CLOSED } queue_state;
static struct half queue_halves[2];
static struct half *queue_filled = &queue_halves[0];  /* under the lock */
static struct half *queue_written = &queue_halves[1]; /* the writer's */
static bool queue_naps, queue_stopping, queue_ended;
static _Atomic bool queue_gives_up;
static uv_once_t queue_once = UV_ONCE_INIT;
static uv_mutex_t queue_lock;
static uv_cond_t queue_changed; /* for the writer, and for log_queue_stop */
static uv_thread_t queue_writer;

static void queue_init(void)
{
    uv_mutex_init(&queue_lock);
    uv_cond_init(&queue_changed);
}

static size_t queue_room(const struct log_line *line)
{
    const size_t align = _Alignof(struct log_line);

    return (queue_head + line->line_size + line->event_size + align - 1) / align * align;
}

static bool queue_wait_for_ever(void)
{
    return true;
}

/* Once a line is lost, so are all until the writer comes back: the gap is one, and in one place.
 * Returns true if the writer is to be woken: for the first line, or so that none is lost. */
static bool queue_append(const struct log_line *line)
{
    struct half *half = queue_filled;
    size_t room = queue_room(line), before = half->used;

    if (half->lost > 0 || room > HALF - before) {
        half->lost++;
        return false;
    }
    memcpy(half->bytes + before, line, queue_head + line->line_size + line->event_size);
    half->used += room;
    return queue_naps ? before < HALF / 2 && half->used >= HALF / 2 : before == 0;
}

void log_queue_put(const struct log_line *line)
{
    bool wake = false;

    uv_once(&queue_once, queue_init);
    uv_mutex_lock(&queue_lock);
    if (queue_state == QUEUE_RUNS) {
        wake = queue_append(line);
    } else if (queue_state == QUEUE_DIRECT) {
        log_sink_put(line, queue_wait_for_ever);
        log_sink_flush(queue_wait_for_ever);
    }
    uv_mutex_unlock(&queue_lock);
    if (wake)
        uv_cond_signal(&queue_changed);
}

/* Returns the target of one that has lost its sense: no line goes there. */
static struct log_target *queue_add_switch(struct half *half, struct log_target *target)
{
    struct queue_switch *last = half->switches;
    struct log_target *skipped;

    if (half->switch_count > 0)
        last += half->switch_count - 1;
    if (half->switch_count == 0 || (half->switch_count < MOST_SWITCHES && last->at < half->used)) {
        half->switches[half->switch_count++] = (struct queue_switch){half->used, target};
        return NULL;
    }
    skipped = last->target;
    last->target = target;
    return skipped;
}

void log_queue_switch(struct log_target *target)
{
    struct log_target *skipped = NULL;

    uv_once(&queue_once, queue_init);
    uv_mutex_lock(&queue_lock);
    if (queue_state == QUEUE_RUNS)
        skipped = queue_add_switch(queue_filled, target);
    else
        log_sink_switch(target);
    uv_mutex_unlock(&queue_lock);
    uv_cond_signal(&queue_changed);
    log_discard(skipped);
}

/* --- the writer --- */

static void queue_switch_all(struct half *half)
{
    while (half->switches_done < half->switch_count)
        log_sink_switch(half->switches[half->switches_done++].target);
}

/* The log does not flow. A target that was to be next may be the remedy. */
static bool queue_wait(void)
{
    queue_switch_all(queue_written);
    uv_mutex_lock(&queue_lock);
    queue_switch_all(queue_filled);
    queue_filled->switch_count = queue_filled->switches_done = 0;
    uv_mutex_unlock(&queue_lock);
    return !atomic_load(&queue_gives_up);
}

/* What was to go to the target before is written there first. */
static void queue_switch_at(struct half *half, size_t at)
{
    while (half->switches_done < half->switch_count &&
           half->switches[half->switches_done].at <= at) {
        log_sink_flush(queue_wait);
        if (half->switches_done < half->switch_count) /* it may have been switched meanwhile */
            log_sink_switch(half->switches[half->switches_done++].target);
    }
}

static void queue_write(struct half *half)
{
    size_t at = 0;

    while (at < half->used && !atomic_load(&queue_gives_up)) {
        const struct log_line *line = (const void *)(half->bytes + at);

        queue_switch_at(half, at);
        log_sink_put(line, queue_wait);
        at += queue_room(line);
    }
    log_sink_lost(half->lost);
    log_sink_flush(queue_wait);
    queue_switch_all(half);
    half->used = half->switch_count = half->switches_done = 0;
    half->lost = 0;
}

static bool queue_has_work(void)
{
    return queue_filled->used > 0 || queue_filled->switch_count > 0;
}

static void queue_nap(void)
{
    queue_naps = true;
    if (!queue_stopping)
        (void)uv_cond_timedwait(&queue_changed, &queue_lock, NAP * (uint64_t)1000000);
    queue_naps = false;
}

static void queue_run(void *arg)
{
    (void)arg;
    log_output_begin_thread();
    uv_mutex_lock(&queue_lock);
    for (;;) {
        struct half *half = queue_filled;

        while (!queue_has_work() && !queue_stopping)
            uv_cond_wait(&queue_changed, &queue_lock);
        if (!queue_has_work() || atomic_load(&queue_gives_up))
            break;
        queue_filled = queue_written;
        queue_written = half;
        uv_mutex_unlock(&queue_lock);
        queue_write(half);
        uv_mutex_lock(&queue_lock);
        queue_nap();
    }
    queue_ended = true;
    uv_cond_signal(&queue_changed);
    uv_mutex_unlock(&queue_lock);
}

int log_queue_start(struct err *err)
{
    int status;

    uv_once(&queue_once, queue_init);
    uv_mutex_lock(&queue_lock);
    queue_stopping = queue_ended = false;
    atomic_store(&queue_gives_up, false);
    queue_state = QUEUE_RUNS;
    status = uv_thread_create(&queue_writer, queue_run, NULL);
    if (status != 0)
        queue_state = QUEUE_DIRECT;
    uv_mutex_unlock(&queue_lock);
    return status == 0 ? 0 : err_system(err, status, "cannot create the log's thread");
}

/* Under the lock. */
static void queue_wait_end(uint64_t milliseconds)
{
    const uint64_t end = uv_hrtime() + milliseconds * 1000000;
    uint64_t now;

    while (!queue_ended && (now = uv_hrtime()) < end)
        (void)uv_cond_timedwait(&queue_changed, &queue_lock, end - now);
}

void log_queue_stop(void)
{
    bool ended;

    if (queue_state != QUEUE_RUNS)
        return;
    uv_mutex_lock(&queue_lock);
    queue_stopping = true;
    uv_cond_signal(&queue_changed);
    queue_wait_end(LOG_FLUSH_TIME);
    queue_state = queue_ended ? QUEUE_DIRECT : QUEUE_CLOSED;
    atomic_store(&queue_gives_up, true);
    queue_wait_end(GIVE_UP_TIME);
    ended = queue_ended;
    uv_mutex_unlock(&queue_lock);
    if (ended)
        uv_thread_join(&queue_writer);
}
