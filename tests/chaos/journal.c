#include "journal.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

void journal_to_file(struct journal *journal, const char *path)
{
    snprintf(journal->path, sizeof journal->path, "%s", path);
}

static void open_file(struct journal *journal)
{
    int fd = open(journal->path, O_RDONLY | O_CLOEXEC);

    if (fd < 0)
        return;
    journal->files[journal->count++] = fd;
    journal->moved = false;
}

void journal_open(struct journal *journal, struct relay *relay)
{
    journal->relay = relay;
    if (journal->path[0] != '\0')
        open_file(journal);
}

void journal_narrow(const struct journal *journal)
{
    int least = 1, process = (int)syscall(SYS_pidfd_open, relay_pid(journal->relay), 0);
    int fd = process >= 0 ? (int)syscall(SYS_pidfd_getfd, process, STDERR_FILENO, 0) : -1;

    if (fd >= 0) {
        (void)setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &least, sizeof least);
        close(fd);
    }
    if (process >= 0)
        close(process);
}

/* A line may come to the old file after the new one is there. */
static void catch_up(struct journal *journal)
{
    static char text[1 << 16];

    if (journal->moved)
        open_file(journal);
    for (unsigned i = 0; i < journal->count; i++) {
        ssize_t n;
        while ((n = read(journal->files[i], text, sizeof text)) > 0)
            lines_add(&journal->lines[i], text, (size_t)n);
    }
}

size_t journal_mark(struct journal *journal)
{
    size_t mark = 0;

    if (journal->path[0] == '\0')
        return relay_log_mark(journal->relay);
    catch_up(journal);
    for (unsigned i = 0; i < journal->count; i++)
        mark += journal->lines[i].count;
    return mark;
}

bool journal_has(struct journal *journal, size_t mark, const char *const *words)
{
    if (journal->path[0] == '\0')
        return relay_log_has(journal->relay, mark, words, 0);
    catch_up(journal);
    for (unsigned i = 0; i < journal->count; i++) {
        size_t count = journal->lines[i].count;

        if (mark < count && lines_have(&journal->lines[i], mark, words))
            return true;
        mark -= mark < count ? mark : count;
    }
    return false;
}

void journal_rotate(struct journal *journal)
{
    char old[220];

    if (journal->path[0] == '\0' || journal->moved || journal->count == JOURNAL_FILES)
        return;
    catch_up(journal);
    snprintf(old, sizeof old, "%s.%u", journal->path, journal->count);
    if (rename(journal->path, old) != 0)
        return;
    journal->moved = true;
    kill(relay_pid(journal->relay), SIGUSR1);
}

void journal_each(struct journal *journal, void (*take)(void *arg, const char *line), void *arg)
{
    relay_log_each(journal->relay, take, arg);
    catch_up(journal);
    for (unsigned i = 0; i < journal->count; i++)
        for (size_t k = 0; k < journal->lines[i].count; k++)
            take(arg, journal->lines[i].line[k]);
}

void journal_print(struct journal *journal, size_t most)
{
    relay_log_print(journal->relay, 0, most);
    catch_up(journal);
    for (unsigned i = 0; i < journal->count; i++) {
        const struct lines *lines = &journal->lines[i];
        for (size_t k = lines->count > most ? lines->count - most : 0; k < lines->count; k++)
            fprintf(stderr, "    log file %u: %s\n", i, lines->line[k]);
    }
}

void journal_close(struct journal *journal)
{
    for (unsigned i = 0; i < journal->count; i++) {
        close(journal->files[i]);
        lines_free(&journal->lines[i]);
    }
    *journal = (struct journal){0};
}
