"""DARE's drop and rescale: `random_mask.dropped_and_rescaled`."""

import numpy as np

from mergescale.merging.compiled.compiler import compiled

_ZERO, _ONE = np.float32(0), np.float32(1)


@compiled("void(boolean[::1], float32[::1], float32, float32, float32[::1])")
def drop_and_rescale(kept, delta, share, weight, made):
    """Set `made` to delta / share * weight where `kept` says so, elsewhere to 0."""
    for i in range(len(made)):
        made[i] = (_ONE if kept[i] else _ZERO) * delta[i] / share * weight
