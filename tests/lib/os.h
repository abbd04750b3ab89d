/* What the tests ask of the operating system beyond sockets; one folder per system implements it.
 */
#ifndef TESTS_LIB_OS_H
#define TESTS_LIB_OS_H

#include <stdbool.h>
#include <stddef.h>

/* Open descriptors (handles) of a process, by kind. */
struct os_descriptors {
    int sockets;
    int pipes;
    int others;
};

/* Call once, first: lifts the soft limit of descriptors (children inherit it) and sees to it that a
 * write to a closed connection is an error, not a signal. */
void os_prepare(void);

/* How many descriptors this process may open. */
size_t os_descriptor_limit(void);

/* False: the process is gone. */
bool os_descriptors_of(int pid, struct os_descriptors *out);

/* Resident memory of a process in bytes, 0: the process is gone. */
size_t os_resident_bytes(int pid);

/* Asks a process to end in good order (SIGTERM, or what the system has for it). */
void os_ask_to_stop(int pid);

#endif
