/* The relay's own account: the lines that it logs of its sessions, beside what the oracle knows. */
#include "scenario.h"
#include "session.h"
#include "stage.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum {
    MOST_IDS = 4096,
    ON_THEIR_WAY = 4 << 16, /* of a direction of pump = stream: not counted where it breaks */
};

struct account {
    uint64_t up, down; /* bytes that it says it has delivered */
    unsigned lines, broken;
    bool seen[MOST_IDS];
};

/* The number behind that word, after which *text goes on; 0 and NULL: there is none. */
static unsigned long long number_after(const char **text, const char *word)
{
    const char *found = *text != NULL ? strstr(*text, word) : NULL;
    char *end = NULL;
    unsigned long long number = found != NULL ? strtoull(found + strlen(word), &end, 10) : 0;

    *text = end;
    return number;
}

/* "... session 7: ...: done after 0.012 s, 10 B up, 20 B down ..." */
static void take_line(void *arg, const char *line)
{
    struct account *account = arg;
    const char *rest = line;
    unsigned long long id = number_after(&rest, " session "), up, down;

    (void)number_after(&rest, " after ");
    up = number_after(&rest, " s, ");
    down = number_after(&rest, " B up, ");
    if (rest == NULL)
        return;
    if (id >= MOST_IDS || account->seen[id])
        chaos_fail(NULL, "the log tells twice of the end of session %llu, or of too many", id);
    account->seen[id] = true;
    account->lines++;
    account->broken += strstr(line, ": broken after ") != NULL;
    account->up += up;
    account->down += down;
}

static void check(const struct account *account, const char *direction, uint64_t said,
                  uint64_t received, uint64_t sent)
{
    uint64_t unknown = (uint64_t)account->broken * ON_THEIR_WAY;

    if (said > sent || said + unknown < received)
        chaos_fail(NULL,
                   "the relay says that its %u sessions (%u broken) have delivered %" PRIu64
                   " bytes %s; %" PRIu64 " were sent and %" PRIu64 " have come",
                   account->lines, account->broken, said, direction, sent, received);
}

void account_check(struct scenario *scenario)
{
    static struct account account;
    uint64_t stood = standing_bytes() - scenario->standing_before;
    uint64_t sent[2] = {stood, stood}, received[2] = {stood, stood};

    account = (struct account){0};
    journal_each(&scenario->journal, take_line, &account);
    for (unsigned i = 0; i < scenario->crowd.begun; i++)
        for (int side = CLIENT; side <= TARGET; side++) {
            sent[side] += scenario->crowd.sessions[i].end[side].sent;
            received[side] += scenario->crowd.sessions[i].end[side].received;
        }
    for (int i = 0; i < SHARERS; i++) {
        sent[TARGET] += scenario->sharers.sharer[i].sent;
        received[CLIENT] += scenario->sharers.sharer[i].received;
    }
    check(&account, "up", account.up, received[TARGET], sent[CLIENT]);
    check(&account, "down", account.down, received[CLIENT], sent[TARGET]);
    scenario_totals.accounts++;
}
