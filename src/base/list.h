/* Intrusive, circular, doubly linked list. A node is either in exactly one list or linked to
 * itself, so removing twice is harmless. */
#ifndef HVRELAY_BASE_LIST_H
#define HVRELAY_BASE_LIST_H

#include <stdbool.h>
#include <stddef.h>

struct list {
    struct list *next, *prev;
};

/* The structure of `type` whose `member` is at `node`. */
#define list_entry(node, type, member) ((type *)(void *)((char *)(node)-offsetof(type, member)))

static inline void list_init(struct list *node)
{
    node->next = node->prev = node;
}

static inline bool list_empty(const struct list *head)
{
    return head->next == head;
}

static inline void list_append(struct list *head, struct list *node)
{
    node->prev = head->prev;
    node->next = head;
    head->prev->next = node;
    head->prev = node;
}

static inline void list_prepend(struct list *head, struct list *node)
{
    list_append(head->next, node); /* before the first one */
}

static inline void list_remove(struct list *node)
{
    /* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): it loses track of circular lists */
    node->prev->next = node->next;
    node->next->prev = node->prev;
    list_init(node);
}

/* Moves all of `from` to the empty, uninitialised `to`. */
static inline void list_take(struct list *to, struct list *from)
{
    list_init(to);
    if (list_empty(from))
        return;
    *to = *from;
    to->next->prev = to;
    to->prev->next = to;
    list_init(from);
}

#endif
