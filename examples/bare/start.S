/* Start-up code for 64-bit ARM without an operating system, as QEMU's board `virt` begins it: at EL1, one core,
 * memory from 0x40000000. Compiled models read vectors at any address, which memory allows once the MMU says that
 * it is memory. */
        .section .text.start, "ax"
        .global _start
_start:
        ldr     x0, =stack_top
        mov     sp, x0

        mov     x0, #(3 << 20)          // CPACR_EL1.FPEN: floating-point numbers and vectors do not trap
        msr     cpacr_el1, x0

        ldr     x0, =0xff00             // memory of kind 0: device, of kind 1: normal, cached
        msr     mair_el1, x0
        ldr     x0, =0x200803519        // TCR_EL1: 39-bit addresses, 4K granule, cached shareable tables, TTBR0 only
        msr     tcr_el1, x0
        ldr     x0, =translation
        msr     ttbr0_el1, x0
        isb
        mrs     x0, sctlr_el1
        mov     x1, #0x1005             // MMU, data cache, instruction cache
        orr     x0, x0, x1
        msr     sctlr_el1, x0
        isb

        ldr     x0, =bss_begin
        ldr     x1, =bss_end
1:      cmp     x0, x1
        b.hs    2f
        str     xzr, [x0], #8
        b       1b
2:      bl      main
        ldr     x0, =0x84000008         // PSCI SYSTEM_OFF
        hvc     #0
3:      wfi
        b       3b

        .section .rodata
        .global picture
        .balign 64
picture:
        .incbin PICTURE

        .section .data.translation, "aw"
        .balign 4096
translation:
        .quad   0x0060000000000401      // the first gigabyte: devices, no code
        .quad   0x0000000040000705      // the second: memory
        .fill   510, 8, 0
