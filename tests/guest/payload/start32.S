/* SPDX-License-Identifier: MIT */
/* Bare-metal start of the 32-bit payload: PVH entry, own GDT and IDT, exception stubs, 16-bit and SMM code. */
        .section .note.pvh, "a"
        .align 4
        .long 4, 4, 18
        .asciz "Xen"
        .long start32

        .text
        .code32
        .globl start32
start32:
        cli
        cld
        mov %ebx, start_info
        mov $stack_top, %esp
        lgdt gdt_ptr
        ljmp $0x08, $1f
1:      mov $0x10, %eax
        mov %eax, %ds
        mov %eax, %es
        mov %eax, %ss
        mov %eax, %fs
        mov %eax, %gs
        lidt idt_ptr
        call main
2:      hlt
        jmp 2b

        .globl idt_stub
        .align 16
idt_stub:
        .set n, 0
        .rept 64
        .align 16
        .if !((n == 8) || (n >= 10 && n <= 14) || (n == 17))
        push $0
        .endif
        push $n
        jmp exception
        .set n, n + 1
        .endr
exception:
        pushal
        push %ds
        push %es
        mov $0x10, %eax
        mov %eax, %ds
        mov %eax, %es
        mov %ss, %eax
        cmp $0x28, %eax         /* the test segment at `window`: go on in the flat one */
        jne 1f
        mov $0x10, %eax
        lea window(%esp), %edx
        mov %eax, %ss
        mov %edx, %esp
1:      mov %esp, %eax
        push %eax
        cld
        call on_exception
        pop %eax
        pop %es
        pop %ds
        popal
        add $8, %esp
        iretl

/* run_outside(eip, esp, cs, ss, eflags, vm86 segments...): iret there; the handler comes back to outside_return */
        .globl run_outside, outside_return
run_outside:
        pushal
        mov %esp, kernel_esp
        mov %esp, %ebp
        testl $0x20000, 52(%ebp)
        jz 1f
        push 56(%ebp)           /* gs fs ds es of VM86 */
        push 56(%ebp)
        push 56(%ebp)
        push 56(%ebp)
1:      push 48(%ebp)
        push 40(%ebp)
        push 52(%ebp)
        push 44(%ebp)
        push 36(%ebp)
        iretl
outside_return:
        mov kernel_esp, %esp
        mov $0x10, %eax
        mov %eax, %ds
        mov %eax, %es
        mov %eax, %fs
        mov %eax, %gs
        popal
        ret

/* Target of call gates: parameters on the stack, then back. */
        .globl gate_entry, gate_seen
gate_entry:
        push %ds
        mov $0x10, %eax
        mov %eax, %ds
        mov 12(%esp), %eax
        mov %eax, gate_seen
        mov 16(%esp), %eax
        mov %eax, gate_seen + 4
        mov %cs, %eax
        mov %eax, gate_seen + 8
        pop %ds
        lret $8

/* A task: adds 5 to its ebx and goes back, again and again. */
        .globl task_entry, task_jump_entry
task_entry:
        add $5, %ebx
        mov %ebx, task_ebx
        pushf
        pop task_flags
        str task_tr
        iretl
        jmp task_entry
task_jump_entry:
        str task_tr
        ljmp $0x38, $0          /* back to the first task */

/* Real mode and back; copied below 1 MiB. */
        .code16
        .globl real_code, real_code_end
real_code:                      /* at 0x7000, entered by a far jump through a 16-bit code segment */
        mov %cr0, %eax
        and $0xfffffffe, %eax
        mov %eax, %cr0
        ljmp $0, $(0x7000 + 1f - real_code)
1:      xor %ax, %ax
        mov %ax, %ds
        mov %ax, %ss
        mov $0x6ff0, %sp
        lidtl 0x6000
        movw $0x1234, 0x5000
        mov $0xffff, %bx
        mov 1(%bx), %dl         /* wraps to 0 */
        mov %dl, 0x5002
        int $0x60               /* IVT entry set by the payload */
        mov %cr0, %eax
        or $1, %eax
        mov %eax, %cr0
        ljmpl $0x08, $real_return
real_int:                       /* at 0x7000 + real_int - real_code */
        incw 0x5004
        iretw
real_code_end:
        .globl real_int
        .code32
        .globl go_real
go_real:
        pushal
        pushf
        mov %esp, saved_esp
        ljmp $0x60, $0x7000
real_return:
        mov $0x10, %eax
        mov %eax, %ds
        mov %eax, %es
        mov %eax, %ss
        mov saved_esp, %esp
        lidt idt_ptr
        popf
        popal
        ret

/* SMI handler, copied to SMBASE + 0x8000: counts, moves SMBASE once. */
        .code16
        .globl smi_code, smi_code_end
smi_code:
        xor %ax, %ax
        mov %ax, %ds
        incw 0x5010
        mov %cs:0xfefc, %eax    /* revision */
        mov %eax, 0x5014
        mov %cs:0xff00, %eax    /* SMBASE, 64-bit layout */
        mov %eax, 0x5018
        mov $0x40000, %eax
        mov %eax, %cs:0xff00
        rsm
smi_code_end:

        .data
        .globl start_info
start_info: .long 0         /* PVH's hvm_start_info */
        .align 16
        .globl gdt, gdt_ptr, idt_ptr, kernel_esp, task_ebx, task_flags, task_tr
gdt:    .quad 0
        .quad 0x00cf9a000000ffff        /* 08 code */
        .quad 0x00cf92000000ffff        /* 10 data */
        .quad 0x00cffa000000ffff        /* 18 user code */
        .quad 0x00cff2000000ffff        /* 20 user data */
        .quad 0                         /* 28 test */
        .quad 0                         /* 30 LDT */
        .quad 0, 0, 0                   /* 38 40 48 TSSs */
        .quad 0                         /* 50 call gate */
        .quad 0                         /* 58 task gate */
        .quad 0x000f9a000000ffff        /* 60 16-bit code */
        .quad 0x000f92000000ffff        /* 68 16-bit data */
        .quad 0x00cf9e000000ffff        /* 70 conforming code */
        .quad 0x00cf98000000ffff        /* 78 execute-only code */
gdt_end:
gdt_ptr: .word gdt_end - gdt - 1
        .long gdt
idt_ptr: .word 64 * 8 - 1
        .long idt
kernel_esp: .long 0
saved_esp: .long 0
gate_seen: .long 0, 0, 0
task_ebx: .long 0
task_flags: .long 0
task_tr: .long 0
        .bss
        .align 4096
        .globl idt, page_dir, stack_top
page_dir: .skip 4096
idt:    .skip 4096
        .skip 16384
stack_top:
        .section .note.GNU-stack, "", @progbits
