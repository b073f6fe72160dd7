"""How many bytes merges read and write, estimated from headers alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from mergescale.checkpoints.reader import CheckpointReader
from mergescale.checkpoints.safetensors_header import ITEM_BYTES
from mergescale.checkpoints.writer import SAFETENSORS_DTYPES
from mergescale.merging.engine.merge_spec import Merge, statistics_files
from mergescale.merging.engine.statistics import requested_sums, requested_thresholds
from mergescale.merging.engine.thresholds import max_passes
from mergescale.merging.statistics import FIRST


@dataclass(frozen=True)
class IOEstimate:
    """Bytes that merges read and write.

    Attributes:
        inputs: Of all models and statistics files.
        statistics: Read in passes for thresholds and sums, if no threshold is cached.
        merging: Read in the pass that merges.
        weights: Written.
        masks: Written beside the weights.
    """

    inputs: int
    statistics: int
    merging: int
    weights: int
    masks: int

    @property
    def read(self) -> int:
        """Bytes read in all passes."""
        return self.statistics + self.merging

    @property
    def written(self) -> int:
        """Bytes of all outputs."""
        return self.weights + self.masks

    @property
    def moved(self) -> int:
        """Bytes that the progress bar counts, without masks."""
        return self.read + self.weights


def estimate_folders(
    base: Path, experts: Mapping[str, Path], merges: Sequence[Merge]
) -> IOEstimate:
    """`estimate_io` of models in folders.

    Raises:
        ValueError: A model cannot be read, or settings do not fit its tensors.
    """
    with ExitStack() as stack:
        base_reader = stack.enter_context(CheckpointReader.open(base))
        readers = {
            name: stack.enter_context(CheckpointReader.open(folder))
            for name, folder in experts.items()
        }
        files = {
            key: stack.enter_context(CheckpointReader.open_file(file))
            for key, file in statistics_files(merges).items()
        }
        for merge in merges:
            merge.check_tensors(base_reader.floating_tensors())
        return estimate_io(base_reader, readers, merges, files)


def estimate_io(
    base: CheckpointReader,
    experts: Mapping[str, CheckpointReader],
    merges: Sequence[Merge],
    statistics_files: Mapping[tuple[str, str], CheckpointReader],
) -> IOEstimate:
    """Estimate the bytes of these merges if no threshold is cached.

    Args:
        base: The base.
        experts: {name: expert}.
        merges: The merges.
        statistics_files: {(expert, statistic): file}.
    """
    further = [*experts.values(), *statistics_files.values()]
    # Integer tensors are the base's; those of the experts are not read.
    merging = base.bytes + sum(reader.floating_bytes for reader in further)
    return IOEstimate(
        inputs=base.bytes + sum(reader.bytes for reader in further),
        statistics=_statistics_bytes(base, experts, merges),
        merging=merging,
        weights=sum(
            tensor.elements
            * ITEM_BYTES[SAFETENSORS_DTYPES[merge.dtype] if tensor.floating else tensor.dtype]
            for merge in merges
            for tensor in base.tensors.values()
        ),
        masks=sum(
            base.elements * len(merge.method.masks(merge.experts))
            for merge in merges
            if merge.method.masks
        ),
    )


def _statistics_bytes(
    base: CheckpointReader, experts: Mapping[str, CheckpointReader], merges: Sequence[Merge]
) -> int:
    """Bytes read in passes for sums and thresholds."""
    tensors = base.floating_tensors()
    total = 0
    for merge in requested_sums(merges, tensors).values():
        total += base.floating_bytes + sum(experts[e].floating_bytes for e in merge.experts)
    with_ties: dict[str, set[str]] = {}
    for group, requested in requested_thresholds(merges, tensors).items():
        for scope in ("model", "tensor"):
            of = {
                expert: {(s.density, s.rounding) for s in specs if s.scope == scope}
                for expert, specs in requested.items()
                if any(s.scope == scope for s in specs)
            }
            if not of:
                continue
            readers = (base, *(experts[name] for name in of))
            # Whether all models have the same tensors is checked later.
            once = sum(r.tensors[t].bytes for r in readers for t in group if t in r.tensors)
            passes = max_passes(
                [base.tensors[t].elements for t in group], max(map(len, of.values()))
            )
            total += round(once * passes)
            with_ties.setdefault(scope, set()).update(
                expert
                for expert, specs in requested.items()
                if any(s.ties == FIRST and s.scope == scope for s in specs)
            )
    for names in with_ties.values():
        if names:  # at most one more pass
            total += base.floating_bytes + sum(experts[name].floating_bytes for name in names)
    return total
