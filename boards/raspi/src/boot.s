// From the firmware's hand to the first line of Rust: one exception level, floating point on,
// memory mapped, caches on. References are to the Arm Architecture Reference Manual (DDI 0487).

// To EL1 from the EL2 that the firmware starts every core in. D1.8 (exception return).
.macro drop_to_el1
    mrs     x0, CurrentEL
    lsr     x0, x0, #2
    cmp     x0, #2
    b.lo    1f                      // here already
    b.hi    park                    // EL3: no firmware of a Pi that is not told to starts there
    mov     x0, #(1 << 31)          // HCR_EL2.RW: EL1 is 64 bits wide; nothing is trapped
    msr     hcr_el2, x0
    mov     x0, #3                  // CNTHCTL_EL2: the timer belongs to EL1
    msr     cnthctl_el2, x0
    msr     cntvoff_el2, xzr
    mov     x0, #0x33ff             // CPTR_EL2: floating point is not trapped
    msr     cptr_el2, x0
    msr     hstr_el2, xzr
    ldr     x0, =0x30d00800         // SCTLR_EL1: its bits that are always 1, the MMU off
    msr     sctlr_el1, x0
    mov     x0, #0x3c5              // SPSR_EL2: EL1 with its own stack, interrupts masked
    msr     spsr_el2, x0
    adr     x0, 1f
    msr     elr_el2, x0
    eret
1:
.endm

// Vectors, floating point, the map and the caches. D8 (translation), D17.2 (registers).
.macro prepare_core
    adrp    x0, vectors
    add     x0, x0, :lo12:vectors
    msr     vbar_el1, x0
    mov     x0, #(3 << 20)          // CPACR_EL1.FPEN: compilers use these registers anywhere
    msr     cpacr_el1, x0
    mov     x0, #0xff00             // MAIR_EL1: 0 device nGnRnE, 1 normal write-back
    msr     mair_el1, x0
    ldr     x0, =0x200803519        // TCR_EL1: 39 bits of addresses, tables in shared cached
    msr     tcr_el1, x0             // memory, pages of 4 KiB, no upper half, 40 physical bits
    adrp    x0, table_1
    msr     ttbr0_el1, x0
    tlbi    vmalle1
    dsb     sy
    isb
    ldr     x0, =0x30d01805         // SCTLR_EL1: MMU, data and instruction cache on
    msr     sctlr_el1, x0
    isb
.endm

.section .text.boot, "ax"
.global _start
_start:
    // Linux' header of a 64-bit image (Documentation/arch/arm64/booting.rst), by which
    // loaders know the place, and oarlock-convert the program.
    b       boot
    .long   0
    .quad   __image_start           // offset from the start of memory, which is 0
    .quad   __image_size            // of the memory taken; a model behind it is added here
    .quad   2                       // little-endian, pages of 4 KiB
    .quad   0
    .quad   0
    .quad   0
    .ascii  "ARM\x64"
    .long   0

boot:
    mov     x20, x0                 // the device tree, or 0
    mrs     x0, mpidr_el1           // one core boots; the others wait to be called
    and     x0, x0, #0xffff
    cbnz    x0, park

    adr     x21, _start             // where the firmware put the image
    ldr     x1, =__image_start      // where it is linked to be
    ldr     x2, =__image_end
    mov     x3, x21
    cmp     x1, x3
    b.eq    moved
copy:
    ldp     x4, x5, [x3], #16
    stp     x4, x5, [x1], #16
    cmp     x1, x2
    b.lo    copy
    dsb     sy
    ic      iallu
    isb
    ldr     x1, =moved
    br      x1
moved:
    drop_to_el1
    prepare_core
    adrp    x0, __stack
    add     x0, x0, :lo12:__stack
    mov     sp, x0
    mov     x0, x20
    mov     x1, x21
    bl      main

// Never comes back. Also where cores wait that nobody meant to start.
park:
    wfe
    b       park

// Where the other cores begin, in the state that the firmware started this one in.
.global start_core
start_core:
    drop_to_el1
    prepare_core
    mrs     x0, mpidr_el1           // Aff0 is the core, or Aff1 where Aff0 is its thread (A76)
    ubfx    x1, x0, #24, #1
    lsl     x1, x1, #3
    lsr     x0, x0, x1
    and     x0, x0, #3
    adrp    x1, CORE_STACKS
    add     x1, x1, :lo12:CORE_STACKS
    ldr     x1, [x1, x0, lsl #3]
    mov     sp, x1
    bl      core_main
    b       park

// The first map, which the Rust side extends by the memory that the firmware reports: the
// program, and the devices of every board. Blocks of 2 MiB below 4 GiB, of 1 GiB above.
.set NORMAL, 0x40000000000705       // accessed, inner shareable, attribute 1, not for EL0
.set DEVICE, 0x60000000000401       // accessed, attribute 0, never executed

.macro blocks from, to, kind
    .set    at, \from
    .rept   (\to - \from) / 0x200000
    .quad   at + \kind
    .set    at, at + 0x200000
    .endr
.endm

.section .data.tables, "aw"
.balign 4096
.global table_1
table_1:
    .quad   table_2 + 3             // the first four GiB
    .quad   table_2 + 0x1003
    .quad   table_2 + 0x2003
    .quad   table_2 + 0x3003
    .fill   61, 8, 0
    .quad   0x1040000000 + DEVICE   // Pi 5: SoC peripherals from 0x10_7C00_0000
    .fill   446, 8, 0

.global table_2
table_2:
    blocks  0, 0x1000000, NORMAL    // the program
    .fill   496, 8, 0
    blocks  0x3f000000, 0x40000000, DEVICE      // Pi 3: peripherals
    blocks  0x40000000, 0x40200000, DEVICE      // Pi 3: interrupts of cores
    .fill   511, 8, 0
    .fill   512, 8, 0
    .fill   480, 8, 0
    blocks  0xfc000000, 0x100000000, DEVICE     // Pi 4: peripherals
