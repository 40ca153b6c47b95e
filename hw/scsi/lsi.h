/* SPDX-License-Identifier: MIT */
/* LSI53C895A PCI to Ultra2 SCSI controller: between its parts. Source: LSI53C895A Technical Manual 2.2 (LSI Logic,
 * 2001): registers in chapter 4, SCRIPTS in chapter 5. */
#ifndef HW_SCSI_LSI_H
#define HW_SCSI_LSI_H

#include "base/bits.h"
#include "hw/pci/pci.h"
#include "hw/scsi/parallel.h"

enum { LSI_REGS = 256, LSI_RAM = 8192, LSI_810 = 0x0001, LSI_895A = 0x0012 /* PCI devices */ };

/* Register addresses, as the manual spells them. */
enum {
    SCNTL0 = 0x00,
    SCNTL1,
    SCNTL2,
    SCNTL3,
    SCID,
    SXFER,
    SDID,
    GPREG,
    SFBR,
    SOCL,
    SSID,
    SBCL,
    DSTAT,
    SSTAT0,
    SSTAT1,
    SSTAT2,
    DSA = 0x10,
    ISTAT0 = 0x14,
    ISTAT1,
    MBOX0,
    MBOX1,
    CTEST0,
    CTEST1,
    CTEST2,
    CTEST3,
    TEMP = 0x1c,
    DFIFO = 0x20,
    CTEST4,
    CTEST5,
    CTEST6,
    DBC = 0x24,
    DCMD = 0x27,
    DNAD = 0x28,
    DSP = 0x2c,
    DSPS = 0x30,
    SCRATCHA = 0x34,
    DMODE = 0x38,
    DIEN,
    SBR,
    DCNTL,
    ADDER = 0x3c,
    SIEN0 = 0x40,
    SIEN1,
    SIST0,
    SIST1,
    SLPAR,
    SWIDE,
    MACNTL,
    GPCNTL,
    STIME0,
    STIME1,
    RESPID0,
    RESPID1,
    STEST0,
    STEST1,
    STEST2,
    STEST3,
    SIDL = 0x50,
    STEST4 = 0x52,
    SODL = 0x54,
    CCNTL0 = 0x56,
    CCNTL1,
    SBDL = 0x58,
    SCRATCHB = 0x5c,
    MMRS = 0xa0,
    MMWS = 0xa4,
    SFS = 0xa8,
    DRS = 0xac,
    SBMS = 0xb0,
    DBMS = 0xb4,
    DNAD64 = 0xb8,
    PMJAD1 = 0xc0,
    PMJAD2 = 0xc4,
    RBC = 0xc8,
    UA = 0xcc,
    ESA = 0xd0,
    IA = 0xd4,
    SBC = 0xd8,
    CSBC = 0xdc
};
enum {
    SCNTL1_RST = 8,
    SCNTL1_CON = 16,
    SCNTL2_WSR = 1,
    ISTAT_ABRT = 0x80,
    ISTAT_SRST = 0x40,
    ISTAT_SIGP = 0x20,
    ISTAT_SEM = 0x10,
    ISTAT_CON = 8,
    ISTAT_INTF = 4,
    ISTAT_SIP = 2,
    ISTAT_DIP = 1,
    ISTAT1_SRUN = 2,
    DSTAT_DFE = 0x80,
    DSTAT_BF = 0x20,
    DSTAT_ABRT = 0x10,
    DSTAT_SSI = 8,
    DSTAT_SIR = 4,
    DSTAT_IID = 1,
    SIST0_MA = 0x80,
    SIST0_UDC = 4,
    SIST0_RST = 2,
    SIST1_STO = 4,
    SIST1_GEN = 2,
    DMODE_MAN = 1,
    DCNTL_SSM = 16,
    DCNTL_STD = 4,
    CCNTL0_ENPMJ = 0x80,
    CCNTL0_PMJCTL = 0x40,
    CCNTL1_64TIMOD = 4,
    CCNTL1_EN64TIBMV = 2,
    CCNTL1_EN64DBMV = 1,
    SOCL_ATN = 8,
    SOCL_ACK = 0x40,
    SSTAT2_LDSC = 2
};
/* What SCRIPTS wait for. */
typedef enum LsiWait { RUNS, STANDS, WAIT_RESELECT, WAIT_PHASE, WAIT_SLICE } LsiWait;

typedef struct Lsi Lsi;
struct Lsi {
    PciDevice pci;
    Parallel wires;
    MemRegion *io, *mmio, *ram;
    uint8_t reg[LSI_REGS];
    bool carry, in_script, saving, unanswered /* selection */;
    uint8_t wait;        /* LsiWait */
    uint32_t reselect_at;/* WAIT_RESELECT: where to go when the host calls (SIGP) */
    Timer *slice, *general;
};

static inline uint32_t lsi_reg32(const Lsi *s, unsigned at) { return load_le32(s->reg + at); }
static inline void lsi_set32(Lsi *s, unsigned at, uint32_t value) { store_le32(s->reg + at, value); }

/* lsi.c */
uint8_t lsi_read(Lsi *s, unsigned at);
void lsi_write(Lsi *s, unsigned at, uint8_t value);
void lsi_update_irq(Lsi *s);
void lsi_stop_dma(Lsi *s, uint8_t dstat);                 /* SCRIPTS stop with a DMA interrupt */
void lsi_stop_scsi(Lsi *s, uint8_t sist0, uint8_t sist1); /* ... with a SCSI interrupt */

/* lsi-script.c */
void lsi_run(Lsi *s);
void lsi_wake(Lsi *s, LsiWait what); /* goes on if it waits for that */
#endif
