/* SPDX-License-Identifier: MIT */
/*
 * The NCR 53C9x family of SCSI controllers ("ESP"): the chip, for the adapter that puts its registers on a bus and
 * gives it DMA. Sources: data sheets of the Am53C94/96 (AMD 16506), the Am53CF94/96, and the Am79C974, whose SCSI part
 * is the Am53C974.
 */
#ifndef HW_SCSI_ESP_H
#define HW_SCSI_ESP_H

#include "hw/scsi/parallel.h"

/* Register numbers, as they are read and as they are written. */
enum {
    ESP_COUNT_LOW,
    ESP_COUNT_MID,
    ESP_FIFO,
    ESP_COMMAND,
    ESP_STATUS,
    ESP_INTERRUPT,
    ESP_STEP,
    ESP_FIFO_FLAGS,
    ESP_CONFIG1,
    ESP_CONFIG2 = 0xb,
    ESP_CONFIG3,
    ESP_CONFIG4,
    ESP_COUNT_HIGH,
    ESP_REGS = 16,
    ESP_DESTINATION = ESP_STATUS,
    ESP_FIFO_SIZE = 16
};
enum {
    ESP_INT_RESELECTED = 0x04,
    ESP_INT_DONE = 0x08,
    ESP_INT_SERVICE = 0x10,
    ESP_INT_DISCONNECTED = 0x20,
    ESP_INT_INVALID = 0x40,
    ESP_INT_RESET = 0x80
};

typedef struct Esp Esp;
typedef struct EspHost {
    uint8_t id;  /* the part's identification code */
    void (*irq)(Esp *e, bool level);
    /*
     * Move up to n bytes from or to memory. Returns how many: fewer when the DMA has not begun or is at its end; then
     * esp_run() goes on. May not call into the chip.
     */
    uint32_t (*dma)(Esp *e, uint8_t *bytes, uint32_t n, bool to_memory);
} EspHost;

struct Esp {
    Parallel wires;
    const EspHost *host;
    Timer *later;            /* what ended while the machine was being saved */
    bool saving, running;
    /* state */
    uint8_t fifo[ESP_FIFO_SIZE], fifo_len;
    uint8_t command, queued; /* the command register is two deep; 0: nothing is queued */
    uint8_t status, interrupt, next_interrupt, step, destination, config[4];
    uint32_t start, count;   /* transfer count: as it is written, and what is left */
    uint8_t task;            /* what it does, EspTask */
    uint8_t phase;           /* of the transfer; PHASE_NONE: not begun */
    uint8_t left;            /* message bytes of a selection that are still to go */
    bool dma;                /* of the command */
    bool held;               /* ACK of a message's last byte stays until it is accepted */
    bool listens;            /* to reselection */
    bool id_shown;
};
extern const StateField esp_state[];

/* In the adapter's init(), start(), stop(), saving(), loaded() and at its reset. */
void esp_init(Esp *e, Device *adapter, const EspHost *host);
void esp_start(Esp *e, Device *adapter);
void esp_stop(Esp *e);
void esp_saving(Esp *e);
bool esp_loaded(Esp *e);
void esp_reset(Esp *e);

uint8_t esp_read(Esp *e, unsigned reg);
void esp_write(Esp *e, unsigned reg, uint8_t value);
void esp_run(Esp *e); /* DMA is ready for more */
#endif
