/* SPDX-License-Identifier: MIT */
/* Which request line of an STM32's DMA a peripheral drives: input "req" of device stm32f1xx-dma or stm32f4xx-dma. */
#ifndef HW_DMA_STM32_DMA_H
#define HW_DMA_STM32_DMA_H

#define DMA_USART(n, tx) (1 + 2 * ((n) - 1) + (tx))    /* USART1..8 */
#define DMA_SPI(n, tx) (17 + 2 * ((n) - 1) + (tx))     /* SPI1..3 */
#define DMA_ADC(n) (23 + (n) - 1)                      /* ADC1..3 */
/* Requests of timers are pulses, one for each item: event 0 is the update, 1..4 are the compare channels. TIM1..17. */
#define DMA_TIM(n, event) (32 + 5 * ((n) - 1) + (event))
enum { DMA_PULSES = DMA_TIM(1, 0), DMA_REQUESTS = 128 };
#endif
