/* The portable pump: libuv's streams, on Windows overlapped I/O. */
#ifndef HVRELAY_RELAY_STREAM_H
#define HVRELAY_RELAY_STREAM_H

#include "relay/relay.h"

/* As relay_start, for PUMP_STREAM. */
struct relay *stream_start(struct loop *loop, const struct relay_plan *plan, struct err *err);

#endif
