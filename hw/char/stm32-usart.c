/* SPDX-License-Identifier: MIT */
/* USART of STM32F1 and STM32F4 (RM0041, chapter 23; RM0090, chapter 30), asynchronous mode. */
#include "base/bits.h"
#include "hw/char/uart-port.h"

enum { SR_ORE = 8, SR_RXNE = 0x20, SR_TC = 0x40, SR_TXE = 0x80 };
enum {
    CR1_RE = 4,
    CR1_TE = 8,
    CR1_RXNEIE = 0x20,
    CR1_TCIE = 0x40,
    CR1_TXEIE = 0x80,
    CR1_UE = 0x2000,
    CR3_DMAR = 0x40,
    CR3_DMAT = 0x80
};
enum { PIN_RX = 1, PIN_TX = 2 }; /* requests to the DMA */

typedef struct Stm32Usart {
    Device dev; /* always first */
    UartPort port;
    uint32_t tc, dr, brr, cr1, cr2, cr3, gtpr;
} Stm32Usart;

static uint32_t status(const Stm32Usart *s)
{
    return (uart_port_has(&s->port) ? SR_RXNE : 0) | (uart_port_room(&s->port) ? SR_TXE | s->tc : 0);
}

static void update(Device *d)
{
    const Stm32Usart *s = (Stm32Usart *)d;
    uint32_t sr = status(s);
    /* flags and enables stand in the same places */
    device_out(d, 0, (sr & s->cr1 & (CR1_RXNEIE | CR1_TCIE | CR1_TXEIE)) != 0);
    device_out(d, PIN_RX, s->cr3 & CR3_DMAR && sr & SR_RXNE);
    device_out(d, PIN_TX, s->cr3 & CR3_DMAT && sr & SR_TXE && (s->cr1 & (CR1_TE | CR1_UE)) == (CR1_TE | CR1_UE));
}

static uint64_t sr_read(Device *d, const Reg *r, unsigned i, uint64_t stored) { return status((Stm32Usart *)d); }

static void sr_wrote(Device *d, const Reg *r, unsigned i, uint64_t old, uint64_t value)
{
    ((Stm32Usart *)d)->tc &= (uint32_t)value & SR_TC;
    update(d);
}

static uint64_t dr_read(Device *d, const Reg *r, unsigned i, uint64_t stored)
{
    uint8_t v = uart_port_get(&((Stm32Usart *)d)->port);
    update(d);
    return v;
}

static void dr_wrote(Device *d, const Reg *r, unsigned i, uint64_t old, uint64_t value)
{
    Stm32Usart *s = (Stm32Usart *)d;
    if ((s->cr1 & (CR1_TE | CR1_UE)) != (CR1_TE | CR1_UE))
        return;
    uart_port_put(&s->port, (uint8_t)value);
    s->tc = SR_TC;
    update(d);
}

static void cr1_wrote(Device *d, const Reg *r, unsigned i, uint64_t old, uint64_t value)
{
    Stm32Usart *s = (Stm32Usart *)d;
    uart_port_listen(&s->port, (s->cr1 & (CR1_RE | CR1_UE)) == (CR1_RE | CR1_UE));
    update(d);
}

static void cr3_wrote(Device *d, const Reg *r, unsigned i, uint64_t old, uint64_t value) { update(d); }

static const Reg regs[] = {
    { .name = "SR", .at = 0x00, .size = 4, .field = REG_NO_FIELD, .read = sr_read, .wrote = sr_wrote },
    { .name = "DR", .at = 0x04, .size = 4, .field = REG_NO_FIELD, .read = dr_read, .wrote = dr_wrote },
    { .name = "BRR", .at = 0x08, .size = 4, .field = offsetof(Stm32Usart, brr) },
    { .name = "CR1", .at = 0x0c, .size = 4, .field = offsetof(Stm32Usart, cr1), .wrote = cr1_wrote },
    { .name = "CR2", .at = 0x10, .size = 4, .field = offsetof(Stm32Usart, cr2) },
    { .name = "CR3", .at = 0x14, .size = 4, .field = offsetof(Stm32Usart, cr3), .wrote = cr3_wrote },
    { .name = "GTPR", .at = 0x18, .size = 4, .field = offsetof(Stm32Usart, gtpr) },
    { .name = NULL },
};
static const RegBank bank = { .name = "regs", .size = 0x400, .regs = regs };
static const RegBank *const banks[] = { &bank, NULL };
static const StateField state[] = { STATE_STRUCT(Stm32Usart, port, uart_port_state), STATE_U32(Stm32Usart, tc),
                                    STATE_END_OF_TABLE };

static void init(Device *d) { uart_port_init(&((Stm32Usart *)d)->port, d, 1, update); }
static bool start(Device *d, Error **errp) { return uart_port_start(&((Stm32Usart *)d)->port, errp); }
static void stop(Device *d) { uart_port_stop(&((Stm32Usart *)d)->port); }
static bool loaded(Device *d, Error **errp) { return uart_port_loaded(&((Stm32Usart *)d)->port, errp); }

static void reset(Device *d, ResetPhase phase)
{
    Stm32Usart *s = (Stm32Usart *)d;
    uart_port_reset(&s->port, phase);
    if (phase == RESET_ENTER)
        s->tc = SR_TC, s->port.deaf = true;
    else if (phase == RESET_HOLD)
        update(d);
}

static const Property props[] = { DEFINE_PROP_CHARDEV("chardev", Stm32Usart, port.chr), DEFINE_PROP_END };
static const char *const pins[] = { "irq", "dma*2", NULL };
static const DeviceType stm32_usart_type = {
    .name = "stm32f2xx-usart",
    .desc = "STM32F1/F2/F4 USART",
    .category = "Misc",
    .size = sizeof(Stm32Usart),
    .banks = banks,
    .props = props,
    .state = state,
    .out_pins = pins,
    .init = init,
    .start = start,
    .reset = reset,
    .loaded = loaded,
    .stop = stop,
};
DEVICE_REGISTER(stm32_usart_type)
