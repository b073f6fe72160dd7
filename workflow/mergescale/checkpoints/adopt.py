"""A checkpoint's weights as one `model.safetensors`, without reading them into memory.

Large models come in shards; the study's folders hold one file. Shards are joined byte by byte, and
a whole file that the study fetched itself is linked: 140 GB are written once at most.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from mergescale.checkpoints.folder import WEIGHTS, copy_companions, weight_files
from mergescale.checkpoints.safetensors_header import TensorInfo, encode_header, read_header
from mergescale.provenance.atomic import replacing

_DTYPES = {"F64": "float64", "F32": "float32", "F16": "float16", "BF16": "bfloat16"}
_PIECE = 16 << 20  # bytes in memory at once


def list_tensors(folder: Path) -> dict[str, TensorInfo]:
    """The tensors of a folder's safetensors files by name, in the order of the files.

    Raises:
        ValueError: no safetensors files, one that is not whole, or a name in two of them.
    """
    found: dict[str, TensorInfo] = {}
    for path in weight_files(folder):
        for tensor in read_header(path):
            if tensor.name in found:
                raise ValueError(f"{folder}: tensor {tensor.name} is in two of its files")
            found[tensor.name] = tensor
    return found


def count_if_compatible(folder: Path) -> int | None:
    """How many parameters the weights have, if they are those of the architecture; else None.

    They fit if names and shapes are the architecture's and all are of one floating-point type.
    Others (another prefix, quantized, a head that is missing) must go through transformers.

    Raises:
        ValueError: the files are no whole safetensors files.
    """
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    stored = list_tensors(folder)
    try:
        config = AutoConfig.from_pretrained(folder, local_files_only=True)
        with torch.device("meta"):
            model = AutoModelForCausalLM.from_config(config)
    except (ValueError, OSError, KeyError, RuntimeError):
        return None
    shapes = {name: tuple(p.shape) for name, p in model.named_parameters(remove_duplicate=False)}
    once = {name: p.numel() for name, p in model.named_parameters()}  # of tied weights, the first
    fit = (
        once.keys() <= stored.keys()
        and all(shapes.get(name) == tensor.shape for name, tensor in stored.items())
        and len({tensor.dtype for tensor in stored.values()}) == 1
        and all(tensor.floating for tensor in stored.values())
    )
    return sum(once.values()) if fit else None


def adopt_weights(folder: Path, out: Path, *, link: bool) -> None:
    """Put the weights of `folder` into `out`, with configuration and tokenizer, the weights last.

    Args:
        link: whether the weights may stay the same file on disk, since nobody writes into it.
    """
    out.mkdir(parents=True, exist_ok=True)
    files, tensors = weight_files(folder), list_tensors(folder)
    copy_companions(folder, out, _DTYPES[next(iter(tensors.values())).dtype])
    with replacing(out / WEIGHTS) as temporary:
        if len(files) > 1:
            _join(files, tensors, temporary)
        elif not (link and _try_hardlink(files[0], temporary)):
            shutil.copyfile(files[0], temporary)


def _try_hardlink(source: Path, target: Path) -> bool:
    try:
        os.link(source.resolve(), target)
    except OSError:  # another file system, or one without links
        return False
    # Newer than what the job was given, or the workflow would make it again.
    os.utime(target)
    return True


def _join(files: list[Path], tensors: dict[str, TensorInfo], target: Path) -> None:
    head, _ = encode_header(
        ((t.name, t.dtype, t.shape) for t in tensors.values()), {"format": "pt"}
    )
    begins: dict[Path, int] = {}
    for tensor in tensors.values():
        begins.setdefault(tensor.file, tensor.offset)  # a file's tensors come in order
    with target.open("wb") as joined:
        joined.write(head)
        # Of each file the data as a whole, which its header describes without gaps.
        for path in files:
            if path in begins:
                with path.open("rb") as shard:
                    shard.seek(begins[path])
                    shutil.copyfileobj(shard, joined, _PIECE)
