"""The merge engine: models of any size, in one pass over their files, within fixed memory.

A pass reads pieces of the base and of every expert, and from each makes the same piece of all
outputs: any number of methods, settings, subsets of experts and lambdas. Thresholds and sums that
methods ask for are found in passes before it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mergescale.checkpoints.background_writeback import handing_over
from mergescale.checkpoints.blocks import Block, block_elements, map_in_order, pieces
from mergescale.checkpoints.reader import CheckpointReader, check_alike
from mergescale.checkpoints.writer import CheckpointWriter
from mergescale.merging.delta_block import DeltaBlock
from mergescale.merging.engine.batches import batches
from mergescale.merging.engine.delta_reader import DeltaReader
from mergescale.merging.engine.journal import Journal, Tally
from mergescale.merging.engine.merge_spec import Merge
from mergescale.merging.engine.statistics import MergeStatistics, find
from mergescale.merging.ops.cast import as_bytes, cast_output
from mergescale.merging.ops.elect import Election, materialize, materialize_all
from mergescale.merging.statistics import MagnitudeThreshold, TensorSum

if TYPE_CHECKING:
    from torch import Tensor


class Engine:
    """Merges experts over a base, all outputs in one pass.

    base, experts: open sources, the experts in order of their names. threads: how many pieces are
    worked on at once. memory: bytes for all of them together, None for what is fast. device: where
    methods compute. compiled: whether by compiled loops, where there are any and the device is a
    CPU; the bits are the same.
    """

    def __init__(
        self,
        base: CheckpointReader,
        experts: Mapping[str, CheckpointReader],
        *,
        threads: int,
        memory: int | None,
        device: str = "cpu",
        compiled: bool = False,
    ) -> None:
        self.base = base
        self.names = sorted(experts)
        self.experts = [experts[name] for name in self.names]
        for expert in self.experts:
            check_alike(expert, base)
        self.threads, self.device = threads, device
        self.compiled = compiled and device == "cpu"
        self.elements = block_elements(len(experts), threads, memory, device)
        self.reader = DeltaReader(base, self.experts, self.elements, device, self.compiled)

    def statistics(
        self, merges: Sequence[Merge], kept: Path | None, progress: Any
    ) -> MergeStatistics:
        """Everything that the methods of these merges ask for."""
        thresholds: set[tuple[str, MagnitudeThreshold]] = set()
        sums: dict[tuple[str, str], tuple[Merge, TensorSum]] = {}
        for merge in merges:
            for expert, wishes in zip(merge.experts, merge.statistics, strict=True):
                for name, wish in wishes.items():
                    if isinstance(wish, MagnitudeThreshold):
                        thresholds.add((expert, wish))
                    elif isinstance(wish, TensorSum):
                        sums[merge.tau_key, name] = (merge, wish)
        return find(self, thresholds, sums, kept, progress)

    def run(
        self,
        merges: Sequence[Merge],
        outputs: Sequence[CheckpointWriter],
        found: MergeStatistics,
        journal: Journal,
        progress: Callable[[int], None],
        spared: Callable[[int], None] = lambda count: None,
    ) -> Tally:
        """Write all outputs, from where `journal` says on; return what was counted on the way.

        progress: told of bytes read and written; spared: of those that an earlier call did.
        Raises ValueError for NaN or infinity, and for an expert that is the base all over.
        """
        todo = list(pieces(self.base, self.elements))
        together = batches(merges, len(self.experts))
        tally = journal.tally or Tally.empty(len(merges), 1 + len(self.experts))
        spared(sum(self._bytes(piece, outputs) for piece in todo[: journal.done]))

        def work(piece: Block) -> Tally:
            counted = Tally.empty(len(merges), 1 + len(self.experts))
            if self.base.tensors[piece.tensor].floating:
                base, deltas = self.reader.deltas(
                    piece, range(len(self.experts)), counted.digests, counted.differs
                )
                self._reduce(piece, base, deltas, merges, together, outputs, found, counted)
            else:
                raw = self.reader.raw(piece)
                for output in outputs:
                    output.write(piece, raw)
            return counted

        with journal.marking(outputs), handing_over(outputs, journal.sync) as written_to:
            for done, (piece, counted) in enumerate(
                map_in_order(work, todo[journal.done :], self.threads), journal.done + 1
            ):
                tally.add(counted)
                progress(self._bytes(piece, outputs))
                journal.reached(done, tally)
                written_to(piece)
        for expert, differs in zip(self.experts, tally.differs, strict=True):
            if not differs:
                raise ValueError(
                    f"{expert.label} holds the same weights as {self.base.label}: an expert "
                    "differs from its base"
                )
        return tally

    def _reduce(
        self,
        piece: Block,
        base: Tensor,
        deltas: Sequence[Tensor],
        merges: Sequence[Merge],
        together: Sequence[Sequence[Sequence[int]]],
        outputs: Sequence[CheckpointWriter],
        found: MergeStatistics,
        counted: Tally,
    ) -> None:
        """All outputs' values of a piece, written; together: batches of merges."""
        for batch in together:
            shared: dict = {}
            made = []
            for merge in (merges[numbers[0]] for numbers in batch):
                block = self.delta_block(piece, base, deltas, merge, shared)
                cutoffs = found.thresholds_in(merge, piece.tensor)
                block.statistics = {
                    name: [each.in_block(piece.tensor, piece.start, len(piece)) for each in every]
                    for name, every in cutoffs.items()
                } | found.sums_in(merge, piece.tensor)
                tau = merge.method.merge_block(block, merge.parameters)
                by_loop = self.compiled and isinstance(tau, Election)
                made.append(tau if by_loop else materialize(tau))
            made = materialize_all(made)  # which lets go of masks
            for tau, numbers in zip(made, batch, strict=True):
                for number in numbers:
                    self._write(piece, base, tau, number, merges[number], outputs[number], counted)

    def _write(
        self,
        piece: Block,
        base: Tensor,
        made: Any,
        number: int,
        merge: Merge,
        output: CheckpointWriter,
        counted: Tally,
    ) -> None:
        """One output's values of a piece, and its masks, from what its method made."""
        tau, masks = made if isinstance(made, tuple) else (made, {})
        check_tau(merge.method.name, tau, base)
        values, moving, lost = cast_output(tau, merge.lam, base, merge.dtype, self.compiled)
        if values is None:
            wider = "" if merge.dtype == "float32" else "; write it in float32"
            raise ValueError(
                f"{merge.folder}: tensor {piece.tensor} overflows {merge.dtype}{wider}"
            )
        counted.moving[number] += moving
        counted.lost[number] += lost
        output.write(piece, values)
        for name, mask in masks.items():
            output.write(piece, as_bytes(mask), mask=name)

    def delta_block(
        self,
        piece: Block,
        base: Tensor,
        deltas: Sequence[Tensor],
        merge: Merge,
        shared: dict | None = None,
    ) -> DeltaBlock:
        """The block that `merge` gets, without statistics; deltas are those of all experts."""
        return DeltaBlock(
            tensor=piece.tensor,
            shape=tuple(self.base.tensors[piece.tensor].shape),
            start=piece.start,
            experts=merge.experts,
            deltas=[deltas[self.names.index(expert)] for expert in merge.experts],
            base=base,
            weights=[merge.weights.get(expert, 1.0) for expert in merge.experts],
            parameters=merge.settings,
            seed=merge.seed,
            use_kernels=self.compiled,
            shared={} if shared is None else shared,
        )

    def bytes_of(self, piece: Block, experts: Iterable[int]) -> int:
        """Bytes of a floating-point piece in the base and the experts with these numbers."""
        sources = (self.base, *(self.experts[number] for number in experts))
        return len(piece) * sum(source.tensors[piece.tensor].item_bytes for source in sources)

    def _bytes(self, piece: Block, outputs: Sequence[CheckpointWriter]) -> int:
        """Bytes that a piece is worth in the progress bar: read from inputs, written to outputs."""
        items = self.base.tensors[piece.tensor].item_bytes
        if self.base.tensors[piece.tensor].floating:
            items += sum(expert.tensors[piece.tensor].item_bytes for expert in self.experts)
        return len(piece) * (items + sum(output.item_bytes(piece.tensor) for output in outputs))


def check_tau(method: str, tau: Any, base: Tensor) -> None:
    """Raises ValueError unless a method returned an fp32 number for each element."""
    import torch

    if not isinstance(tau, torch.Tensor):
        raise ValueError(f"{method}: merge returned {type(tau).__name__}, not a tensor")
    if tau.shape != base.shape or tau.dtype != torch.float32:
        raise ValueError(
            f"{method}: merge returned {str(tau.dtype).removeprefix('torch.')} of shape "
            f"{tuple(tau.shape)}, not float32 of {tuple(base.shape)}"
        )
