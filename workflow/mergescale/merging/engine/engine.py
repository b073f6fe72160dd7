"""The merge engine: makes any number of merges in one pass over the files, within fixed memory.

A pass reads each block of the base and of every expert once, and computes the same block of all
outputs from it: for any methods, parameters, subsets of experts and lambdas. Thresholds and sums
that methods require are computed in passes before it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mergescale.checkpoints.blocks import Block
from mergescale.checkpoints.reader import CheckpointReader, check_same_tensors
from mergescale.checkpoints.writeback import background_writeback
from mergescale.checkpoints.writer import CheckpointWriter
from mergescale.merging.delta_block import DeltaBlock, check_tau
from mergescale.merging.engine.delta_reader import DeltaReader
from mergescale.merging.engine.journal import Journal, Tally
from mergescale.merging.engine.memory import block_elements
from mergescale.merging.engine.merge_spec import Merge, batch_merges
from mergescale.merging.engine.statistics import MergeStatistics, collect_statistics
from mergescale.merging.ops.cast import as_bytes, cast_output
from mergescale.merging.ops.elect import Election, materialize, materialize_all

if TYPE_CHECKING:
    from torch import Tensor


class Engine:
    """Merges experts over a base.

    Attributes:
        reader: Reads task vectors; it knows the base, the experts, and the size of blocks.
        compiled: Whether numba kernels are used.
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
        statistics_files: Mapping[tuple[str, str], CheckpointReader] | None = None,
        whole_tensors: bool = False,
    ) -> None:
        """Check the models and plan the blocks.

        Args:
            base: The base.
            experts: {name: expert}.
            threads: Blocks in progress at the same time.
            memory: Bytes for all of them together; None for what is fast.
            device: Where methods compute.
            compiled: Use numba kernels where there are any, on a CPU; the bits are the same.
            statistics_files: {(expert, statistic): file}, with the base's tensors.
            whole_tensors: Whether a method needs each tensor as a whole.

        Raises:
            ValueError: The models do not have the same tensors, or memory is too small.
        """
        for expert in experts.values():
            check_same_tensors(expert, base)
        for file in (statistics_files or {}).values():
            check_statistics_file(file, base)
        self.compiled = compiled and device == "cpu"
        self.reader = DeltaReader(
            base,
            experts,
            block_elements=block_elements(
                len(experts),
                threads,
                memory,
                device,
                statistics_files=len(statistics_files or {}),
                whole_tensor=largest_tensor(base) if whole_tensors else 0,
            ),
            threads=threads,
            device=device,
            compiled=self.compiled,
            statistics_files=statistics_files,
        )

    @property
    def models(self) -> list[CheckpointReader]:
        """The base and the experts in the order of their names."""
        return [self.reader.base, *self.reader.experts]

    def statistics(
        self, merges: Sequence[Merge], cache_dir: Path | None, on_progress: Callable[[int], None]
    ) -> MergeStatistics:
        """Compute everything that the methods of these merges require; see `collect_statistics`."""
        return collect_statistics(self.reader, merges, self.delta_block, cache_dir, on_progress)

    def run(
        self,
        merges: Sequence[Merge],
        outputs: Sequence[CheckpointWriter],
        statistics: MergeStatistics,
        journal: Journal,
        on_progress: Callable[[int], None],
        on_skipped: Callable[[int], None] = lambda count: None,
    ) -> Tally:
        """Write all outputs, resuming from where the journal says.

        Args:
            merges: The merges.
            outputs: The output of each.
            statistics: What `statistics` returned for these merges.
            journal: Records progress.
            on_progress: Called with the bytes read and written.
            on_skipped: Called with the bytes that an earlier call read and wrote.

        Returns:
            What was counted along the way.

        Raises:
            ValueError: A model has NaN or infinity, an output overflows its dtype, or an expert has
                the same weights as the base.
        """
        blocks = list(self.reader.blocks())
        batches = batch_merges(merges, len(self.reader.experts))
        tally = journal.tally or self._empty_tally(merges)
        on_skipped(sum(self._bytes(block, outputs) for block in blocks[: journal.done]))

        def work(block: Block) -> Tally:
            counted = self._empty_tally(merges)
            if self.reader.base.tensors[block.tensor].floating:
                base, deltas = self.reader.deltas(
                    block, range(len(self.reader.experts)), counted.digests, counted.differs
                )
                files = self.reader.statistics(block, counted.digests)
                self._merge_block(
                    block, base, deltas, files, merges, batches, outputs, statistics, counted
                )
            else:
                raw = self.reader.raw(block)
                for output in outputs:
                    output.write(block, raw)
            return counted

        with (
            journal.commit_in_background(outputs),
            background_writeback(outputs, journal.sync) as written_up_to,
        ):
            merged = self.reader.map(work, blocks[journal.done :])
            for done, (block, counted) in enumerate(merged, journal.done + 1):
                tally.add(counted)
                on_progress(self._bytes(block, outputs))
                journal.advance(done, tally)
                written_up_to(block)
        for expert, differs in zip(self.reader.experts, tally.differs, strict=True):
            if not differs:
                raise ValueError(
                    f"{expert.label} has the same weights as {self.reader.base.label}: an expert "
                    "must differ from its base"
                )
        return tally

    def delta_block(
        self,
        block: Block,
        base: Tensor,
        deltas: Sequence[Tensor],
        merge: Merge,
        shared: dict | None = None,
    ) -> DeltaBlock:
        """A block as the method of a merge gets it, still without statistics.

        Args:
            block: The block.
            base: The base's elements.
            deltas: The task vectors of all experts, in the order of their names.
            merge: The merge.
            shared: What merges of one pass need not compute twice.
        """
        settings = merge.in_tensor(block.tensor)
        return DeltaBlock(
            tensor=block.tensor,
            shape=self.reader.base.tensors[block.tensor].shape,
            start=block.start,
            experts=merge.experts,
            deltas=[deltas[self.reader.names.index(expert)] for expert in merge.experts],
            base=base,
            weights=settings.weights,
            parameters=settings.expert_parameters,
            seed=merge.seed,
            use_kernels=self.compiled,
            shared={} if shared is None else shared,
        )

    def _merge_block(
        self,
        block: Block,
        base: Tensor,
        deltas: Sequence[Tensor],
        files: Mapping[tuple[str, str], Tensor],
        merges: Sequence[Merge],
        batches: Sequence[Sequence[Sequence[int]]],
        outputs: Sequence[CheckpointWriter],
        statistics: MergeStatistics,
        counted: Tally,
    ) -> None:
        """Compute and write a block of all outputs."""
        for batch in batches:
            shared: dict = {}
            results = []
            for merge in (merges[numbers[0]] for numbers in batch):
                delta_block = self.delta_block(block, base, deltas, merge, shared)
                delta_block.statistics = statistics.in_block(merge, block, files)
                parameters = merge.in_tensor(block.tensor).parameters
                tau = merge.method.merge_block(delta_block, parameters)
                together = self.compiled and isinstance(tau, Election)
                results.append(tau if together else materialize(tau))
            results = materialize_all(results)  # frees the masks
            for tau, numbers in zip(results, batch, strict=True):
                for number in numbers:
                    self._write(block, base, tau, number, merges[number], outputs[number], counted)

    def _write(
        self,
        block: Block,
        base: Tensor,
        result: Any,
        number: int,
        merge: Merge,
        output: CheckpointWriter,
        counted: Tally,
    ) -> None:
        """Write a block of one output, and of its masks, from what its method returned."""
        tau, masks = result if isinstance(result, tuple) else (result, {})
        check_tau(merge.method.name, tau, base)
        values, updated, rounded_away = cast_output(
            tau, merge.lam, base, merge.dtype, self.compiled
        )
        if values is None:
            wider = "" if merge.dtype == "float32" else "; write it in float32"
            raise ValueError(
                f"{merge.folder}: tensor {block.tensor} overflows {merge.dtype}{wider}"
            )
        counted.num_updated[number] += updated
        counted.num_rounded_away[number] += rounded_away
        output.write(block, values)
        for name, mask in masks.items():
            output.write(block, as_bytes(mask), mask=name)

    def _empty_tally(self, merges: Sequence[Merge]) -> Tally:
        return Tally.empty(len(merges), len(self.reader.experts), len(self.reader.statistics_files))

    def _bytes(self, block: Block, outputs: Sequence[CheckpointWriter]) -> int:
        """Bytes of a block that are read from inputs and written to outputs, without masks."""
        readers = [self.reader.base]
        if self.reader.base.tensors[block.tensor].floating:
            readers += [*self.reader.experts, *self.reader.statistics_files.values()]
        read = sum(reader.tensors[block.tensor].item_bytes for reader in readers)
        return len(block) * (read + sum(output.item_bytes(block.tensor) for output in outputs))


def largest_tensor(base: CheckpointReader) -> int:
    """Elements of a model's largest tensor."""
    return max(tensor.elements for tensor in base.tensors.values())


def check_statistics_file(file: CheckpointReader, base: CheckpointReader) -> None:
    """Check that a statistics file has all floating-point tensors of the base.

    Raises:
        ValueError: It does not; the message names the file and the tensor.
    """
    for name in base.floating_tensors():
        if name not in file.tensors:
            raise ValueError(f"{file.label} lacks tensor {name}, which {base.label} has")
        own, tensor = file.tensors[name], base.tensors[name]
        if own.shape != tensor.shape or not own.floating:
            raise ValueError(
                f"{file.label}: tensor {name} is {own.dtype} of shape {own.shape}, must be "
                f"floating-point of shape {tensor.shape} as in {base.label}"
            )
