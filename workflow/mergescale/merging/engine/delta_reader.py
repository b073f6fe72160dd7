"""Reads the same piece of a base and its experts, as fp32 task vectors in reused memory."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from math import isfinite
from typing import TYPE_CHECKING

from mergescale.checkpoints.blocks import BLOCK, Block
from mergescale.checkpoints.reader import CheckpointReader

if TYPE_CHECKING:
    from torch import Tensor

_MOST_ITEM_BYTES = 8


class DeltaReader:
    """Task vectors of some experts over a base, a piece at a time, from several threads.

    Each thread has its own memory: one raw piece, and an fp32 piece of the base and every expert.
    What `deltas` returns lives there until the thread's next call.
    """

    def __init__(
        self,
        base: CheckpointReader,
        experts: Sequence[CheckpointReader],
        elements: int,
        device: str,
        compiled: bool = False,
    ) -> None:
        self.base, self.experts = base, experts
        self.elements = max(BLOCK, elements // BLOCK * BLOCK)
        self.device, self.compiled = device, compiled
        self._own = threading.local()

    def deltas(
        self,
        piece: Block,
        wanted: Sequence[int],
        digests: list[int] | None = None,
        differs: list[bool] | None = None,
    ) -> tuple[Tensor, list[Tensor]]:
        """The base's piece and W_i - W0 of the experts with these numbers; 1-D fp32.

        digests: the base's and every expert's, to which what was read is added. differs: for every
        expert, set where its piece is not the base's. Raises ValueError naming the tensor for NaN
        or infinity in a model.
        """
        raw, buffers = self._memory()
        base = buffers[0][: len(piece)]
        base.copy_(self._read(0, piece, raw, digests))
        deltas = []
        for number in wanted:
            delta = buffers[1 + number][: len(piece)]
            largest = self._subtract(self._read(1 + number, piece, raw, digests), base, delta)
            # One look at the difference covers both operands; who is at fault matters only then.
            if not isfinite(largest):
                self._blame(piece, number)
            if differs is not None and largest:
                differs[number] = True
            deltas.append(delta)
        return base, deltas

    def _subtract(self, values: Tensor, base: Tensor, delta: Tensor) -> float:
        """Set `delta` to values - base; its largest magnitude, infinite or NaN if one is."""
        import torch

        if self.compiled and values.dtype in (torch.bfloat16, torch.float32):
            return _subtracted_by_a_loop(values, base, delta)
        delta.copy_(values).sub_(base)
        # The extremes cost less than any sum: NaN is passed on, infinity is one.
        return max(abs(bound.item()) for bound in delta.aminmax()) if len(delta) else 0.0

    def raw(self, piece: Block) -> memoryview:
        """The base's bytes of a piece."""
        memory, _ = self._memory()
        return self.base.read_bytes(
            self.base.tensors[piece.tensor], piece.start, piece.stop, memory
        )

    def _read(
        self, number: int, piece: Block, raw: memoryview, digests: list[int] | None
    ) -> Tensor:
        source = self.experts[number - 1] if number else self.base
        stored = source.tensors[piece.tensor]
        values = source.read(stored, piece.start, piece.stop, raw)
        if digests is not None:
            read = raw[: len(piece) * stored.item_bytes]
            digests[number] += block_digest(piece, read, stored.item_bytes)
        return values

    def _memory(self) -> tuple[memoryview, list[Tensor]]:
        import torch

        if not hasattr(self._own, "raw"):
            self._own.raw = memoryview(bytearray(self.elements * _MOST_ITEM_BYTES))
            self._own.buffers = [
                torch.empty(self.elements, dtype=torch.float32, device=self.device)
                for _ in range(1 + len(self.experts))
            ]
        return self._own.raw, self._own.buffers

    def _blame(self, piece: Block, number: int) -> None:
        """Raises ValueError unless the values are finite and only their sum is not."""
        expert = self.experts[number]
        raw, _ = self._memory()
        for source in (self.base, expert):
            values = source.read(source.tensors[piece.tensor], piece.start, piece.stop, raw)
            if not values.isfinite().all():
                raise ValueError(f"{source.label}: tensor {piece.tensor} holds NaN or infinity")
            if not values.float().isfinite().all():
                raise ValueError(f"{source.label}: tensor {piece.tensor} overflows fp32")
        delta = self._own.buffers[1 + number]
        if not delta[: len(piece)].isfinite().all():
            raise ValueError(
                f"{expert.label}: tensor {piece.tensor} less that of {self.base.label} "
                "overflows fp32"
            )


def _subtracted_by_a_loop(values: Tensor, base: Tensor, delta: Tensor) -> float:
    import numpy as np
    import torch

    from mergescale.merging.ops.kernels.deltas import from_bfloat16, from_float32

    if values.dtype == torch.bfloat16:
        bits = from_bfloat16(values.view(torch.uint16).numpy(), base.numpy(), delta.numpy())
    else:
        bits = from_float32(values.numpy(), base.numpy(), delta.numpy())
    return float(np.uint32(bits).view(np.float32))


def block_digest(piece: Block, raw: memoryview, item_bytes: int) -> int:
    """What a piece adds to the content digest of its model: xxh3-128 of each block, added up.

    The sum over all pieces tells whether two models hold the same weights under the same names,
    wherever the bytes lie and however they were cut; it is no protection against an adversary.
    """
    import xxhash

    step, total = BLOCK * item_bytes, 0
    name = piece.tensor.encode()
    for at in range(0, len(raw), step):
        seed = xxhash.xxh3_64_intdigest(name, seed=piece.start // BLOCK + at // step)
        total += xxhash.xxh3_128_intdigest(raw[at : at + step], seed=seed)
    return total


def digest_name(total: int) -> str:
    """A content digest as records show it."""
    return f"xxh3-128:{total % (1 << 128):032x}"
