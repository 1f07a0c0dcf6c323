// Where exceptions arrive (DDI 0487, D1.10.2): an interrupt saves everything that compiled
// code may change and comes back; all others are faults of ours, told on a stack of its own.

.macro fault number
    .balign 0x80
    mov     x9, sp
    adrp    x10, __fatal_stack
    add     x10, x10, :lo12:__fatal_stack
    mov     sp, x10
    mov     x0, #\number
    mov     x1, x9
    mov     x2, x30
    bl      exception
.endm

// Bytes of what an interrupt saves.
.set FRAME, 704

.section .text, "ax"
.balign 0x800
.global vectors
vectors:
    fault   0                       // on the stack of EL0, which nothing here uses
    fault   1
    fault   2
    fault   3
    fault   4                       // synchronous
    .balign 0x80                    // interrupt
    sub     sp, sp, #FRAME
    b       interrupted
    fault   6
    fault   7                       // system error: a device refused
    fault   8                       // from EL0
    fault   9
    fault   10
    fault   11
    fault   12
    fault   13
    fault   14
    fault   15

interrupted:
    stp     x0, x1, [sp, #0]
    stp     x2, x3, [sp, #16]
    stp     x4, x5, [sp, #32]
    stp     x6, x7, [sp, #48]
    stp     x8, x9, [sp, #64]
    stp     x10, x11, [sp, #80]
    stp     x12, x13, [sp, #96]
    stp     x14, x15, [sp, #112]
    stp     x16, x17, [sp, #128]
    stp     x18, x30, [sp, #144]
    mrs     x0, elr_el1
    mrs     x1, spsr_el1
    stp     x0, x1, [sp, #160]
    mrs     x0, fpsr
    str     x0, [sp, #176]
    .irp    n, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31
    str     q\n, [sp, #(192 + 16 * \n)]
    .endr
    bl      interrupt
    .irp    n, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31
    ldr     q\n, [sp, #(192 + 16 * \n)]
    .endr
    ldr     x0, [sp, #176]
    msr     fpsr, x0
    ldp     x0, x1, [sp, #160]
    msr     elr_el1, x0
    msr     spsr_el1, x1
    ldp     x0, x1, [sp, #0]
    ldp     x2, x3, [sp, #16]
    ldp     x4, x5, [sp, #32]
    ldp     x6, x7, [sp, #48]
    ldp     x8, x9, [sp, #64]
    ldp     x10, x11, [sp, #80]
    ldp     x12, x13, [sp, #96]
    ldp     x14, x15, [sp, #112]
    ldp     x16, x17, [sp, #128]
    ldp     x18, x30, [sp, #144]
    add     sp, sp, #FRAME
    eret
