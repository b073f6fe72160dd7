"""When compiled kernels are worth loading, and loading them."""

from __future__ import annotations

# Measured: loading takes 0.8 s (some 4 s on a machine where they were never compiled), and saves
# 0.4 s for each gigabyte of bf16 that two threads get through.
MIN_BYTES = 2_000_000_000


def worth_compiling(num_bytes: int) -> bool:
    """Return whether a merge that reads so many bytes, in all passes, ends sooner with kernels."""
    return num_bytes >= MIN_BYTES


def load_kernels() -> None:
    """Import all kernels: from the cache on disk, or compiled now."""
    from mergescale.merging.ops.kernels import deltas  # noqa: F401
    from mergescale.merging.ops.kernels import elect as election  # noqa: F401
