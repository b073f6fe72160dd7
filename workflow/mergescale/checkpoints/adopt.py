"""Turns a checkpoint into a folder with one `model.safetensors`, without loading the weights.

Large models come in shards, while the study's folders have a single file. Shards are concatenated,
and a single file that the study downloaded itself is hard-linked, so that a model of 140 GB is
written once at most.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from mergescale.checkpoints.folder import WEIGHTS, copy_companions, weight_files
from mergescale.checkpoints.reader import read_headers
from mergescale.checkpoints.safetensors_header import TensorInfo, encode_header
from mergescale.provenance.atomic import replacing

_DTYPES = {"F64": "float64", "F32": "float32", "F16": "float16", "BF16": "bfloat16"}
_BUFFER_BYTES = 16 << 20


def count_if_compatible(folder: Path) -> int | None:
    """Count the parameters of a folder's weights if they are exactly those of the architecture.

    Weights are compatible if their names and shapes are the architecture's and all have one
    floating-point dtype. Others (with another prefix, quantized, without a head) must be loaded
    and saved by transformers.

    Returns:
        The number of parameters; None if the weights are not compatible.

    Raises:
        ValueError: A safetensors file is missing or truncated.
    """
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    stored = read_headers(folder, weight_files(folder))
    try:
        config = AutoConfig.from_pretrained(folder, local_files_only=True)
        with torch.device("meta"):
            model = AutoModelForCausalLM.from_config(config)
    except (ValueError, OSError, KeyError, RuntimeError):
        return None
    shapes = {name: tuple(p.shape) for name, p in model.named_parameters(remove_duplicate=False)}
    sizes = {name: p.numel() for name, p in model.named_parameters()}  # tied weights once
    compatible = (
        sizes.keys() <= stored.keys()
        and all(shapes.get(name) == tensor.shape for name, tensor in stored.items())
        and len({tensor.dtype for tensor in stored.values()}) == 1
        and all(tensor.floating for tensor in stored.values())
    )
    return sum(sizes.values()) if compatible else None


def adopt_weights(folder: Path, out: Path, *, link: bool) -> None:
    """Copy configuration, tokenizer and, last, the weights of `folder` to `out`.

    Args:
        folder: The checkpoint, sharded or not.
        out: The new folder.
        link: Hard-link a single file of weights, if nobody will write to it.
    """
    out.mkdir(parents=True, exist_ok=True)
    files = weight_files(folder)
    tensors = read_headers(folder, files)
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
    # Newer than the job's inputs, or the workflow would run it again.
    os.utime(target)
    return True


def _join(files: list[Path], tensors: dict[str, TensorInfo], target: Path) -> None:
    head, _ = encode_header(
        ((t.name, t.dtype, t.shape) for t in tensors.values()), {"format": "pt"}
    )
    starts: dict[Path, int] = {}
    for tensor in tensors.values():
        starts.setdefault(tensor.file, tensor.offset)  # a file's tensors come in order
    with target.open("wb") as joined:
        joined.write(head)
        # The data of each file as a whole: headers describe it without gaps.
        for path in files:
            if path in starts:
                with path.open("rb") as shard:
                    shard.seek(starts[path])
                    shutil.copyfileobj(shard, joined, _BUFFER_BYTES)
