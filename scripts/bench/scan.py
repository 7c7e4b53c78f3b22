"""NumPy's f32 product of int8 sketches with one query; run by scan.ts.

argv: file of int8 [rows, k], k, top, file for {ms, best}. The query is row 5.
"""

import json
import sys
import time

import numpy as np

data, k, top, out = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
sketches = np.fromfile(data, dtype=np.int8).reshape(-1, k).astype(np.float32)
query = sketches[5].copy()
times = []
for _ in range(9):
    start = time.perf_counter()
    scores = sketches @ query
    best = np.argpartition(-scores, top)[:top]
    times.append(time.perf_counter() - start)
with open(out, "w", encoding="utf-8") as file:
    json.dump({"ms": 1000 * sorted(times[1:])[4], "best": best.tolist()}, file)
