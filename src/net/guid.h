/* GUIDs as Hyper-V sockets use them, and the template that gives every vsock port one. */
#ifndef HVRELAY_NET_GUID_H
#define HVRELAY_NET_GUID_H

#include <stdbool.h>
#include <stdint.h>

/* The layout of the GUID type on Windows. */
struct guid {
    uint32_t data1;
    uint16_t data2, data3;
    uint8_t data4[8];
};

enum { GUID_TEXT = 37 }; /* bytes of a formatted GUID, with its NUL */

/* "00000ac9-facb-11e6-bd58-64006a7986d3", with or without braces. Returns 0 or -1. */
int guid_parse(const char *text, struct guid *out);
void guid_format(const struct guid *guid, char out[GUID_TEXT]);
bool guid_equal(const struct guid *a, const struct guid *b);

/* The service of vsock port `port`: PPPPPPPP-facb-11e6-bd58-64006a7986d3 (Microsoft's template for
 * Linux guests, "Make your own integration services"). */
struct guid guid_from_port(uint32_t port);

/* True, and *port, where the GUID is on that template. */
bool guid_to_port(const struct guid *guid, uint32_t *port);

#endif
