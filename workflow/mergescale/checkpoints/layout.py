"""Where in which file the tensors of a merged model lie, known before the first is computed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from math import prod
from pathlib import Path

from mergescale.checkpoints.blocks import Block
from mergescale.checkpoints.folder import WEIGHTS
from mergescale.checkpoints.reader import CheckpointReader
from mergescale.checkpoints.safetensors_header import ITEM_BYTES, encode_header

FORMAT_NAMES = {"float32": "F32", "bfloat16": "BF16", "float16": "F16"}
MASKS = "masks.safetensors"

# A tensor's name, format and shape.
Planned = tuple[str, str, tuple[int, ...]]


@dataclass
class Layout:
    """Files of weights and masks.

    Attributes:
        places: {tensor: (file, its first byte in it, bytes of an element)}.
        heads: {file: (its header, bytes of the whole file)}.
        index: {tensor: file}, without masks.
        masks: {mask: its first byte}.
    """

    places: dict[str, tuple[Path, int, int]] = field(default_factory=dict)
    heads: dict[Path, tuple[bytes, int]] = field(default_factory=dict)
    index: dict[str, str] = field(default_factory=dict)
    masks: dict[str, int] = field(default_factory=dict)

    def add(self, file: Path, tensors: Sequence[Planned]) -> None:
        """Raises ValueError for two tensors of one name."""
        head, starts = encode_header(tensors, {"format": "pt"})
        if len(starts) < len(tensors):  # masks: of expert a.b and tensor c, of a and b.c
            raise ValueError(f"{file} would hold two tensors of one name: rename the experts")
        end = len(head)
        for name, dtype, shape in tensors:
            self.places[name] = (file, starts[name], ITEM_BYTES[dtype])
            end += prod(shape) * ITEM_BYTES[dtype]
        self.heads[file] = (head, end)

    def mask_ranges(self, last: Block) -> Iterator[tuple[int, int]]:
        """First byte and end of what each mask holds up to a piece; none for other tensors."""
        for mask, start in self.masks.items():
            place = self.places.get(f"{mask}.{last.tensor}")
            if place is not None:
                yield start, place[1] + last.stop * place[2]


def plan_layout(
    base: CheckpointReader, dtype: str, shard_bytes: int, masks: Sequence[str]
) -> Layout:
    """The layout of a model like `base`, in files of at most `shard_bytes` of weights each.

    dtype: of its floating-point tensors. masks: names of boolean masks for each of those. Raises
    ValueError for two masks of one name.
    """
    shards: list[list[Planned]] = [[]]
    filled = 0
    for stored in base.tensors.values():
        own = FORMAT_NAMES[dtype] if stored.floating else stored.dtype
        size = stored.elements * ITEM_BYTES[own]
        if shards[-1] and filled + size > shard_bytes:
            shards.append([])
            filled = 0
        shards[-1].append((stored.name, own, stored.shape))
        filled += size
    names = [WEIGHTS]
    if len(shards) > 1:
        names = [
            f"model-{number:05d}-of-{len(shards):05d}.safetensors"
            for number in range(1, len(shards) + 1)
        ]
    layout = Layout()
    for file, tensors in zip(names, shards, strict=True):
        layout.add(Path(file), tensors)
        layout.index.update(dict.fromkeys((name for name, _, _ in tensors), file))
    floating = [stored for stored in base.tensors.values() if stored.floating]
    every = [
        (f"{mask}.{stored.name}", "BOOL", stored.shape) for mask in masks for stored in floating
    ]
    if every:
        layout.add(Path(MASKS), every)
        layout.masks = {m: layout.places[f"{m}.{floating[0].name}"][1] for m in masks}
    return layout
