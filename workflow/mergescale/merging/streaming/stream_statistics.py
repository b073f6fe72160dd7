"""The passes before a merge: thresholds of task vectors, sums over tensors."""

from __future__ import annotations

import hashlib
import json
import os
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import astuple, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mergescale.merging.histogram import LowerHalves, UpperHalves
from mergescale.merging.in_memory import blocks
from mergescale.merging.statistics import Sum, Threshold
from mergescale.merging.streaming.pieces import BLOCK, Piece, in_order, pieces

if TYPE_CHECKING:
    from torch import Tensor

    from mergescale.merging.streaming.stream import Engine, Merge

_KEPT_FORMAT = 1


@dataclass
class Found:
    """Statistics by what asked for them."""

    # {(expert, wish): {tensor: threshold}}; under "" one that holds in all tensors
    thresholds: dict[tuple[str, Threshold], dict[str, float]] = field(default_factory=dict)
    # {(tau key, name): {tensor: sum}}
    sums: dict[tuple[str, str], dict[str, Tensor]] = field(default_factory=dict)

    def thresholds_in(self, merge: Merge, tensor: str) -> dict[str, list[float]]:
        """{name: threshold of each expert} of a merge in a tensor."""
        every: dict[str, list[float]] = {}
        for expert, wishes in zip(merge.experts, merge.statistics, strict=True):
            for name, wish in wishes.items():
                if isinstance(wish, Threshold):
                    of = self.thresholds[expert, wish]
                    every.setdefault(name, []).append(of["" if wish.scope == "model" else tensor])
        return every

    def sums_in(self, merge: Merge, tensor: str) -> dict[str, Tensor]:
        """{name: sum} of a merge in a tensor."""
        return {name: of[tensor] for (key, name), of in self.sums.items() if key == merge.tau_key}


def find(
    engine: Engine,
    thresholds: Iterable[tuple[str, Threshold]],
    sums: Mapping[tuple[str, str], tuple[Merge, Sum]],
    kept: Path | None,
    progress: Callable[[int], None],
) -> Found:
    """Everything asked for; thresholds that the folder `kept` holds are not computed again."""
    found = Found()
    missing: dict[str, dict[str, set[tuple[float, str]]]] = {}
    for expert, wish in thresholds:
        known = _read_kept(kept, engine, expert, wish)
        if known is None:
            missing.setdefault(wish.scope, {}).setdefault(expert, set()).add(
                (wish.density, wish.rounding)
            )
        else:
            found.thresholds[expert, wish] = known
    for scope, wanted in missing.items():
        groups = [None] if scope == "model" else _floating(engine)
        for group in groups:
            for (expert, share), value in _thresholds(engine, wanted, group, progress).items():
                density, rounding = share
                wish = Threshold(density, scope, rounding)
                found.thresholds.setdefault((expert, wish), {})[group or ""] = value
        for expert, shares in wanted.items():
            for density, rounding in shares:
                wish = Threshold(density, scope, rounding)
                _keep(kept, engine, expert, wish, found.thresholds[expert, wish])
    for (key, name), (merge, wish) in sums.items():
        found.sums[key, name] = _sums(engine, merge, wish, progress)
    return found


def passes(thresholds: Iterable[tuple[str, Threshold]]) -> int:
    """How often thresholds make an expert's weights be read."""
    return 2 * len({wish.scope for _, wish in thresholds})


def _floating(engine: Engine) -> list[str]:
    return [stored.name for stored in engine.base.tensors.values() if stored.floating]


def _thresholds(
    engine: Engine,
    wanted: Mapping[str, set[tuple[float, str]]],
    tensor: str | None,
    progress: Callable[[int], None],
) -> dict[tuple[str, tuple[float, str]], float]:
    """Thresholds of the whole model or of one tensor, of several experts at once."""
    numbers = {engine.names.index(expert): sorted(d) for expert, d in wanted.items()}
    loops = engine.compiled
    upper = _look(engine, tensor, {n: lambda: UpperHalves(loops) for n in numbers}, progress)
    places = {
        (n, share): upper[n].find(*share) for n, shares in numbers.items() for share in shares
    }
    bins: dict[int, list[int]] = {n: [] for n in numbers}
    for (n, _), place in places.items():
        if isinstance(place, tuple):
            bins[n].append(place[0])
    lower = _look(
        engine,
        tensor,
        {
            n: lambda chosen=chosen: LowerHalves(chosen, loops)
            for n, chosen in bins.items()
            if chosen
        },
        progress,
    )
    return {
        (engine.names[n], share): lower[n].value(*place) if isinstance(place, tuple) else place
        for (n, share), place in places.items()
    }


def _look(
    engine: Engine,
    tensor: str | None,
    makers: Mapping[int, Callable[[], Any]],
    progress: Callable[[int], None],
) -> dict[int, Any]:
    """Each expert's histogram, from one look at the model or a tensor."""
    if not makers:
        return {}
    own = threading.local()
    every: list[dict[int, Any]] = []
    lock = threading.Lock()

    def work(piece: Piece) -> None:
        if not hasattr(own, "counts"):
            own.counts = {number: make() for number, make in makers.items()}
            with lock:
                every.append(own.counts)
        _, deltas = engine.reader.deltas(piece, list(makers))
        for number, delta in zip(makers, deltas, strict=True):
            own.counts[number].add(delta.cpu())

    names = _floating(engine) if tensor is None else [tensor]
    for piece, _ in in_order(work, pieces(engine.base, engine.elements, names), engine.threads):
        progress(_bytes(engine, piece, makers))
    total = {number: make() for number, make in makers.items()}
    for counts in every:
        for number, histogram in counts.items():
            total[number].merge(histogram)
    return total


def _sums(
    engine: Engine, merge: Merge, wish: Sum, progress: Callable[[int], None]
) -> dict[str, Tensor]:
    """A sum over each tensor: blocks in order, whatever the pieces and threads."""
    numbers = [engine.names.index(expert) for expert in merge.experts]

    def work(piece: Piece) -> list[Tensor]:
        base, deltas = engine.reader.deltas(piece, numbers)
        every: list[Any] = [None] * len(engine.names)
        for number, delta in zip(numbers, deltas, strict=True):
            every[number] = delta
        return [wish.of(b) for b in blocks(engine.chunk(piece, base, every, merge), BLOCK)]

    totals: dict[str, Tensor] = {}
    todo = pieces(engine.base, engine.elements, _floating(engine))
    for piece, parts in in_order(work, todo, engine.threads):
        for part in parts:
            totals[piece.tensor] = totals[piece.tensor] + part if piece.tensor in totals else part
        progress(_bytes(engine, piece, numbers))
    return totals


def _bytes(engine: Engine, piece: Piece, numbers: Iterable[int]) -> int:
    items = engine.base.tensors[piece.tensor].item_bytes
    items += sum(engine.experts[n].tensors[piece.tensor].item_bytes for n in numbers)
    return len(piece) * items


def _kept_file(kept: Path, engine: Engine, expert: str, wish: Threshold) -> Path:
    """Where a threshold is kept, by what decides it; files are known by name, size and time."""
    source = engine.experts[engine.names.index(expert)]
    key = json.dumps(
        [_KEPT_FORMAT, engine.base.fingerprint(), source.fingerprint(), *astuple(wish)]
    )
    return kept / f"{hashlib.sha256(key.encode()).hexdigest()[:32]}.json"


def _read_kept(
    kept: Path | None, engine: Engine, expert: str, wish: Threshold
) -> dict[str, float] | None:
    if kept is None:
        return None
    try:
        found = json.loads(_kept_file(kept, engine, expert, wish).read_text())
        names = [""] if wish.scope == "model" else _floating(engine)
        return {tensor: float.fromhex(found[tensor]) for tensor in names}
    except (OSError, ValueError, LookupError, TypeError, OverflowError, RecursionError):
        return None  # damaged: computed again


def _keep(
    kept: Path | None, engine: Engine, expert: str, wish: Threshold, values: Mapping[str, float]
) -> None:
    if kept is None:
        return
    try:
        kept.mkdir(parents=True, exist_ok=True)
        file = _kept_file(kept, engine, expert, wish)
        partial = file.with_suffix(f".{os.getpid()}.partial")
        partial.write_text(json.dumps({name: value.hex() for name, value in values.items()}))
        os.replace(partial, file)
    except OSError:
        pass  # a threshold that cannot be kept is computed again
