#include "net/guid.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

int guid_parse(const char *text, struct guid *out)
{
    uint8_t bytes[16];
    size_t length = strlen(text);
    size_t count = 0;

    if (length == 38 && text[0] == '{' && text[37] == '}')
        text++;
    else if (length != 36)
        return -1;
    for (size_t i = 0; i < 36; i++) {
        if (i == 8 || i == 13 || i == 18 || i == 23) {
            if (text[i] != '-')
                return -1;
            continue;
        }
        if (hex_value(text[i]) < 0 || hex_value(text[i + 1]) < 0)
            return -1;
        bytes[count++] = (uint8_t)(hex_value(text[i]) * 16 + hex_value(text[i + 1]));
        i++;
    }
    out->data1 =
        (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 | bytes[3];
    out->data2 = (uint16_t)(bytes[4] << 8 | bytes[5]);
    out->data3 = (uint16_t)(bytes[6] << 8 | bytes[7]);
    memcpy(out->data4, bytes + 8, sizeof out->data4);
    return 0;
}

void guid_format(const struct guid *guid, char out[GUID_TEXT])
{
    const uint8_t *d = guid->data4;

    snprintf(out, GUID_TEXT, "%08" PRIx32 "-%04x-%04x-%02x%02x-%02x%02x%02x%02x%02x%02x",
             guid->data1, guid->data2, guid->data3, d[0], d[1], d[2], d[3], d[4], d[5], d[6], d[7]);
}

bool guid_equal(const struct guid *a, const struct guid *b)
{
    return a->data1 == b->data1 && a->data2 == b->data2 && a->data3 == b->data3 &&
           memcmp(a->data4, b->data4, sizeof a->data4) == 0;
}

struct guid guid_from_port(uint32_t port)
{
    return (struct guid){port, 0xfacb, 0x11e6, {0xbd, 0x58, 0x64, 0x00, 0x6a, 0x79, 0x86, 0xd3}};
}

bool guid_to_port(const struct guid *guid, uint32_t *port)
{
    struct guid template = guid_from_port(guid->data1);

    *port = guid->data1;
    return guid_equal(guid, &template);
}
