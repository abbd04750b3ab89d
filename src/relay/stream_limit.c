#include "relay/stream_inside.h"

void stream_leave(struct way *way, enum limit_rest rest)
{
    if (way->limit)
        limit_leave(way->limit, rest);
}

bool stream_may_read(struct way *way)
{
    struct stream_relay *relay = way->relay;
    bool was_held_back = way->held_back;
    uint64_t wait = 0;

    if (!way->limit)
        return true;
    way->most = (size_t)limit_ask(way->limit, STREAM_CHUNK, &wait);
    way->held_back = way->most == 0;
    timer_set(&relay->loop->timers, &way->later, wait);
    if (way->held_back || was_held_back)
        stream_note_activity(relay);
    return !way->held_back;
}

void stream_pay(struct way *way, size_t count)
{
    if (!way->limit)
        return;
    limit_pay(way->limit, count);
    if (!stream_may_read(way))
        stream_stop_reading(way);
}

void stream_on_later(struct timer *timer)
{
    struct way *way = list_entry(timer, struct way, later);

    if (!way->reading) {
        stream_go_on_reading(way);
        return;
    }
    /* Bytes are learnt of only as they come: a little may be kept for the next message. */
    stream_leave(way, LIMIT_QUANTUM);
    if (stream_may_read(way))
        timer_clear(&way->relay->loop->timers, &way->later);
    else
        stream_stop_reading(way);
}

void stream_rest(struct way *way)
{
    if (!way->limit)
        return;
    timer_clear(&way->relay->loop->timers, &way->later);
    stream_leave(way, LIMIT_NOTHING);
    if (way->held_back) {
        way->held_back = false;
        stream_note_activity(way->relay);
    }
}
