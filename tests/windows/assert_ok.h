/* A call that returns 0 or -1 and an err: its message is what one wants to read when it fails. */
#ifndef HVRELAY_TESTS_ASSERT_OK_H
#define HVRELAY_TESTS_ASSERT_OK_H

#define assert_ok(call)                                                                            \
    do {                                                                                           \
        if ((call) != 0)                                                                           \
            fail_msg("%s", err.msg);                                                               \
    } while (0)

#endif
