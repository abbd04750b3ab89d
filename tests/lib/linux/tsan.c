/* For programs under ThreadSanitizer, which loses a signal that comes during a thread's first call
 * that may block: it is then about to make room for such signals, and puts this one into a room of
 * the signal handler's own that it overwrites (SigCtx in GCC 12's tsan_interceptors_posix.cpp). A
 * relay asked to stop right after its first "ready" went on for ever. So that call is made here,
 * before main, when nobody signals yet. */
#include <time.h>

static void __attribute__((constructor)) block_once(void)
{
    nanosleep(&(struct timespec){0, 1}, NULL);
}
