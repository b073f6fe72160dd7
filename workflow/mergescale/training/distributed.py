"""One of the processes that train a model together: its rank, and how all of them fail as one.

torchrun's launcher (`launch.py`) sets each process's rank in the environment. Without a launcher
there is a single process, the main one.
"""

from __future__ import annotations

import ctypes
import json
import os
import re
import signal
import sys
import time
from datetime import timedelta

# What gloo, NCCL and torch's store raise when a process at the other end is gone.
_PEER_FAILURE = re.compile(
    r"gloo|nccl|Connection (closed|reset|refused)|Broken pipe|TCPStore|Socket Timeout|DistBackend",
    re.I,
)
# A process that fails because of another one waits for the launcher to end it, so that the
# launcher sees the one with the reason fail first.
_SECONDS_OF_GRACE = 20.0


def under_torchrun() -> bool:
    """Whether a launcher started this process, perhaps with others."""
    return "TORCHELASTIC_RUN_ID" in os.environ


def rank() -> int:
    """The number of this process among those that train together, from 0."""
    return int(os.environ["RANK"]) if under_torchrun() else 0


def world_size() -> int:
    """The number of processes that train together."""
    return int(os.environ["WORLD_SIZE"]) if under_torchrun() else 1


def local_world_size() -> int:
    """The number of them on this node."""
    return int(os.environ["LOCAL_WORLD_SIZE"]) if under_torchrun() else 1


def is_main() -> bool:
    """Whether this process writes the stage's output."""
    return rank() == 0


def die_with_launcher() -> None:
    """Have the kernel kill this process when its launcher ends, even by SIGKILL (Linux).

    Otherwise an orphan could still write results beside a second run.
    """
    if under_torchrun() and sys.platform == "linux":
        pr_set_pdeathsig, launcher = 1, os.getppid()
        ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGKILL)
        if os.getppid() != launcher:  # it ended before the call
            os.kill(os.getpid(), signal.SIGKILL)


def report_failure(message: str) -> None:
    """Print why this process fails, or leave it to the launcher, which prints one reason for all.

    Args:
        message: one line.
    """
    if not under_torchrun():
        print(f"mergescale: error: {message}", file=sys.stderr)
    elif _is_first_failure():
        _write_error_file(message, peer_failure=False)
    else:
        _write_error_file(message, peer_failure=True)
        time.sleep(_SECONDS_OF_GRACE)


def is_peer_failure(error: RuntimeError) -> bool:
    """Whether an error only says that another process is gone; if so, report it as that."""
    if not under_torchrun() or not _PEER_FAILURE.search(f"{type(error).__name__} {error}"):
        return False
    # Printed if no process has a better reason: then this is all that is known.
    reason = next(iter(str(error).strip().splitlines()), type(error).__name__)
    _write_error_file(f"the connection to another process was lost ({reason})", peer_failure=True)
    time.sleep(_SECONDS_OF_GRACE)
    return True


def _is_first_failure() -> bool:
    """Whether no other process, on any node, has failed before; True if the store is gone."""
    from torch.distributed import TCPStore

    host, port = os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"])
    try:
        store = TCPStore(host, port, is_master=False, timeout=timedelta(seconds=10))
        return store.add("mergescale/failed", 1) == 1
    except RuntimeError:
        return True


def _write_error_file(message: str, *, peer_failure: bool) -> None:
    """Write torchrun's error file, which the launcher reads."""
    error = {"message": message, "timestamp": int(time.time()), "peer_failure": peer_failure}
    with open(os.environ["TORCHELASTIC_ERROR_FILE"], "w", encoding="utf-8") as file:
        json.dump(error, file)
