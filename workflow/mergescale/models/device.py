"""Where a stage computes: the number of CPU threads, and a CPU or a GPU."""

from __future__ import annotations


def prepare_torch(threads: int, device: str, processes: int = 1) -> str:
    """Set torch's number of threads; return the device to compute on.

    Args:
        threads: CPU threads of all processes on this node together.
        device: `auto` (a GPU where there is one), `cpu` or `cuda`.
        processes: processes on this node that share its threads and GPUs.

    Returns:
        `cpu` or `cuda`.

    Raises:
        ValueError: `device` is `cuda` and there is no GPU, or there are fewer GPUs than processes.
    """
    import torch

    torch.set_num_threads(max(1, threads // processes))
    gpus = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if device == "cuda" and not gpus:
        raise ValueError("the device is cuda, but torch sees no GPU here; use auto or cpu")
    if device == "cpu" or not gpus:
        return "cpu"
    if processes > gpus:
        raise ValueError(
            f"{processes} processes train on this node, each on a GPU of its own, but torch sees "
            f"{gpus}; request as many GPUs as a node has"
        )
    # On a GPU the same configuration gives the same bytes only with deterministic kernels. A CPU
    # with a fixed number of threads needs no such setting, and is faster without it.
    torch.use_deterministic_algorithms(True, warn_only=True)
    return "cuda"
