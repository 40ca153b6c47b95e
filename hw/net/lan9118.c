/* SPDX-License-Identifier: MIT */
/*
 * LAN9118 Ethernet controller (SMSC datasheet rev. 1.5) without a cable: registers, MAC and PHY management; frames sent
 * go nowhere.
 */
#include "base/bits.h"
#include "hw/core/device.h"

enum { MAC_REGS = 13, PHY_REGS = 32, MAC_MII_ACC = 6, MAC_MII_DATA = 7 };
enum { INT_SW = 1u << 31, INT_TX = 1 << 21 };
enum { TX_WORDS = 1152, STATUS_DEPTH = 128 };

typedef struct Lan9118 {
    Device dev; /* always first */
    uint32_t irq_cfg, int_sts, int_en, fifo_int, rx_cfg, tx_cfg, hw_cfg, pmt, gpio, gpt_cfg, afc, e2p_cmd, e2p_data,
        mac_cmd, mac_data, word_swap;
    uint32_t mac[MAC_REGS], phy[PHY_REGS];
    uint32_t tx_state;  /* words of the frame in progress that are still to come */
    uint32_t tx_left, tx_cmd_a, tx_status[STATUS_DEPTH], tx_status_head, tx_status_count;
} Lan9118;

static void update(Lan9118 *s)
{
    device_out(&s->dev, 0, s->irq_cfg & 0x100 && s->int_sts & s->int_en);
}

static void changed(Device *d, const Reg *r, unsigned i, uint64_t old, uint64_t value) { update((Lan9118 *)d); }

static void int_en_wrote(Device *d, const Reg *r, unsigned i, uint64_t old, uint64_t value)
{
    Lan9118 *s = (Lan9118 *)d;
    if (value & INT_SW && !(old & INT_SW)) /* the software interrupt */
        s->int_sts |= INT_SW;
    update(s);
}

/* ---- sending: TX command A, B, data (section 3.12); what is complete leaves a status ---- */

static void frame_sent(Lan9118 *s, uint32_t tag)
{
    if (s->tx_status_count < STATUS_DEPTH)
        s->tx_status[(s->tx_status_head + s->tx_status_count++) % STATUS_DEPTH] = tag & 0xffff0000;
    if (s->tx_cmd_a >> 31)
        s->int_sts |= INT_TX;
    update(s);
}

static void tx_wrote(Device *d, const Reg *r, unsigned i, uint64_t old, uint64_t value)
{
    Lan9118 *s = (Lan9118 *)d;
    enum { COMMAND_A, COMMAND_B, DATA };
    switch (s->tx_state) {
    case COMMAND_A:
        s->tx_cmd_a = (uint32_t)value;
        s->tx_state = COMMAND_B;
        break;
    case COMMAND_B: {
        unsigned size = s->tx_cmd_a & 0x7ff, offset = s->tx_cmd_a >> 16 & 31;
        s->tx_left = (size + offset + 3) / 4;
        s->tx_cmd_a = (s->tx_cmd_a & 0x80002000) | (uint32_t)value >> 16; /* interrupt, last segment, tag */
        s->tx_state = s->tx_left ? DATA : COMMAND_A;
        break;
    }
    default:
        if (--s->tx_left == 0) {
            s->tx_state = COMMAND_A;
            if (s->tx_cmd_a & 0x2000)
                frame_sent(s, s->tx_cmd_a << 16);
        }
        break;
    }
}

static uint64_t tx_status_read(Device *d, const Reg *r, unsigned i, uint64_t stored)
{
    Lan9118 *s = (Lan9118 *)d;
    if (!s->tx_status_count)
        return 0;
    uint32_t status = s->tx_status[s->tx_status_head % STATUS_DEPTH];
    if (r->at == 0x48) { /* 0x4c only looks */
        s->tx_status_head = (s->tx_status_head + 1) % STATUS_DEPTH;
        s->tx_status_count--;
    }
    return status;
}

static uint64_t tx_inf_read(Device *d, const Reg *r, unsigned i, uint64_t stored)
{
    return ((Lan9118 *)d)->tx_status_count << 16 | TX_WORDS * 4;
}

/* ---- MAC registers and the PHY behind them: every transfer is done at once ---- */

static void mii_access(Lan9118 *s)
{
    uint32_t acc = s->mac[MAC_MII_ACC];
    unsigned reg = acc >> 6 & 31;
    s->mac[MAC_MII_ACC] &= ~1u;
    if ((acc >> 11 & 31) != 1) {
        s->mac[MAC_MII_DATA] = 0xffff;
    } else if (!(acc & 2)) {
        s->mac[MAC_MII_DATA] = s->phy[reg];
    } else if (reg == 0) {
        s->phy[0] = s->mac[MAC_MII_DATA] & 0x7fff & ~0x200u; /* reset and restart of negotiation are over at once */
    } else if (reg == 4 || reg == 17 || reg == 18 || reg == 27 || reg == 30) {
        s->phy[reg] = s->mac[MAC_MII_DATA] & 0xffff;
    }
}

static void mac_cmd_wrote(Device *d, const Reg *r, unsigned i, uint64_t old, uint64_t value)
{
    Lan9118 *s = (Lan9118 *)d;
    unsigned reg = value & 0xff;
    if (!(value >> 31))
        return;
    s->mac_cmd &= ~(1u << 31);
    if (reg == 0 || reg >= MAC_REGS)
        return;
    if (value >> 30 & 1) {
        s->mac_data = s->mac[reg];
        return;
    }
    s->mac[reg] = s->mac_data;
    if (reg == MAC_MII_ACC)
        mii_access(s);
}

static void e2p_cmd_wrote(Device *d, const Reg *r, unsigned i, uint64_t old, uint64_t value)
{
    Lan9118 *s = (Lan9118 *)d;
    if (value >> 31) /* no EEPROM: time-out */
        s->e2p_cmd = ((uint32_t)value & 0x7fffffff) | 0x200;
}

static void reset_chip(Lan9118 *s)
{
    static const uint32_t mac[MAC_REGS] = { [1] = 0x00040000, [2] = 0xffff, [3] = 0xffffffff, [9] = 0xffffffff };
    static const uint32_t phy[PHY_REGS] = {
        [0] = 0x3000, [1] = 0x7809, [2] = 0x0007, [3] = 0xc0d1, [4] = 0x01e1, [31] = 0x0040
    };
    memcpy(s->mac, mac, sizeof mac);
    memcpy(s->phy, phy, sizeof phy);
    s->tx_state = s->tx_left = s->tx_cmd_a = s->tx_status_head = s->tx_status_count = 0;
    s->int_sts = s->int_en = 0;
}

static void hw_cfg_wrote(Device *d, const Reg *r, unsigned i, uint64_t old, uint64_t value)
{
    Lan9118 *s = (Lan9118 *)d;
    if (value & 1)
        reset_chip(s);
    s->hw_cfg = (s->hw_cfg & ~1u) | 4; /* 32-bit bus */
    update(s);
}

static uint64_t free_run_read(Device *d, const Reg *r, unsigned i, uint64_t stored)
{
    return (uint64_t)clock_ns(CLOCK_VIRTUAL_NS) / 40;
}
static uint64_t constant_read(Device *d, const Reg *r, unsigned i, uint64_t stored)
{
    return r->at == 0x50 ? 0x01180001 : r->at == 0x64 ? 0x87654321 : 0;
}

#define R(name_, at_, ...) { .name = name_, .at = at_, .size = 4, __VA_ARGS__ }
#define F(f) .field = offsetof(Lan9118, f)
#define NONE .field = REG_NO_FIELD
static const Reg lan_regs[] = {
    R("RX_DATA", 0x00, NONE, .read = constant_read, .access = REG_RO, .count = 8, .stride = 4),
    R("TX_DATA", 0x20, NONE, .wrote = tx_wrote, .access = REG_WO, .count = 8, .stride = 4),
    R("RX_STATUS", 0x40, NONE, .read = constant_read, .access = REG_RO, .count = 2, .stride = 4),
    R("TX_STATUS", 0x48, NONE, .read = tx_status_read, .access = REG_RO),
    R("TX_STATUS_PEEK", 0x4c, NONE, .read = tx_status_read, .access = REG_RO),
    R("ID_REV", 0x50, NONE, .read = constant_read, .access = REG_RO),
    R("IRQ_CFG", 0x54, F(irq_cfg), .wrote = changed),
    R("INT_STS", 0x58, F(int_sts), .w1c = 0xffffffff, .wrote = changed),
    R("INT_EN", 0x5c, F(int_en), .wrote = int_en_wrote),
    R("BYTE_TEST", 0x64, NONE, .read = constant_read, .access = REG_RO),
    R("FIFO_INT", 0x68, F(fifo_int), .reset = 0x48000000),
    R("RX_CFG", 0x6c, F(rx_cfg)),
    R("TX_CFG", 0x70, F(tx_cfg), .rsvd = 0xc004),
    R("HW_CFG", 0x74, F(hw_cfg), .reset = 0x00050004, .wrote = hw_cfg_wrote),
    R("RX_DP_CTRL", 0x78, NONE),
    R("RX_FIFO_INF", 0x7c, NONE, .access = REG_RO),
    R("TX_FIFO_INF", 0x80, NONE, .read = tx_inf_read, .access = REG_RO),
    R("PMT_CTRL", 0x84, F(pmt), .reset = 1, .ro = 1),
    R("GPIO_CFG", 0x88, F(gpio)),
    R("GPT_CFG", 0x8c, F(gpt_cfg), .reset = 0xffff),
    R("GPT_CNT", 0x90, NONE, .access = REG_RO),
    R("WORD_SWAP", 0x98, F(word_swap)),
    R("FREE_RUN", 0x9c, NONE, .read = free_run_read, .access = REG_RO),
    R("RX_DROP", 0xa0, NONE, .access = REG_RO),
    R("MAC_CSR_CMD", 0xa4, F(mac_cmd), .wrote = mac_cmd_wrote),
    R("MAC_CSR_DATA", 0xa8, F(mac_data)),
    R("AFC_CFG", 0xac, F(afc)),
    R("E2P_CMD", 0xb0, F(e2p_cmd), .wrote = e2p_cmd_wrote),
    R("E2P_DATA", 0xb4, F(e2p_data)),
    { .name = NULL },
};
static const RegBank lan_bank = { .name = "regs", .size = 0x100, .regs = lan_regs };
static const RegBank *const lan_banks[] = { &lan_bank, NULL };
static const char *const lan_pins[] = { "irq", NULL };
static const StateField lan_state[] = {
    STATE_U32_ARRAY(Lan9118, mac),      STATE_U32_ARRAY(Lan9118, phy),       STATE_U32(Lan9118, tx_state),
    STATE_U32(Lan9118, tx_left),        STATE_U32(Lan9118, tx_cmd_a),        STATE_U32_ARRAY(Lan9118, tx_status),
    STATE_U32(Lan9118, tx_status_head), STATE_U32(Lan9118, tx_status_count), STATE_END_OF_TABLE
};

static void lan_reset(Device *d, ResetPhase phase)
{
    if (phase == RESET_ENTER)
        reset_chip((Lan9118 *)d);
    else if (phase == RESET_HOLD)
        update((Lan9118 *)d);
}

static bool lan_loaded(Device *d, Error **errp)
{
    Lan9118 *s = (Lan9118 *)d;
    if (s->tx_state <= 2 && (s->tx_state < 2 || s->tx_left) && s->tx_status_count <= STATUS_DEPTH &&
        s->tx_status_head < STATUS_DEPTH)
        return true;
    error_setf(errp, "lan9118: impossible state of the transmitter");
    return false;
}

static const DeviceType lan_type = {
    .name = "lan9118",
    .desc = "SMSC LAN9118 without a cable",
    .category = "Network",
    .size = sizeof(Lan9118),
    .banks = lan_banks,
    .state = lan_state,
    .out_pins = lan_pins,
    .reset = lan_reset,
    .loaded = lan_loaded,
};
DEVICE_REGISTER(lan_type)
