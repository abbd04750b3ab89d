/* GUIDs: text both ways, and the template of vsock ports. */
#include "net/guid.h"

#include "unit.h"

static void text_becomes_the_windows_layout(void **state)
{
    struct guid guid;

    (void)state;
    assert_int_equal(guid_parse("01234567-89ab-cdef-0123-456789abcdef", &guid), 0);
    assert_int_equal(guid.data1, 0x01234567);
    assert_int_equal(guid.data2, 0x89ab);
    assert_int_equal(guid.data3, 0xcdef);
    assert_memory_equal(guid.data4, "\x01\x23\x45\x67\x89\xab\xcd\xef", 8);
}

/* Goal: braces and case are accepted, and one spelling comes out. */
static void every_spelling_gives_one(void **state)
{
    static const char *const spellings[] = {
        "fedcba98-7654-3210-fedc-ba9876543210",
        "FEDCBA98-7654-3210-FEDC-BA9876543210",
        "{fedcba98-7654-3210-FEDC-ba9876543210}",
    };
    char text[GUID_TEXT];
    struct guid guid;

    (void)state;
    for (size_t i = 0; i < LENGTH(spellings); i++) {
        assert_int_equal(guid_parse(spellings[i], &guid), 0);
        guid_format(&guid, text);
        assert_string_equal(text, spellings[0]);
    }
}

static void anything_else_is_refused(void **state)
{
    static const char *const wrong[] = {
        "",
        "{}",
        "22",
        "01234567-89ab-cdef-0123-456789abcde",   /* a digit short */
        "01234567-89ab-cdef-0123-456789abcdef0", /* and one too many */
        "01234567-89ab-cdef-0123-456789abcdeg",  /* not a digit */
        "g1234567-89ab-cdef-0123-456789abcdef",
        "0123456789ab-cdef-0123-4567-89abcdef", /* hyphens elsewhere */
        "01234567+89ab-cdef-0123-456789abcdef",
        "{01234567-89ab-cdef-0123-456789abcdef", /* one brace */
        "01234567-89ab-cdef-0123-456789abcdef}",
        "{01234567-89ab-cdef-0123-456789abcdef0", /* as long as with two */
        "001234567-89ab-cdef-0123-456789abcdef}",
        "[01234567-89ab-cdef-0123-456789abcdef]",
        " 1234567-89ab-cdef-0123-456789abcdef",
    };
    struct guid guid;

    (void)state;
    for (size_t i = 0; i < LENGTH(wrong); i++) {
        if (guid_parse(wrong[i], &guid) != -1)
            fail_msg("'%s' is taken for a GUID", wrong[i]);
    }
}

static void ports_stand_on_the_template(void **state)
{
    static const struct {
        uint32_t port;
        const char *text;
    } rows[] = {
        {0, "00000000-facb-11e6-bd58-64006a7986d3"},
        {22, "00000016-facb-11e6-bd58-64006a7986d3"},
        {2761, "00000ac9-facb-11e6-bd58-64006a7986d3"},
        {UINT32_MAX, "ffffffff-facb-11e6-bd58-64006a7986d3"},
    };

    (void)state;
    for (size_t i = 0; i < LENGTH(rows); i++) {
        struct guid guid = guid_from_port(rows[i].port);
        char text[GUID_TEXT];
        uint32_t port;

        guid_format(&guid, text);
        assert_string_equal(text, rows[i].text);
        assert_true(guid_to_port(&guid, &port));
        assert_int_equal(port, rows[i].port);
    }
}

/* Goal: each part of the template counts. */
static void off_the_template_is_no_port(void **state)
{
    struct guid good = guid_from_port(22);
    uint32_t port;

    (void)state;
    for (size_t byte = 4; byte < sizeof good; byte++) {
        struct guid guid = good;

        ((unsigned char *)&guid)[byte] ^= 1;
        assert_false(guid_to_port(&guid, &port));
        assert_false(guid_equal(&guid, &good));
    }
    assert_true(guid_equal(&good, &good));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_becomes_the_windows_layout),
        cmocka_unit_test(every_spelling_gives_one),
        cmocka_unit_test(anything_else_is_refused),
        cmocka_unit_test(ports_stand_on_the_template),
        cmocka_unit_test(off_the_template_is_no_port),
    };

    return cmocka_run_group_tests_name("guid", tests, NULL, NULL);
}
