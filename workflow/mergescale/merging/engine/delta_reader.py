"""Reads the same block of a base and its experts as fp32 task vectors, in reused memory."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from math import isfinite
from typing import TYPE_CHECKING, TypeVar

from mergescale.checkpoints.blocks import BLOCK, Block, iter_blocks, map_in_order
from mergescale.checkpoints.reader import CheckpointReader

if TYPE_CHECKING:
    from torch import Tensor

_MAX_ITEM_BYTES = 8
Result = TypeVar("Result")


class DeltaReader:
    """Task vectors W_i - W0 of experts over a base, block by block, from several threads.

    Each thread has its own memory: one raw block, and an fp32 block of the base, of every expert
    and of every statistics file. Returned tensors live there until the thread's next call.

    Attributes:
        base: The base.
        names: Names of the experts, sorted; other arguments number the experts in this order.
        experts: Their readers.
        statistics_files: {(expert, statistic): reader of the file}.
        block_elements: Elements of a block at most, a multiple of `BLOCK`.
        threads: Blocks in progress at the same time.
        device: Where the task vectors are.
        compiled: Whether numba kernels are used (on a CPU; the bits are the same).
    """

    def __init__(
        self,
        base: CheckpointReader,
        experts: Mapping[str, CheckpointReader],
        *,
        block_elements: int,
        threads: int = 1,
        device: str = "cpu",
        compiled: bool = False,
        statistics_files: Mapping[tuple[str, str], CheckpointReader] | None = None,
    ) -> None:
        self.base = base
        self.names = sorted(experts)
        self.experts = [experts[name] for name in self.names]
        self.statistics_files = dict(sorted((statistics_files or {}).items()))
        self.block_elements, self.threads = block_elements, threads
        self.device, self.compiled = device, compiled
        self._own = threading.local()

    def blocks(self, names: Iterable[str] | None = None) -> Iterator[Block]:
        """The blocks of some of the base's tensors, or of all in the order of the files."""
        return iter_blocks(self.base, self.block_elements, names)

    def map(
        self, work: Callable[[Block], Result], blocks: Iterable[Block]
    ) -> Iterator[tuple[Block, Result]]:
        """Yield each block with the result of `work` on it, in order; `work` runs in threads."""
        return map_in_order(work, blocks, self.threads)

    def deltas(
        self,
        block: Block,
        experts: Sequence[int],
        digests: list[int] | None = None,
        differs: list[bool] | None = None,
    ) -> tuple[Tensor, list[Tensor]]:
        """Read a block of the base and of some experts.

        Args:
            block: The block, of a floating-point tensor.
            experts: Numbers of the experts.
            digests: Of the base, then of every expert: the block's digests are added.
            differs: For every expert: set to True if its block differs from the base's.

        Returns:
            The base's block and W_i - W0 of each of the experts; fp32[len(block)].

        Raises:
            ValueError: A model has NaN or infinity, or a difference overflows fp32; the message
                names the tensor.
        """
        raw, buffers = self._memory()
        base = buffers[0][: len(block)]
        base.copy_(self._read(self.base, block, raw, digests, 0))
        deltas = []
        for number in experts:
            delta = buffers[1 + number][: len(block)]
            values = self._read(self.experts[number], block, raw, digests, 1 + number)
            largest = self._subtract(values, base, delta)
            # Checking the difference covers both operands; which one it was matters only then.
            if not isfinite(largest):
                self._report_not_finite(block, number)
            if differs is not None and largest:
                differs[number] = True
            deltas.append(delta)
        return base, deltas

    def statistics(
        self, block: Block, digests: list[int] | None = None
    ) -> dict[tuple[str, str], Tensor]:
        """Read a block of every statistics file: {(expert, statistic): fp32[len(block)]}.

        Args:
            block: The block, of a floating-point tensor.
            digests: Of all models, then of every file: the block's digests are added.

        Raises:
            ValueError: A file has NaN or infinity; the message names the tensor.
        """
        raw, buffers = self._memory()
        found = {}
        for number, (key, file) in enumerate(self.statistics_files.items(), 1 + len(self.experts)):
            values = buffers[number][: len(block)]
            values.copy_(self._read(file, block, raw, digests, number))
            if not values.isfinite().all():
                raise ValueError(f"{file.label}: tensor {block.tensor} has NaN or infinity")
            found[key] = values
        return found

    def raw(self, block: Block) -> memoryview:
        """The base's bytes of a block."""
        memory, _ = self._memory()
        tensor = self.base.tensors[block.tensor]
        return self.base.read_bytes(tensor, block.start, block.stop, memory)

    def bytes_of(self, block: Block, experts: Iterable[int]) -> int:
        """Bytes of a floating-point block in the base and in the experts with these numbers."""
        readers = (self.base, *(self.experts[number] for number in experts))
        return len(block) * sum(reader.tensors[block.tensor].item_bytes for reader in readers)

    def _subtract(self, values: Tensor, base: Tensor, delta: Tensor) -> float:
        """Set `delta` to values - base; its largest magnitude, infinite or NaN if one is."""
        import torch

        if self.compiled and values.dtype in (torch.bfloat16, torch.float32):
            return _subtract_numba(values, base, delta)
        delta.copy_(values).sub_(base)
        # The extremes cost less than any sum: NaN is passed on, infinity is one.
        return max(abs(bound.item()) for bound in delta.aminmax()) if len(delta) else 0.0

    def _read(
        self,
        reader: CheckpointReader,
        block: Block,
        raw: memoryview,
        digests: list[int] | None,
        number: int,
    ) -> Tensor:
        tensor = reader.tensors[block.tensor]
        values = reader.read(tensor, block.start, block.stop, raw)
        if digests is not None:
            read = raw[: len(block) * tensor.item_bytes]
            digests[number] += block_digest(block, read, tensor.item_bytes)
        return values

    def _memory(self) -> tuple[memoryview, list[Tensor]]:
        """This thread's raw block and fp32 blocks."""
        import torch

        if not hasattr(self._own, "raw"):
            self._own.raw = memoryview(bytearray(self.block_elements * _MAX_ITEM_BYTES))
            self._own.buffers = [
                torch.empty(self.block_elements, dtype=torch.float32, device=self.device)
                for _ in range(1 + len(self.experts) + len(self.statistics_files))
            ]
        return self._own.raw, self._own.buffers

    def _report_not_finite(self, block: Block, number: int) -> None:
        """Raises ValueError, unless all values are finite and only their sum is not."""
        expert = self.experts[number]
        raw, buffers = self._memory()
        for reader in (self.base, expert):
            values = reader.read(reader.tensors[block.tensor], block.start, block.stop, raw)
            if not values.isfinite().all():
                raise ValueError(f"{reader.label}: tensor {block.tensor} has NaN or infinity")
            if not values.float().isfinite().all():
                raise ValueError(f"{reader.label}: tensor {block.tensor} overflows fp32")
        if not buffers[1 + number][: len(block)].isfinite().all():
            raise ValueError(
                f"{expert.label}: tensor {block.tensor} minus that of {self.base.label} "
                "overflows fp32"
            )


def _subtract_numba(values: Tensor, base: Tensor, delta: Tensor) -> float:
    """`DeltaReader._subtract` for bfloat16 and float32, by a kernel."""
    import numpy as np
    import torch

    from mergescale.merging.ops.kernels.deltas import from_bfloat16, from_float32

    if values.dtype == torch.bfloat16:
        bits = from_bfloat16(values.view(torch.uint16).numpy(), base.numpy(), delta.numpy())
    else:
        bits = from_float32(values.numpy(), base.numpy(), delta.numpy())
    return float(np.uint32(bits).view(np.float32))


def block_digest(block: Block, raw: memoryview, item_bytes: int) -> int:
    """What a block adds to the content digest of its model: the sum of xxh3-128 of its parts.

    Parts are the smallest blocks. The sum over a model tells whether two models have the same
    weights under the same names, wherever the bytes are and however they were cut into blocks. It
    does not protect against an adversary.
    """
    import xxhash

    step, total = BLOCK * item_bytes, 0
    name = block.tensor.encode()
    for offset in range(0, len(raw), step):
        seed = xxhash.xxh3_64_intdigest(name, seed=block.start // BLOCK + offset // step)
        total += xxhash.xxh3_128_intdigest(raw[offset : offset + step], seed=seed)
    return total


def format_digest(total: int) -> str:
    """A content digest as records show it."""
    return f"xxh3-128:{total % (1 << 128):032x}"
