/* SPDX-License-Identifier: MIT */
/*
 * Bare-metal start: PVH entry (32-bit, flat) to 64-bit mode with 1 GiB identity-mapped in 2 MiB pages; exception
 * stubs; AP start.
 */
        .section .note.pvh, "a"
        .align 4
        .long 4, 4, 18          /* name size, descriptor size, XEN_ELFNOTE_PHYS32_ENTRY */
        .asciz "Xen"
        .long start32

        .section .text
        .code32
        .globl start32
start32:
        cli
        cld
        mov %ebx, start_info
        mov $stack_top, %esp
        call build_tables
        call enter_long         /* returns in 64-bit code */
        .code64
        mov $stack_top, %rsp
        call main
1:      hlt
        jmp 1b

        .code32
/* pml4 -> pdpt -> 512 pages of 2 MiB */
build_tables:
        movl $pdpt + 7, pml4
        movl $pd + 7, pdpt
        mov $pd, %edi
        mov $0x83, %eax
        mov $512, %ecx
1:      mov %eax, (%edi)
        movl $0, 4(%edi)
        add $0x200000, %eax
        add $8, %edi
        loop 1b
        /* the local APIC's gigabyte: one 2 MiB page at 0xfee00000, uncached */
        movl $pd_apic + 7, pdpt + 24
        movl $0xfee0009f, pd_apic + 0xfb8
        movl $0xfec0009f, pd_apic + 0xfb0
        ret

        .globl enter_long
enter_long:
        pop %ebx
        mov $pml4, %eax
        mov %eax, %cr3
        mov %cr4, %eax
        or $0x6a0, %eax         /* PAE, PGE, OSFXSR, OSXMMEXCPT */
        mov %eax, %cr4
        mov $0xc0000080, %ecx
        rdmsr
        or $0x901, %eax         /* NXE, LME, SCE */
        wrmsr
        mov %cr0, %eax
        and $~0xe, %eax
        or $0x80010021, %eax    /* PG, WP, NE, PE */
        mov %eax, %cr0
        lgdt gdt_ptr32
        ljmp $0x08, $1f
        .code64
1:      mov $0x10, %eax
        mov %eax, %ds
        mov %eax, %es
        mov %eax, %ss
        xor %eax, %eax
        mov %eax, %fs
        mov %eax, %gs
        mov %ebx, %ebx
        jmp *%rbx

/* --- exceptions: vector n at idt_stub + 16 n --- */
        .globl idt_stub
        .align 16
idt_stub:
        .set n, 0
        .rept 256
        .align 16
        .if !((n == 8) || (n >= 10 && n <= 14) || (n == 17) || (n == 21))
        push $0
        .endif
        push $n
        jmp exception
        .set n, n + 1
        .endr
exception:
        push %rax; push %rcx; push %rdx; push %rbx; push %rbp; push %rsi; push %rdi
        push %r8; push %r9; push %r10; push %r11; push %r12; push %r13; push %r14; push %r15
        mov %rsp, %rdi
        cld
        call on_exception
        pop %r15; pop %r14; pop %r13; pop %r12; pop %r11; pop %r10; pop %r9; pop %r8
        pop %rdi; pop %rsi; pop %rbp; pop %rbx; pop %rdx; pop %rcx; pop %rax
        add $16, %rsp
        iretq

/* run_user(rip, rsp, cs, ss, rflags): iretq there; the exception handler returns here when user code traps out */
        .globl run_user, user_return
run_user:
        push %rbx; push %rbp; push %r12; push %r13; push %r14; push %r15
        mov %rsp, kernel_rsp
        push %rcx
        push %rsi
        push %r8
        push %rdx
        push %rdi
        iretq
user_return:
        mov kernel_rsp, %rsp
        pop %r15; pop %r14; pop %r13; pop %r12; pop %rbp; pop %rbx
        ret

        .globl syscall_entry
syscall_entry:                  /* rcx = return rip, r11 = rflags */
        mov %rcx, syscall_rcx
        mov %r11, syscall_r11
        mov %rsp, syscall_rsp
        mov kernel_rsp, %rsp
        sub $256, %rsp
        cmpl $1, syscall_once   /* first time: go back with sysret */
        jne user_return
        movl $2, syscall_once
        mov syscall_rsp, %rsp
        sysretq

/* --- application processors: copied to 0x8000 --- */
        .code16
        .globl ap_start, ap_end
ap_start:
        cli
        xor %ax, %ax
        mov %ax, %ds
        lgdtl (ap_gdt - ap_start + 0x8000)
        mov %cr0, %eax
        or $1, %eax
        mov %eax, %cr0
        ljmpl $0x18, $ap32
        .align 8
ap_gdt: .word gdt_end - gdt - 1
        .long gdt
ap_end:
        .code32
ap32:   mov $0x10, %eax
        mov %eax, %ds
        mov %eax, %es
        mov %eax, %ss
        mov $1, %eax
        lock xadd %eax, ap_count
        mov %eax, %esp
        shl $12, %esp
        add $ap_stacks + 4096, %esp
        call enter_long
        .code64
        lidt idt_ptr
        call ap_main
1:      hlt
        jmp 1b

        .data
        .globl start_info
start_info: .long 0         /* PVH's hvm_start_info */
        .align 16
        .globl gdt, gdt_end, gdt_ptr, idt_ptr
gdt:    .quad 0
        .quad 0x00af9a000000ffff        /* 08: 64-bit code */
        .quad 0x00cf92000000ffff        /* 10: data */
        .quad 0x00cf9a000000ffff        /* 18: 32-bit code */
        .quad 0x00cffa000000ffff        /* 20: user 32-bit code */
        .quad 0x00cff2000000ffff        /* 28: user data */
        .quad 0x00affa000000ffff        /* 30: user 64-bit code */
        .quad 0, 0                      /* 38: TSS */
        .quad 0x0000f2000000ffff        /* 48: user data, 64 KiB */
gdt_end:
gdt_ptr32:
gdt_ptr: .word gdt_end - gdt - 1
        .quad gdt
idt_ptr: .word 4095
        .quad idt
        .globl kernel_rsp, syscall_rcx, syscall_r11, syscall_rsp, syscall_once, ap_count
kernel_rsp: .quad 0
syscall_rcx: .quad 0
syscall_r11: .quad 0
syscall_rsp: .quad 0
syscall_once: .long 0
ap_count: .long 0

        .bss
        .align 4096
        .globl pml4, pdpt, pd, idt
pml4:   .skip 4096
pdpt:   .skip 4096
pd:     .skip 4096
pd_apic: .skip 4096
idt:    .skip 4096
        .skip 65536
stack_top:
ap_stacks: .skip 4096 * 16
        .section .note.GNU-stack, "", @progbits
