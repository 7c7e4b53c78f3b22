// What every kernel shares: types, the arithmetic it may use, and the one switch between the two
// worlds a kernel is compiled for: nvcc/NVRTC, or a C++ compiler under host/shim.h, where the same
// source runs on the CPU so that its logic is tested without a GPU.
//
// House rules of this folder (DESIGN 6, kernel set 1):
//   - every sum is a chain of FMA in ascending order inside blocks of 256 (64 over attention keys),
//     block sums added in ascending order, the first taken as it is;
//   - threads and blocks run over outputs, never along a sum;
//   - compiled with --fmad=false, no fast-math, no flush to zero, no float tensor cores.
#pragma once

#ifdef OPENLEDGER_HOST
#include "host/shim.h"
#else
#define KERNEL extern "C" __global__ void
#define DEVICE static __device__ __forceinline__
#define DEVICE_MEMBER __device__ __forceinline__
// For what comes after a loop that needs all registers.
#define NOINLINE static __device__ __noinline__
#endif

typedef unsigned int u32;
typedef unsigned long long u64;

// a * b + c, rounded once.
DEVICE float fma_rn(float a, float b, float c) { return __fmaf_rn(a, b, c); }

// Block length of every sum but those over attention keys, which have tiles of KEY_TILE.
#define BLOCK_K 256u
#define KEY_TILE 64u

DEVICE u32 least(u32 a, u32 b) { return a < b ? a : b; }
