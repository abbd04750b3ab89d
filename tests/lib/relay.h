/* The program under test as a process: started with a configuration, watched, stopped. */
#ifndef TESTS_LIB_RELAY_H
#define TESTS_LIB_RELAY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct relay;

/* Starts `program run -c -` with `config` on its standard input and returns when it has said
 * `ready`. Ends the test, with the relay's log printed, when it does not within PATIENCE_MS. */
struct relay *relay_start(const char *program, const char *config);

/* The same for `program run -c path`: a relay that can be asked to read its configuration again. */
struct relay *relay_start_file(const char *program, const char *path);

/* The same without waiting for `ready`: that may never come. */
struct relay *relay_spawn_file(const char *program, const char *path);

/* Waits for `ready`. False: it has ended, or `timeout_ms` have passed. */
bool relay_await_ready(struct relay *relay, uint64_t timeout_ms);

/* The endpoint of the `listening NAME ENDPOINT` line; ends the test when there was none. Lives as
 * long as the relay. */
const char *relay_endpoint(struct relay *relay, const char *name);

int relay_pid(const struct relay *relay);
bool relay_running(struct relay *relay);

/* The number of log lines (standard error) so far: a place to search from. */
size_t relay_log_mark(struct relay *relay);

/* Waits for one log line after `mark` that contains every word of the NULL-terminated list. False:
 * there was none for `timeout_ms`. */
bool relay_log_has(struct relay *relay, size_t mark, const char *const *words, uint64_t timeout_ms);

/* Prints the log after `mark`, at most the last `most` lines, to standard error. NULL is
 * allowed. */
void relay_log_print(struct relay *relay, size_t mark, size_t most);

/* Every line of the log, once the process has exited: all that it wrote is there. */
void relay_log_each(struct relay *relay, void (*take)(void *arg, const char *line), void *arg);

/* Stops reading the log, or goes on. What the relay writes meanwhile fills the pipe. */
void relay_log_stall(struct relay *relay, bool stall);

/* Forgets the log so far, for a relay that runs long. Earlier marks are void. */
void relay_log_forget(struct relay *relay);

/* Asks the relay to stop. */
void relay_ask_to_stop(struct relay *relay);

/* Waits for the exit; the exit code, 128 + N when signal N ended it, -1 when it has not ended
 * within `timeout_ms`. */
int relay_wait(struct relay *relay, uint64_t timeout_ms);

/* Kills the process if it still runs, frees everything. NULL is allowed. */
void relay_free(struct relay *relay);

#endif
