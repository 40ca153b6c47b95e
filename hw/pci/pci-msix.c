/* SPDX-License-Identifier: MIT */
/* MSI-X: vector table, pending bits and masking (PCI 3.0 section 6.8.2). */
#include <sys/eventfd.h>
#include <unistd.h>
#include "base/bits.h"
#include "base/trace.h"
#include "hw/core/event-doors.h"
#include "hw/pci/pci-internal.h"

enum { MSIX_CTL = 2, MSIX_ENABLE = BIT(15), MSIX_FUNCTION_MASK = BIT(14), MSIX_ENTRY = 16,
       MSIX_VECTOR_CTL = 12 };

struct PciMsix {
    unsigned vectors;
    MemRegion *table, *pba, *bar; /* bar: the exclusive one, or NULL */
    struct MsixWire *wire;        /* for each vector, or NULL: messages are written */
    void (*changed)(PciDevice *d, unsigned vector);
};

/* A message that an eventfd sends (hw/core/event-doors.h). */
typedef struct MsixWire {
    bool tried;
    int fd, handle; /* handle < 0: none */
    MsiMessage message;
} MsixWire;

/* msix_state holds the table, then the pending bits in 64-bit words. */
static uint8_t *entry(const PciDevice *d, unsigned v) { return d->msix_state->data + (size_t)v * MSIX_ENTRY; }
static uint8_t *pending_byte(const PciDevice *d, unsigned v)
{
    return d->msix_state->data + (size_t)d->msix->vectors * MSIX_ENTRY + v / 8;
}
static uint32_t pba_size(unsigned vectors) { return (vectors + 63) / 64 * 8; }
static uint16_t msix_ctl(const PciDevice *d) { return (uint16_t)pci_config_get(d, d->cap_msix + MSIX_CTL, 2); }

bool msix_enabled(const PciDevice *d) { return d->msix && (msix_ctl(d) & MSIX_ENABLE); }

bool msix_vector_masked(const PciDevice *d, unsigned vector)
{
    return (msix_ctl(d) & MSIX_FUNCTION_MASK) || (entry(d, vector)[MSIX_VECTOR_CTL] & 1);
}

MsiMessage msix_message(const PciDevice *d, unsigned vector)
{
    return (MsiMessage){.address = load_le64(entry(d, vector)) & ~UINT64_C(3),
                        .data = load_le32(entry(d, vector) + 8)};
}

static void wire_free(MsixWire *w)
{
    if (w->handle >= 0 && w->tried && event_doors()->msi_fd_free)
        event_doors()->msi_fd_free(w->handle, w->fd);
    if (w->tried && w->fd >= 0)
        close(w->fd);
    *w = (MsixWire){ .fd = -1, .handle = -1 };
}

bool pci_msi_by_eventfd(const PciDevice *d, MsiMessage m)
{
    const PciBus *root = pci_bus_root(d->bus); /* outside of its window a message is a write to memory */
    return event_doors()->msi_fd_new && m.address >= root->msi_first && m.address < root->msi_last &&
           d->config[PCI_COMMAND] & PCI_CMD_MASTER;
}

/* The way that the accelerator has for the vector's present message; false: there is none. */
static bool send_by_wire(PciDevice *d, unsigned vector, MsiMessage m)
{
    const EventDoors *doors = event_doors();
    if (!pci_msi_by_eventfd(d, m))
        return false;
    if (!d->msix->wire)
        d->msix->wire = g_new0(MsixWire, d->msix->vectors);
    MsixWire *w = &d->msix->wire[vector];
    if (!w->tried) {
        *w = (MsixWire){ .tried = true, .fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC), .handle = -1, .message = m };
        w->handle = w->fd < 0 ? -1 : doors->msi_fd_new(w->fd, m.address, m.data, pci_attrs(d).requester);
    } else if (w->handle >= 0 && (w->message.address != m.address || w->message.data != m.data)) {
        w->message = m;
        if (!doors->msi_fd_set(w->handle, m.address, m.data, pci_attrs(d).requester))
            wire_free(w);
    }
    uint64_t one = 1;
    return w->handle >= 0 && write(w->fd, &one, sizeof(one)) == sizeof(one);
}

void msix_notify(PciDevice *d, unsigned vector)
{
    if (!msix_enabled(d) || vector >= d->msix->vectors)
        return;
    if (msix_vector_masked(d, vector)) {
        *pending_byte(d, vector) |= (uint8_t)(1u << (vector % 8));
        return;
    }
    TRACE(msix_notify, "%s vector %u", d->dev.id, vector);
    MsiMessage m = msix_message(d, vector);
    if (!send_by_wire(d, vector, m))
        pci_send_msi(d, m);
}

/* Send what has become pending while the vector was masked. */
static void fire_pending(PciDevice *d, unsigned vector)
{
    uint8_t bit = (uint8_t)(1u << (vector % 8));

    if (!(*pending_byte(d, vector) & bit) || !msix_enabled(d) || msix_vector_masked(d, vector))
        return;
    *pending_byte(d, vector) &= (uint8_t)~bit;
    msix_notify(d, vector);
}

static MemResult table_read(void *opaque, hwaddr offset, unsigned size, uint64_t *value,
                            MemAttrs attrs)
{
    PciDevice *d = opaque;

    *value = load_le(d->msix_state->data + offset, size);
    return MEM_OK;
}

static MemResult table_write(void *opaque, hwaddr offset, unsigned size, uint64_t value,
                             MemAttrs attrs)
{
    PciDevice *d = opaque;
    unsigned vector = (unsigned)(offset / MSIX_ENTRY);
    uint8_t *e = entry(d, vector);

    store_le(d->msix_state->data + offset, size, value);
    store_le32(e + MSIX_VECTOR_CTL, e[MSIX_VECTOR_CTL] & 1);
    fire_pending(d, vector);
    if (d->msix->changed)
        d->msix->changed(d, vector);
    return MEM_OK;
}

void msix_on_change(PciDevice *d, void (*changed)(PciDevice *d, unsigned vector)) { d->msix->changed = changed; }

static MemResult pba_read(void *opaque, hwaddr offset, unsigned size, uint64_t *value,
                          MemAttrs attrs)
{
    PciDevice *d = opaque;

    *value = load_le(pending_byte(d, 0) + offset, size);
    return MEM_OK;
}

static MemResult pba_write(void *opaque, hwaddr offset, unsigned size, uint64_t value,
                           MemAttrs attrs)
{
    return MEM_OK; /* read-only for software */
}

static const MemOps table_ops = { .read = table_read, .write = table_write, .min_size = 4,
                                  .max_size = 8 };
static const MemOps pba_ops = { .read = pba_read, .write = pba_write, .min_size = 4,
                                .max_size = 8 };

static void mask_all(PciDevice *d)
{
    memset(d->msix_state->data, 0, d->msix_state->len);
    for (unsigned i = 0; i < d->msix->vectors; i++)
        entry(d, i)[MSIX_VECTOR_CTL] = 1;
}

bool msix_init(PciDevice *d, uint16_t offset, unsigned vectors, unsigned table_bar,
               MemRegion *table_in, uint32_t table_at, unsigned pba_bar, MemRegion *pba_in,
               uint32_t pba_at, Error **errp)
{
    uint16_t at;

    if (vectors < 1 || vectors > 2048) {
        error_setf(errp, "device '%s': %u MSI-X vectors; there can be 1 to 2048", d->dev.id,
                   vectors);
        return false;
    }
    at = pci_add_capability(d, PCI_CAP_MSIX, offset, 12);
    d->cap_msix = at;
    pci_config_define(d, at + MSIX_CTL, 2, vectors - 1, MSIX_ENABLE | MSIX_FUNCTION_MASK);
    pci_config_define(d, at + 4, 4, table_at | table_bar, 0);
    pci_config_define(d, at + 8, 4, pba_at | pba_bar, 0);
    d->msix = g_new0(PciMsix, 1);
    d->msix->vectors = vectors;
    g_byte_array_set_size(d->msix_state, vectors * MSIX_ENTRY + pba_size(vectors));
    mask_all(d);
    d->msix->table =
        mem_io_new("msix-table", (uint64_t)vectors * MSIX_ENTRY, &table_ops, d, d->dev.domain);
    d->msix->pba = mem_io_new("msix-pba", pba_size(vectors), &pba_ops, d, d->dev.domain);
    mem_map(table_in, table_at, d->msix->table, 1);
    mem_map(pba_in, pba_at, d->msix->pba, 1);
    return true;
}

bool msix_init_exclusive_bar(PciDevice *d, unsigned vectors, unsigned bar, Error **errp)
{
    uint32_t pba_at =
        vectors * MSIX_ENTRY <= 2048 ? 2048 : (uint32_t)align_up(vectors * MSIX_ENTRY, 4096);
    uint64_t size = 4096;
    MemRegion *region;

    while (size < pba_at + pba_size(vectors))
        size *= 2;
    region = mem_container_new("msix-bar", size);
    if (!msix_init(d, 0, vectors, bar, region, 0, bar, region, pba_at, errp)) {
        mem_region_free(region);
        return false;
    }
    d->msix->bar = region;
    pci_register_bar(d, bar, PCI_BAR_MEM, region);
    return true;
}

void msix_config_wrote(PciDevice *d, uint32_t at, unsigned size)
{
    if (!d->msix || !pci_overlaps(at, size, d->cap_msix + MSIX_CTL, 2) || !msix_enabled(d))
        return;
    if (d->intx_level)
        pci_set_irq(d, 0);
    for (unsigned i = 0; i < d->msix->vectors; i++)
        fire_pending(d, i);
}

void msix_reset(PciDevice *d)
{
    if (d->msix)
        mask_all(d);
}

bool msix_loaded(PciDevice *d, Error **errp)
{
    size_t want = d->msix ? d->msix->vectors * MSIX_ENTRY + pba_size(d->msix->vectors) : 0;

    if (d->msix_state->len == want)
        return true;
    error_setf(errp, "device '%s': saved MSI-X state has %u bytes, this device needs %zu",
               d->dev.id, d->msix_state->len, want);
    g_byte_array_set_size(d->msix_state, (guint)want);
    return false;
}

void msix_free(PciDevice *d)
{
    if (!d->msix)
        return;
    for (unsigned i = 0; d->msix->wire && i < d->msix->vectors; i++)
        wire_free(&d->msix->wire[i]);
    g_free(d->msix->wire);
    mem_region_free(d->msix->table);
    mem_region_free(d->msix->pba);
    g_clear_pointer(&d->msix->bar, mem_region_free);
    g_clear_pointer(&d->msix, g_free);
}
