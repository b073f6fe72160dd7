"""Which of the processes that train one model this is, and how they fail together.

A launcher (`launch.py`, torchrun) tells each process its number in the environment. Without one
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

# What gloo, NCCL and torch's store say when a process at the other end is gone.
_LOST = re.compile(
    r"gloo|nccl|Connection (closed|reset|refused)|Broken pipe|TCPStore|Socket Timeout|DistBackend",
    re.I,
)
# A process that fails after another one waits so long to be ended with it: that one has the reason.
_SECONDS_OF_GRACE = 20.0


def launched() -> bool:
    """Whether a launcher started this process, perhaps with others."""
    return "TORCHELASTIC_RUN_ID" in os.environ


def rank() -> int:
    """The number of this process among those that train together, from 0."""
    return int(os.environ["RANK"]) if launched() else 0


def world() -> int:
    """How many processes train together."""
    return int(os.environ["WORLD_SIZE"]) if launched() else 1


def on_this_node() -> int:
    """How many of them this node has."""
    return int(os.environ["LOCAL_WORLD_SIZE"]) if launched() else 1


def is_main() -> bool:
    """Whether this process writes what the stage writes."""
    return rank() == 0


def end_with_launcher() -> None:
    """End at once when the launcher does, even by SIGKILL (Linux): no orphan writes results."""
    if launched() and sys.platform == "linux":
        set_death_signal, launcher = 1, os.getppid()
        ctypes.CDLL(None).prctl(set_death_signal, signal.SIGKILL)
        if os.getppid() != launcher:  # it ended before it was asked for
            os.kill(os.getpid(), signal.SIGKILL)


def tell(sentence: str) -> None:
    """Say why this process fails: on stderr, or to its launcher, which says one reason for all."""
    if not launched():
        print(f"mergescale: error: {sentence}", file=sys.stderr)
    elif _first_to_fail():
        _leave_word(sentence, lost=False)
    else:
        _leave_word(sentence, lost=True)
        time.sleep(_SECONDS_OF_GRACE)


def lost_another(error: RuntimeError) -> bool:
    """Whether an error only says that another process is gone; if so, leave the word to it."""
    if not launched() or not _LOST.search(f"{type(error).__name__} {error}"):
        return False
    # Said where no process has a better reason: then this is all there is to know.
    reason = next(iter(str(error).strip().splitlines()), type(error).__name__)
    _leave_word(f"the connection to another process was lost ({reason})", lost=True)
    time.sleep(_SECONDS_OF_GRACE)
    return True


def _first_to_fail() -> bool:
    """Whether no other process, on any node, has said so; also where nobody can be asked."""
    from torch.distributed import TCPStore

    host, port = os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"])
    try:
        store = TCPStore(host, port, is_master=False, timeout=timedelta(seconds=10))
        return store.add("mergescale/failed", 1) == 1
    except RuntimeError:
        return True


def _leave_word(sentence: str, *, lost: bool) -> None:
    word = {"message": sentence, "timestamp": int(time.time()), "lost": lost}
    with open(os.environ["TORCHELASTIC_ERROR_FILE"], "w", encoding="utf-8") as file:
        json.dump(word, file)
