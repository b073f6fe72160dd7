"""The statistics that methods require: cutoffs, sums over tensors, blocks of statistics files."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mergescale.checkpoints.blocks import BLOCK, Block
from mergescale.merging.engine.delta_reader import DeltaReader
from mergescale.merging.engine.merge_spec import Merge
from mergescale.merging.engine.thresholds import ThresholdCache, compute_cutoffs
from mergescale.merging.statistics import MagnitudeThreshold, StatisticsFile, TensorSum

if TYPE_CHECKING:
    from torch import Tensor

    from mergescale.merging.ops.trim import Cutoff

WHOLE = ""
"""Stands for a tensor's name where a threshold is of the whole model."""


@dataclass
class MergeStatistics:
    """Statistics of all merges of a pass.

    Attributes:
        cutoffs: {(expert, threshold): {tensor: cutoff}}, with `WHOLE` for one of the whole model.
        sums: {(tau key, name): {tensor: sum}}.
    """

    cutoffs: dict[tuple[str, MagnitudeThreshold], dict[str, Cutoff]] = field(default_factory=dict)
    sums: dict[tuple[str, str], dict[str, Tensor]] = field(default_factory=dict)

    def in_block(
        self, merge: Merge, block: Block, files: Mapping[tuple[str, str], Tensor]
    ) -> dict[str, Any]:
        """What a merge's method gets as `DeltaBlock.statistics`.

        Args:
            merge: The merge.
            block: The block.
            files: The block of each statistics file, by (expert, kind).
        """
        tensor = block.tensor
        found: dict[str, Any] = {}
        for expert, required in zip(merge.experts, merge.in_tensor(tensor).statistics, strict=True):
            for name, spec in required.items():
                if isinstance(spec, MagnitudeThreshold):
                    where = WHOLE if spec.scope == "model" else tensor
                    cutoff = self.cutoffs[expert, spec][where]
                    value = cutoff.in_block(tensor, block.start, len(block))
                    found.setdefault(name, []).append(value)
                elif isinstance(spec, StatisticsFile):
                    found.setdefault(name, []).append(files[expert, spec.kind])
                else:
                    found[name] = self.sums[merge.tau_key, name][tensor]
        return found

    def num_kept(self, merge: Merge, tensors: Sequence[str]) -> dict[str, dict[str, int]]:
        """How many entries of each expert reach its threshold: {name: {expert: entries}}."""
        found: dict[str, dict[str, int]] = {}
        counted = set()
        for tensor in tensors:
            required = merge.in_tensor(tensor).statistics
            for expert, specs in zip(merge.experts, required, strict=True):
                for name, spec in specs.items():
                    if not isinstance(spec, MagnitudeThreshold):
                        continue
                    where = WHOLE if spec.scope == "model" else tensor
                    if (name, expert, where) not in counted:
                        counted.add((name, expert, where))
                        of = found.setdefault(name, {})
                        kept = self.cutoffs[expert, spec][where].num_kept
                        of[expert] = of.get(expert, 0) + kept
        return found


Requested = dict[tuple[str, ...], dict[str, set[MagnitudeThreshold]]]


def requested_thresholds(merges: Sequence[Merge], tensors: Sequence[str]) -> Requested:
    """The thresholds of all merges.

    Returns:
        {tensors taken together: {expert: thresholds}}.
    """
    requested: Requested = {}
    everything = tuple(tensors)
    for merge in merges:
        # Settings that are the same in all tensors are looked up once.
        groups = [(t,) for t in tensors] if merge.depends_on_tensor else [everything]
        for group in groups:
            required = merge.in_tensor(group[0]).statistics
            for expert, specs in zip(merge.experts, required, strict=True):
                for spec in specs.values():
                    if not isinstance(spec, MagnitudeThreshold):
                        continue
                    together = [everything] if spec.scope == "model" else [(t,) for t in group]
                    for names in together:
                        requested.setdefault(names, {}).setdefault(expert, set()).add(spec)
    return requested


def requested_sums(merges: Sequence[Merge], tensors: Sequence[str]) -> dict[tuple[str, str], Merge]:
    """The sums over tensors of all merges: {(tau key, name): a merge that requires it}."""
    return {
        (merge.tau_key, name): merge
        for merge in merges
        for required in merge.in_tensor(tensors[0]).statistics
        for name, spec in required.items()
        if isinstance(spec, TensorSum)
    }


def collect_statistics(
    reader: DeltaReader,
    merges: Sequence[Merge],
    build_block: Callable[..., Any],
    cache_dir: Path | None,
    on_progress: Callable[[int], None],
) -> MergeStatistics:
    """Compute everything that the methods of these merges require before they merge.

    Args:
        reader: Reads the task vectors.
        merges: The merges.
        build_block: `Engine.delta_block`.
        cache_dir: Folder of cached thresholds; None for no cache.
        on_progress: Called with the bytes read.
    """
    statistics = MergeStatistics()
    experts = dict(zip(reader.names, reader.experts, strict=True))
    tensors = reader.base.floating_tensors()
    cache = ThresholdCache(cache_dir, reader.base)
    requested = requested_thresholds(merges, tensors)
    wanted: dict[tuple[str, MagnitudeThreshold], list[str]] = {}
    for group, of in requested.items():
        for expert, specs in of.items():
            for spec in specs:
                where = WHOLE if spec.scope == "model" else group[0]
                wanted.setdefault((expert, spec), []).append(where)
    for (expert, spec), names in wanted.items():
        statistics.cutoffs[expert, spec] = cache.load(experts[expert], spec, names)
    computed = set()
    for group, of in requested.items():
        missing: dict[str, set[MagnitudeThreshold]] = {}
        for expert, specs in of.items():
            for spec in specs:
                where = WHOLE if spec.scope == "model" else group[0]
                if where not in statistics.cutoffs[expert, spec]:
                    missing.setdefault(expert, set()).add(spec)
        if missing:
            for key, cutoff in compute_cutoffs(reader, missing, group, on_progress).items():
                where = WHOLE if key[1].scope == "model" else group[0]
                statistics.cutoffs[key][where] = cutoff
                computed.add(key)
    for expert, spec in computed:
        cache.store(experts[expert], spec, statistics.cutoffs[expert, spec])
    for (key, name), merge in requested_sums(merges, tensors).items():
        statistics.sums[key, name] = _sum_over_tensors(
            reader, merge, name, build_block, tensors, on_progress
        )
    return statistics


def _sum_over_tensors(
    reader: DeltaReader,
    merge: Merge,
    name: str,
    build_block: Callable[..., Any],
    tensors: Sequence[str],
    on_progress: Callable[[int], None],
) -> dict[str, Tensor]:
    """{tensor: sum over it}, added in the order of the smallest blocks, however a pass is cut."""
    numbers = [reader.names.index(expert) for expert in merge.experts]

    def work(block: Block) -> list[Tensor]:
        base, own = reader.deltas(block, numbers)
        deltas: list[Any] = [None] * len(reader.names)
        for number, delta in zip(numbers, own, strict=True):
            deltas[number] = delta
        whole = build_block(block, base, deltas, merge)
        spec = merge.in_tensor(block.tensor).statistics[0][name]
        return [spec.of(part) for part in whole.split(BLOCK)]

    totals: dict[str, Tensor] = {}
    for block, parts in reader.map(work, reader.blocks(tensors)):
        for part in parts:
            totals[block.tensor] = totals[block.tensor] + part if block.tensor in totals else part
        on_progress(reader.bytes_of(block, numbers))
    return totals
