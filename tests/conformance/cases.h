/* The cases of the suite. Each has its goal above it. */
#ifndef CONFORMANCE_CASES_H
#define CONFORMANCE_CASES_H

#include "suite.h"

enum needs {
    ANY_FAMILY,
    HALF_CLOSES, /* of both families */
    DEAF_TARGET  /* nothing but a close tells the target that the client has ended */
};

struct conformance_case {
    const char *name;
    void (*run)(struct suite *suite);
    enum needs needs;
};

/* In the order to run them; the list ends with a NULL name. The last ones look back on all. */
extern const struct conformance_case conformance_cases[];

/* data.c */
void case_echo(struct suite *suite);
void case_bulk_up(struct suite *suite);
void case_bulk_down(struct suite *suite);
void case_bulk_both(struct suite *suite);
void case_random_sizes(struct suite *suite);
void case_byte_by_byte(struct suite *suite);
void case_urgent(struct suite *suite);

/* ending.c */
void case_late_reply(struct suite *suite);
void case_late_large_reply(struct suite *suite);
void case_target_ends_first(struct suite *suite);
void case_late_reply_untold(struct suite *suite);
void case_quiet_untold(struct suite *suite);
void case_client_closes_at_once(struct suite *suite);
void case_target_closes_at_once(struct suite *suite);

/* reset.c */
void case_client_resets(struct suite *suite);
void case_target_resets(struct suite *suite);
void case_client_resets_amid(struct suite *suite);
void case_target_resets_amid(struct suite *suite);
void case_client_resets_half_closed(struct suite *suite);
void case_target_resets_half_closed(struct suite *suite);
void case_random_resets(struct suite *suite);

/* dial.c */
void case_refused(struct suite *suite);
void case_silent(struct suite *suite);
void case_client_leaves_dial(struct suite *suite);

/* pressure.c */
void case_slow_target(struct suite *suite);
void case_slow_client(struct suite *suite);
void case_idle_beside_bulk(struct suite *suite);
void case_slow_both(struct suite *suite);
void case_bytes_while_asleep(struct suite *suite);

/* vanish.c */
void case_vanish_in_line(struct suite *suite);
void case_vanish_at_work(struct suite *suite);

/* many.c */
void case_many_at_once(struct suite *suite);
void case_limit(struct suite *suite);
void case_many_in_turn(struct suite *suite);
void case_cost_of_idle(struct suite *suite);

/* timeouts.c */
void case_half_close_timeout(struct suite *suite);
void case_idle_timeout(struct suite *suite);

/* stopping.c */
void case_drain(struct suite *suite);
void case_vanish_draining(struct suite *suite);
void case_drain_timeout(struct suite *suite);
void case_second_signal(struct suite *suite);
void case_nothing_left(struct suite *suite);

#endif
