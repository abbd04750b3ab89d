/* A GUID that reads is written in one way, which reads as the same; ports keep their number. */
#include "fuzz.h"

#include "base/text.h"
#include "net/guid.h"

#include <stdlib.h>
#include <string.h>

static void check_guid(const char *text, const struct guid *guid)
{
    char written[GUID_TEXT], bare[GUID_TEXT];
    struct guid same;
    uint32_t port;

    guid_format(guid, written);
    HOLDS(strlen(written) == GUID_TEXT - 1);
    HOLDS(guid_parse(written, &same) == 0 && guid_equal(guid, &same));
    HOLDS(text_copy(bare, sizeof bare, text + (text[0] == '{'), GUID_TEXT - 1) == 0);
    HOLDS(text_equal_nocase(written, bare));
    if (guid_to_port(guid, &port)) {
        same = guid_from_port(port);
        HOLDS(guid_equal(guid, &same));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = fuzz_text(data, size);
    struct guid guid;

    if (guid_parse(text, &guid) == 0)
        check_guid(text, &guid);
    free(text);
    return 0;
}
