"""When compiled loops are worth their loading, and that."""

from __future__ import annotations

# Measured: loading them takes 0.8 s (some 4 s on a machine where they were never compiled), and
# saves 0.4 s for each gigabyte of bf16 that two threads get through.
LEAST_BYTES = 2_000_000_000


def pays(read: int) -> bool:
    """Whether a merge that reads so many bytes, in all passes, ends sooner with them."""
    return read >= LEAST_BYTES


def load() -> None:
    """Import all loops: kept ones from disk, others are compiled."""
    from mergescale.merging.ops.kernels import deltas  # noqa: F401
    from mergescale.merging.ops.kernels import elect as election  # noqa: F401
