"""Thresholds in files: a later merge of the same models need not look for them again."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import astuple
from pathlib import Path

from mergescale.checkpoints.reader import CheckpointReader
from mergescale.merging.ops.trim import Cutoff
from mergescale.merging.statistics import MagnitudeThreshold
from mergescale.provenance.digests import text_digest

_FORMAT = 2


def read_kept(
    kept: Path | None,
    base: CheckpointReader,
    expert: CheckpointReader,
    wish: MagnitudeThreshold,
    names: Sequence[str],
) -> dict[str, Cutoff] | None:
    """{name: threshold} of an expert; None where the folder `kept` does not hold it whole."""
    if kept is None:
        return None
    try:
        found = json.loads(_file(kept, base, expert, wish).read_text())
        return {name: _read(found[name]) for name in names}
    except (OSError, ValueError, LookupError, TypeError, OverflowError, RecursionError):
        return None  # damaged: computed again


def keep(
    kept: Path | None,
    base: CheckpointReader,
    expert: CheckpointReader,
    wish: MagnitudeThreshold,
    limits: Mapping[str, Cutoff],
) -> None:
    """Write {name: threshold}; where that is not possible it is left, and computed again."""
    if kept is None:
        return
    try:
        kept.mkdir(parents=True, exist_ok=True)
        file = _file(kept, base, expert, wish)
        partial = file.with_suffix(f".{os.getpid()}.partial")
        told = {name: (of.threshold.hex(), of.tie_end, of.num_kept) for name, of in limits.items()}
        partial.write_text(json.dumps(told))
        os.replace(partial, file)
    except OSError:
        pass


def _read(told: Sequence) -> Cutoff:
    """Raises ValueError or TypeError for what is none."""
    smallest, end, kept = told
    if end is not None:
        tensor, at = end
        end = str(tensor), int(at)
    return Cutoff(float.fromhex(smallest), end, int(kept))


def _file(
    kept: Path, base: CheckpointReader, expert: CheckpointReader, wish: MagnitudeThreshold
) -> Path:
    """By what decides a threshold; models are known by their files' names, sizes and times."""
    key = json.dumps([_FORMAT, base.fingerprint(), expert.fingerprint(), *astuple(wish)])
    return kept / f"{text_digest(key)[:32]}.json"
