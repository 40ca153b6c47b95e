/* SPDX-License-Identifier: MIT */
/* The storage of A-profile system registers inside ArmCpu: included there, and nowhere else. [ns] = banked by security in AArch32. */
    uint64_t sctlr_el[4], actlr_el[4], cpacr_el1, cptr_el[4], ttbr0_el[4], ttbr1_el[4], tcr_el[4];
    uint64_t esr_el[4], far_el[4], afsr0_el[4], afsr1_el[4], par_el1, mair_el[4], amair_el[4], vbar_el[4], contextidr_el[4];
    uint64_t hcr_el2, scr_el3, vttbr_el2, vtcr_el2, hpfar_el2, hstr_el2, vpidr_el2, vmpidr_el2, mdcr_el2, mdcr_el3;
    uint64_t mdscr_el1, dbgbvr[16], dbgbcr[16], dbgwvr[16], dbgwcr[16], osdlr_el1, oslsr_el1;
