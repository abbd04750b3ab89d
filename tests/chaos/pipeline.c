#include "pipeline.h"

#include "../lib/clock.h"
#include "../lib/pattern.h"
#include "session.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { UP = 1, DOWN = 2, MOVE_MAX = 1 << 16 };

extern char **environ;

static struct pipeline {
    const struct pipeline_plan *plan;
    pid_t pid; /* 0: none */
    int input, output, log;
    struct peer *target;
    uint64_t up_size, up_sent, up_received, down_sent, down_received;
    bool target_came, target_ended, target_saw_end, target_gone, target_aborted;
    bool output_ended, output_gone;
    int status;
    char said[2048];
    size_t said_length;
} now;

static void fail(const char *what)
{
    chaos_fail(NULL,
               "connect, pump = %s: %s; up %" PRIu64 "/%" PRIu64 "/%" PRIu64 ", down %" PRIu64
               "/%" PRIu64 "/%" PRIu64 ", output goes at %" PRIu64 ", target at %" PRIu64
               "; status %#x, it said: %s",
               now.plan->pump, what, now.up_received, now.up_sent, now.up_size, now.down_received,
               now.down_sent, now.plan->down, now.plan->output_goes, now.plan->target_goes,
               (unsigned)now.status, now.said);
}

static void close_end(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

static void spawn(const char *endpoint)
{
    char pump[32];
    char *args[] = {
        (char *)now.plan->program, (char *)"connect", (char *)endpoint, (char *)"-o", pump, NULL};
    int in[2], out[2], err[2], failed;
    posix_spawn_file_actions_t actions;

    snprintf(pump, sizeof pump, "pump=%s", now.plan->pump);
    if (pipe2(in, O_CLOEXEC) != 0 || pipe2(out, O_CLOEXEC) != 0 || pipe2(err, O_CLOEXEC) != 0)
        fail("no pipe");
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, in[0], STDIN_FILENO);
    posix_spawn_file_actions_adddup2(&actions, out[1], STDOUT_FILENO);
    posix_spawn_file_actions_adddup2(&actions, err[1], STDERR_FILENO);
    failed = posix_spawn(&now.pid, now.plan->program, &actions, NULL, args, environ);
    posix_spawn_file_actions_destroy(&actions);
    close(in[0]);
    close(out[1]);
    close(err[1]);
    now.input = in[1];
    now.output = out[0];
    now.log = err[0];
    fcntl(now.input, F_SETFL, O_NONBLOCK);
    fcntl(now.output, F_SETFL, O_NONBLOCK);
    fcntl(now.log, F_SETFL, O_NONBLOCK);
    if (failed != 0)
        fail(strerror(failed));
}

static bool may_break(void)
{
    return now.plan->breakable != NULL || now.output_gone || now.target_gone;
}

/* A part of what is left to send: not every write ends at the same place. */
static size_t piece(unsigned stream, uint64_t sent, uint64_t size, unsigned char *bytes)
{
    uint64_t left = size - sent;
    size_t length = left < MOVE_MAX ? (size_t)left : MOVE_MAX - (size_t)(sent % 1000);

    pattern_fill(stream, sent, bytes, length);
    return length;
}

static void check(unsigned stream, uint64_t *received, uint64_t sent, const unsigned char *bytes,
                  size_t length)
{
    if (*received + length > sent || pattern_check(stream, *received, bytes, length) != length)
        fail(stream == UP ? "wrong bytes at the target" : "wrong bytes at the output");
    *received += length;
}

static bool feed_input(unsigned char *bytes)
{
    size_t length;
    ssize_t n = 0;

    if (now.input < 0)
        return false;
    length = piece(UP, now.up_sent, now.up_size, bytes);
    if (length == 0 && now.plan->quiet)
        return false;
    if (length > 0)
        n = write(now.input, bytes, length);
    if (n < 0 && errno == EAGAIN)
        return false;
    if (n > 0)
        now.up_sent += (uint64_t)n;
    if (n < 0 || (now.up_sent == now.up_size && !now.plan->quiet))
        close_end(&now.input);
    return true;
}

static bool read_output(unsigned char *bytes)
{
    ssize_t n;

    if (now.output < 0)
        return false;
    if (now.down_received >= now.plan->output_goes) {
        now.output_gone = true;
        close_end(&now.output);
        return true;
    }
    n = read(now.output, bytes, MOVE_MAX);
    if (n < 0)
        return false;
    if (n == 0) {
        now.output_ended = true;
        close_end(&now.output);
    }
    check(DOWN, &now.down_received, now.down_sent, bytes, (size_t)n);
    return true;
}

static void drop_target(void)
{
    peer_close(now.target);
    now.target = NULL;
}

static void target_broke(void)
{
    if (!may_break())
        fail("the target is reset, and nothing broke the session");
    now.target_gone = true;
    drop_target();
}

static bool target_sends(unsigned char *bytes)
{
    size_t length = piece(DOWN, now.down_sent, now.plan->down, bytes);
    long n = length > 0 ? peer_send(now.target, bytes, length) : 0;

    if (n == PEER_RESET) {
        target_broke();
        return true;
    }
    now.down_sent += (uint64_t)n;
    if (now.down_sent == now.plan->down && !now.plan->quiet) {
        now.target_ended = true;
        peer_end_sending(now.target);
    }
    return n > 0 || now.target_ended;
}

static bool target_receives(unsigned char *bytes)
{
    long n = peer_recv(now.target, bytes, MOVE_MAX);

    if (n == PEER_RESET) {
        target_broke();
    } else if (n == PEER_EOF) {
        now.target_saw_end = true;
        if ((now.up_received < now.up_sent || now.input >= 0) && !may_break())
            fail("an end of file at the target before the input's");
    } else {
        check(UP, &now.up_received, now.up_sent, bytes, (size_t)n);
    }
    return n != PEER_LATER;
}

static bool move_target(unsigned char *bytes)
{
    bool moved = false;

    if (now.target == NULL)
        return false;
    if (now.up_received + now.down_sent >= now.plan->target_goes) {
        now.target_gone = now.target_aborted = true;
        peer_abort(now.target);
        now.target = NULL;
        return true;
    }
    if (!now.target_ended)
        moved = target_sends(bytes);
    if (now.target != NULL && !now.target_saw_end)
        moved |= target_receives(bytes);
    if (now.target != NULL && now.target_ended && now.target_saw_end)
        drop_target();
    return moved;
}

/* A dial that fails for want of something is tried again: the target may come twice, and begins
 * again. */
static bool meet_target(struct listener *listener)
{
    struct peer *peer = listener_accept(listener, 0);

    if (peer == NULL)
        return false;
    if (now.target_came && (now.up_received > 0 || now.down_received > 0))
        fail("the target came a second time, after bytes had passed");
    drop_target();
    now.down_sent = 0; /* what the first one had sent was for nobody */
    now.target_ended = now.target_saw_end = now.target_gone = false;
    now.target = peer;
    now.target_came = true;
    return true;
}

static bool listen_to_log(void)
{
    ssize_t n = read(now.log, now.said + now.said_length, sizeof now.said - 1 - now.said_length);

    now.said_length += n > 0 ? (size_t)n : 0;
    return n > 0;
}

static bool has_exited(void)
{
    if (now.pid != 0 && waitpid(now.pid, &now.status, WNOHANG) == now.pid)
        now.pid = 0;
    return now.pid == 0;
}

static void judge(void)
{
    int code = WIFEXITED(now.status) ? WEXITSTATUS(now.status) : 128 + WTERMSIG(now.status);
    bool up = now.up_received == now.up_size && now.target_saw_end;
    bool down =
        now.down_received == (now.target_gone ? now.down_sent : now.plan->down) && now.output_ended;

    if (strstr(now.said, "Sanitizer") != NULL || strstr(now.said, "Assertion") != NULL)
        fail("it says so");
    if (code == 2 && now.plan->breakable != NULL && now.said_length > 0)
        return; /* it could not even read its arguments */
    if (code != 0 && code != 1)
        fail("it ended in another way than it should");
    if (code != 0 && !may_break())
        fail("nothing broke it, and its exit code is 1");
    if (code == 0 && now.plan->resets && now.target_aborted && !now.target_ended)
        fail("the target's reset was taken for an end");
    if (code == 0 && ((!up && !now.target_gone) || (!down && !now.output_gone)))
        fail("something is missing, and its exit code is 0");
    if (code == 1 && !now.output_gone && !now.plan->may_be_silent && now.said_length == 0)
        fail("it failed without a message");
}

int pipeline_run(const struct pipeline_plan *plan, struct listener *target)
{
    static unsigned char bytes[MOVE_MAX];
    uint64_t deadline = clock_ms() + PATIENCE_MS;
    bool over = false;

    now = (struct pipeline){.plan = plan, .input = -1, .output = -1, .log = -1};
    now.up_size = plan->input_is_cut ? plan->cut_after : plan->up;
    spawn(listener_endpoint(target));
    while (!over) {
        bool moved, exited = has_exited(); /* what it did before is seen in this turn */

        moved = !now.target_came || plan->breakable != NULL ? meet_target(target) : false;
        moved |= feed_input(bytes) | read_output(bytes) | move_target(bytes) | listen_to_log();
        over = exited && !moved;
        if (moved)
            deadline = clock_ms() + PATIENCE_MS;
        else if (!over)
            clock_pause(1);
        if (clock_left_ms(deadline) == 0)
            fail("it hangs");
    }
    judge();
    drop_target();
    close_end(&now.input);
    close_end(&now.output);
    close_end(&now.log);
    return WEXITSTATUS(now.status);
}

void pipeline_abandon(void)
{
    if (now.pid != 0)
        kill(now.pid, SIGKILL);
}
