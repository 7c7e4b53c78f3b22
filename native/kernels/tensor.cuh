// What the int8 product asks of a card beyond plain C++: tensor cores that multiply int8, copies to shared memory that
// run beside the arithmetic, and what the lanes of a warp tell each other. host/shim.h has the same for the CPU.
// Integer sums are exact in any order, so tensor cores cannot be seen in a bit; floats never go there.
#pragma once
#include "common.cuh"

#ifndef OPENLEDGER_HOST
// d = a b + c: a 16 x 32, b 32 x 8, of int8, in the lanes of a warp (PTX ISA, mma.m16n8k32). With g = lane / 4 and
// t = lane % 4 a lane gives rows g and g + 8 of a, column g of b, each as four k at 4 t and four at 16 + 4 t, and gets
// rows g (d[0], d[1]) and g + 8 (d[2], d[3]) of columns 2 t and 2 t + 1.
DEVICE void multiply_i8(int (&d)[4], int a0, int a1, int a2, int a3, int b0, int b1, const int (&c)[4]) {
    asm("mma.sync.aligned.m16n8k32.row.col.s32.s8.s8.s32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%10, %11, %12, %13};"
        : "=r"(d[0]), "=r"(d[1]), "=r"(d[2]), "=r"(d[3])
        : "r"(a0), "r"(a1), "r"(a2), "r"(a3), "r"(b0), "r"(b1), "r"(c[0]), "r"(c[1]), "r"(c[2]), "r"(c[3]));
}

// Four matrices of 8 rows of 16 bytes from shared memory: lane l gives the address of row l % 8 of matrix l / 8, and gets
// the four bytes at 4 (l % 4) of row l / 4 of each (PTX ISA, ldmatrix).
DEVICE void fragments(int (&d)[4], const signed char* row) {
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(d[0]), "=r"(d[1]), "=r"(d[2]), "=r"(d[3])
                 : "r"((u32)__cvta_generic_to_shared(row))
                 : "memory");
}

// Begins to copy 16 bytes into shared memory; both ends are aligned to 16.
DEVICE void copy_begin(void* to, const void* from) {
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16;" ::"r"((u32)__cvta_generic_to_shared(to)), "l"(from)
                 : "memory");
}

// The same for one value.
DEVICE void copy_begin(float* to, const float* from) {
    asm volatile("cp.async.ca.shared.global [%0], [%1], 4;" ::"r"((u32)__cvta_generic_to_shared(to)), "l"(from)
                 : "memory");
}

// Ends a group of this thread's copies.
DEVICE void copy_group() { asm volatile("cp.async.commit_group;" ::: "memory"); }

// Waits until all but this thread's last LEFT groups are there.
template <u32 LEFT>
DEVICE void copy_wait() {
    asm volatile("cp.async.wait_group %0;" ::"n"(LEFT) : "memory");
}

DEVICE void warp_sync() { __syncwarp(); }

// The largest of the warp's 32 values.
DEVICE u32 warp_max(u32 value) { return __reduce_max_sync(0xffffffffu, value); }
#endif
