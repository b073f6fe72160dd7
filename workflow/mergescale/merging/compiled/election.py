"""Election of signs and disjoint mean, block by block: `election.elected`."""

import numpy as np

from mergescale.merging.compiled.compiler import compiled, floats_at

_BLOCK = 2048  # entries: sign, sum and count of a block stay in the fastest cache
_ZERO, _ONE = np.float32(0), np.float32(1)


@compiled("void(int64[::1], float32[::1], boolean, float32, float32[::1])")
def elect(addresses, weights, mean, least, elected):
    """Set `elected` to the mean, or sum, of the entries whose sign is the elected one.

    addresses: of each expert's fp32 entries, as long as `elected`. least: counts below are taken
    for this, or if it is 0 those next to zero for 1.
    """
    sign = np.empty(_BLOCK, np.float32)
    total = np.empty(_BLOCK, np.float32)
    count = np.empty(_BLOCK, np.float32)
    for start in range(0, len(elected), _BLOCK):
        stop = min(start + _BLOCK, len(elected))
        size = stop - start
        entries = floats_at(addresses[0], start, stop)
        for i in range(size):
            sign[i] = entries[i]
            total[i] = _ZERO
            count[i] = _ZERO
        for expert in range(1, len(addresses)):
            entries = floats_at(addresses[expert], start, stop)
            for i in range(size):
                sign[i] += entries[i]
        for expert in range(len(addresses)):
            entries = floats_at(addresses[expert], start, stop)
            weight = weights[expert]
            for i in range(size):
                value = entries[i]
                agrees = (value != _ZERO) & ((value > _ZERO) == (sign[i] >= _ZERO))
                total[i] += value if agrees else _ZERO
                count[i] += weight if agrees else _ZERO
        made = elected[start:stop]
        if not mean:
            for i in range(size):
                made[i] = total[i]
        elif least > 0:
            for i in range(size):
                made[i] = total[i] / (count[i] if count[i] > least else least)
        else:
            for i in range(size):
                made[i] = total[i] / (_ONE if abs(count[i]) < np.float32(1e-6) else count[i])
