"""The passes before a merge: thresholds of task vectors, sums over tensors."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mergescale.checkpoints.blocks import BLOCK, Block, map_in_order, pieces
from mergescale.merging.engine.threshold_cache import keep, read_kept
from mergescale.merging.engine.thresholds import thresholds
from mergescale.merging.statistics import MagnitudeThreshold, TensorSum

if TYPE_CHECKING:
    from torch import Tensor

    from mergescale.merging.engine.engine import Engine
    from mergescale.merging.engine.merge_spec import Merge
    from mergescale.merging.ops.trim import Cutoff

WHOLE = ""  # what stands for a tensor's name where all are meant


@dataclass
class MergeStatistics:
    """Statistics by what asked for them."""

    # {(expert, wish): {tensor: threshold}}; under WHOLE one that holds in all tensors
    thresholds: dict[tuple[str, MagnitudeThreshold], dict[str, Cutoff]] = field(
        default_factory=dict
    )
    # {(tau key, name): {tensor: sum}}
    sums: dict[tuple[str, str], dict[str, Tensor]] = field(default_factory=dict)

    def thresholds_in(self, merge: Merge, tensor: str) -> dict[str, list[Cutoff]]:
        """{name: threshold of each expert} of a merge in a tensor."""
        every: dict[str, list[Cutoff]] = {}
        for expert, wishes in zip(merge.experts, merge.statistics, strict=True):
            for name, wish in wishes.items():
                if isinstance(wish, MagnitudeThreshold):
                    of = self.thresholds[expert, wish]
                    every.setdefault(name, []).append(
                        of[WHOLE if wish.scope == "model" else tensor]
                    )
        return every

    def kept_by(self, merge: Merge) -> dict[str, dict[str, int]]:
        """{name: {expert: how many entries reach its threshold}}, as `Cutoff.kept` counts them."""
        every: dict[str, dict[str, int]] = {}
        for expert, wishes in zip(merge.experts, merge.statistics, strict=True):
            for name, wish in wishes.items():
                if isinstance(wish, MagnitudeThreshold):
                    limits = self.thresholds[expert, wish].values()
                    every.setdefault(name, {})[expert] = sum(limit.num_kept for limit in limits)
        return every

    def sums_in(self, merge: Merge, tensor: str) -> dict[str, Tensor]:
        """{name: sum} of a merge in a tensor."""
        return {name: of[tensor] for (key, name), of in self.sums.items() if key == merge.tau_key}


def find(
    engine: Engine,
    wishes: Iterable[tuple[str, MagnitudeThreshold]],
    sums: Mapping[tuple[str, str], tuple[Merge, TensorSum]],
    kept: Path | None,
    progress: Callable[[int], None],
) -> MergeStatistics:
    """Everything asked for; thresholds that the folder `kept` holds are not computed again."""
    found = MergeStatistics()
    sources = dict(zip(engine.names, engine.experts, strict=True))
    tensors = [stored.name for stored in engine.base.tensors.values() if stored.floating]
    missing: dict[str, dict[str, set[MagnitudeThreshold]]] = {}
    for expert, wish in wishes:
        names = [WHOLE] if wish.scope == "model" else tensors
        known = read_kept(kept, engine.base, sources[expert], wish, names)
        if known is None:
            missing.setdefault(wish.scope, {}).setdefault(expert, set()).add(wish)
        else:
            found.thresholds[expert, wish] = known
    for scope, wanted in missing.items():
        groups = {WHOLE: tensors} if scope == "model" else {name: [name] for name in tensors}
        for group, names in groups.items():
            for key, limit in thresholds(engine, wanted, names, progress).items():
                found.thresholds.setdefault(key, {})[group] = limit
        for expert, its in wanted.items():
            for wish in its:
                limits = found.thresholds[expert, wish]
                keep(kept, engine.base, sources[expert], wish, limits)
    for (key, name), (merge, wish) in sums.items():
        found.sums[key, name] = _sums(engine, merge, wish, tensors, progress)
    return found


def _sums(
    engine: Engine,
    merge: Merge,
    wish: TensorSum,
    tensors: Sequence[str],
    progress: Callable[[int], None],
) -> dict[str, Tensor]:
    """A sum over each tensor: blocks in order, whatever the pieces and threads."""
    numbers = [engine.names.index(expert) for expert in merge.experts]

    def work(piece: Block) -> list[Tensor]:
        base, deltas = engine.reader.deltas(piece, numbers)
        every: list[Any] = [None] * len(engine.names)
        for number, delta in zip(numbers, deltas, strict=True):
            every[number] = delta
        return [wish.of(b) for b in engine.delta_block(piece, base, every, merge).split(BLOCK)]

    totals: dict[str, Tensor] = {}
    todo = pieces(engine.base, engine.elements, tensors)
    for piece, parts in map_in_order(work, todo, engine.threads):
        for part in parts:
            totals[piece.tensor] = totals[piece.tensor] + part if piece.tensor in totals else part
        progress(engine.bytes_of(piece, numbers))
    return totals
