// One adapter's factors of one linear map, as the LoRA kernels find them in a table of slots.
#pragma once
#include "common.cuh"

struct Module {
    const float* a;  // [rank, in]
    const float* b;  // [out, rank]
    u32 rank;        // 0: the adapter does not touch this map
    float scale;
};
