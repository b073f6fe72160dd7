"""`weighted_sum.weighted_sum_numba`: the sum of deltas times their weights."""

import numpy as np

from mergescale.merging.ops.kernels.compiler import compiled, floats_at

_BLOCK = 2048  # entries of the sum at a time, which stay in the fastest cache
_ZERO = np.float32(0)


@compiled("void(int64[::1], float32[::1], float32[::1])")
def add_up(deltas, weights, total):
    """Set `total` to the weighted sum of the fp32 vectors at the addresses `deltas`."""
    for start in range(0, len(total), _BLOCK):
        stop = min(start + _BLOCK, len(total))
        made = total[start:stop]
        for i in range(stop - start):
            made[i] = _ZERO
        for expert in range(len(deltas)):
            delta, weight = floats_at(deltas[expert], start, stop), weights[expert]
            for i in range(stop - start):
                made[i] += delta[i] * weight
