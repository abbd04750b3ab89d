#include "sock.h"

#include <stdlib.h>

/* Handles are small multiples of four. */
#define MAX_SOCKS 65536

static struct sock *table[MAX_SOCKS];
static CRITICAL_SECTION lock;

void socks_init(void)
{
    InitializeCriticalSection(&lock);
}

void socks_lock(void)
{
    EnterCriticalSection(&lock);
}

void socks_unlock(void)
{
    LeaveCriticalSection(&lock);
}

struct sock *sock_add(SOCKET s)
{
    struct sock *k = s / 4 < MAX_SOCKS ? calloc(1, sizeof *k) : NULL;
    if (!k)
        return NULL;
    k->s = s;
    socks_lock();
    table[s / 4] = k;
    socks_unlock();
    return k;
}

struct sock *sock_find(SOCKET s)
{
    if (s / 4 >= MAX_SOCKS)
        return NULL;
    socks_lock();
    struct sock *k = table[s / 4];
    socks_unlock();
    return k;
}

void sock_remove(struct sock *k)
{
    socks_lock();
    table[k->s / 4] = NULL;
    socks_unlock();
    free(k);
}

void socks_each(void (*visit)(struct sock *k))
{
    socks_lock();
    for (int i = 0; i < MAX_SOCKS; i++) {
        if (table[i])
            visit(table[i]);
    }
    socks_unlock();
}
