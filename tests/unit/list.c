/* The intrusive list. */
#include "base/list.h"

#include "unit.h"

struct item {
    int number;
    struct list link;
};

static struct list head;
static struct item items[4];

static int setup(void **state)
{
    (void)state;
    list_init(&head);
    for (int i = 0; i < (int)LENGTH(items); i++) {
        items[i].number = i;
        list_init(&items[i].link);
    }
    return 0;
}

static void append_all(void)
{
    for (size_t i = 0; i < LENGTH(items); i++)
        list_append(&head, &items[i].link);
}

/* Walks the list both ways: it must read as `numbers`, of which there are `count`. */
static void assert_reads(const struct list *list, const int *numbers, size_t count)
{
    const struct list *forth = list->next, *back = list->prev;

    for (size_t i = 0; i < count; i++) {
        assert_int_equal(list_entry(forth, const struct item, link)->number, numbers[i]);
        assert_int_equal(list_entry(back, const struct item, link)->number, numbers[count - 1 - i]);
        forth = forth->next;
        back = back->prev;
    }
    assert_ptr_equal(forth, list);
    assert_ptr_equal(back, list);
    assert_int_equal(list_empty(list), count == 0);
}

static void appending_keeps_the_order(void **state)
{
    (void)state;
    assert_reads(&head, NULL, 0);
    append_all();
    assert_reads(&head, (int[]){0, 1, 2, 3}, 4);
}

static void any_place_can_be_left_in_any_order(void **state)
{
    (void)state;
    append_all();
    list_remove(&items[2].link);
    assert_reads(&head, (int[]){0, 1, 3}, 3);
    list_remove(&items[0].link);
    assert_reads(&head, (int[]){1, 3}, 2);
    list_remove(&items[3].link);
    assert_reads(&head, (int[]){1}, 1);
    list_remove(&items[1].link);
    assert_reads(&head, NULL, 0);
}

static void prepending_puts_it_first(void **state)
{
    (void)state;
    list_prepend(&head, &items[2].link);
    assert_reads(&head, (int[]){2}, 1);
    list_append(&head, &items[0].link);
    list_prepend(&head, &items[1].link);
    assert_reads(&head, (int[]){1, 2, 0}, 3);
}

static void removing_twice_is_harmless(void **state)
{
    (void)state;
    append_all();
    list_remove(&items[1].link);
    list_remove(&items[1].link);
    assert_true(list_empty(&items[1].link));
    assert_reads(&head, (int[]){0, 2, 3}, 3);
    list_append(&head, &items[1].link);
    assert_reads(&head, (int[]){0, 2, 3, 1}, 4);
}

static void take_moves_everything(void **state)
{
    struct list taken;

    (void)state;
    append_all();
    list_take(&taken, &head);
    assert_reads(&head, NULL, 0);
    assert_reads(&taken, (int[]){0, 1, 2, 3}, 4);
    list_remove(&items[0].link); /* the first and the last must know their new head */
    list_remove(&items[3].link);
    assert_reads(&taken, (int[]){1, 2}, 2);
}

static void take_of_nothing_gives_an_empty_list(void **state)
{
    struct list taken;

    (void)state;
    list_take(&taken, &head);
    assert_reads(&taken, NULL, 0);
    assert_reads(&head, NULL, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(appending_keeps_the_order, setup),
        cmocka_unit_test_setup(prepending_puts_it_first, setup),
        cmocka_unit_test_setup(any_place_can_be_left_in_any_order, setup),
        cmocka_unit_test_setup(removing_twice_is_harmless, setup),
        cmocka_unit_test_setup(take_moves_everything, setup),
        cmocka_unit_test_setup(take_of_nothing_gives_an_empty_list, setup),
    };

    return cmocka_run_group_tests_name("list", tests, NULL, NULL);
}
