/* A network of the run's own. */
#ifndef HVRELAY_TESTS_CHAOS_NETWORK_H
#define HVRELAY_TESTS_CHAOS_NETWORK_H

/* Once, first of all. Names (names.h) are there where the network is our own.
 *
 * Moves the process into a new network namespace where it may (as root), and prints where it is.
 * Targets leave their ports for a moment and take them again: anybody else on the system could get
 * one meanwhile, and clients that are not ours would come to it, or ours to somebody else. Not in a
 * guest: it is ours alone, and a VM socket may belong to a namespace. Ends the program where there
 * is a namespace but no loopback device. */
void network_enter(void);

#endif
