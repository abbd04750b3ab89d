/* What every unit test starts with: cmocka, and asserts that tell what they saw. */
#ifndef TESTS_UNIT_UNIT_H
#define TESTS_UNIT_UNIT_H

#include "../lib/check.h"

#include <string.h>

#define LENGTH(array) (sizeof(array) / sizeof *(array))

#define assert_contains(text, part)                                                                \
    do {                                                                                           \
        if (!strstr((text), (part)))                                                               \
            fail_msg("'%s' does not contain '%s'", (text), (part));                                \
    } while (0)

/* For calls that return 0, or not 0 and `err`. */
#define assert_ok(call)                                                                            \
    do {                                                                                           \
        if ((call) != 0)                                                                           \
            fail_msg("%s", err.msg);                                                               \
    } while (0)

#endif
