#include "net/windows/vms.h"

#include "base/text.h"

#include <string.h>
#include <uv.h>

#include <windows.h>

/* A VM takes longer than this to come back under a new id. */
#define RECENT_MS 2000

/* So often at most is it asked about a VM that is found but not there. */
#define JUST_ASKED_MS 200

enum { REMEMBERED = 16 };

static struct {
    char name[ENDPOINT_NAME];
    bool wsl;
    struct guid id;
    ULONGLONG at; /* 0: never asked */
} answers[REMEMBERED];

/* Held while somebody asks, so that many sessions that start at once ask once. */
static SRWLOCK lock = SRWLOCK_INIT;

static bool is_for(int place, const char *name)
{
    return answers[place].at && answers[place].wsl == !name &&
           strcmp(answers[place].name, name ? name : "") == 0;
}

/* The answer for that name, or the oldest one. */
static int place_of(const char *name)
{
    int oldest = 0;

    for (int i = 0; i < REMEMBERED; i++) {
        if (is_for(i, name))
            return i;
        if (answers[i].at < answers[oldest].at)
            oldest = i;
    }
    answers[oldest].at = 0;
    return oldest;
}

static int ask(int place, const char *name, struct err *err)
{
    struct guid *id = &answers[place].id;
    int status = name ? vms_find(name, id, err) : vms_find_wsl(id, err);

    answers[place].at = status == 0 ? GetTickCount64() : 0;
    answers[place].wsl = !name;
    (void)text_copy(answers[place].name, ENDPOINT_NAME, name ? name : "", name ? strlen(name) : 0);
    return status;
}

int vms_find_recent(const char *name, struct guid *id, struct err *err)
{
    int place, status = 0;

    AcquireSRWLockExclusive(&lock);
    place = place_of(name);
    if (answers[place].at == 0 || GetTickCount64() - answers[place].at > RECENT_MS)
        status = ask(place, name, err);
    *id = answers[place].id;
    ReleaseSRWLockExclusive(&lock);
    return status;
}

/* While somebody asks there is nothing to forget: the answer will be new. */
bool vms_forget(const char *name)
{
    bool forgotten = false;

    if (!TryAcquireSRWLockExclusive(&lock))
        return true;
    for (int i = 0; i < REMEMBERED; i++) {
        if (is_for(i, name) && GetTickCount64() - answers[i].at > JUST_ASKED_MS) {
            answers[i].at = 0;
            forgotten = true;
        }
    }
    ReleaseSRWLockExclusive(&lock);
    return forgotten;
}
