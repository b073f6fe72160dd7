"""Models in Hugging Face folders: loaded and saved."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

import torch
from safetensors import SafetensorError
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoModelForSeq2SeqLM,
    AutoTokenizer,
)
from transformers.modeling_utils import PreTrainedModel
from transformers.tokenization_utils_base import PreTrainedTokenizerBase
from transformers.utils import logging

# Progress bars over a model's few files would only fill the logs.
logging.disable_progress_bar()


def load(folder: str | os.PathLike[str]) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """Load a model in fp32 and its tokenizer from a local Hugging Face folder.

    Its `config.json` decides between a causal and an encoder-decoder model. Only safetensors are
    read.

    Returns:
        The model in evaluation mode, and its tokenizer.

    Raises:
        FileNotFoundError: the folder has no `config.json`.
        ValueError: weights or tokenizer are missing or unreadable; the message names the folder.
    """
    folder = Path(folder)
    if not (folder / "config.json").is_file():
        raise FileNotFoundError(f"{folder} is not a model folder: it has no config.json")
    try:
        config = AutoConfig.from_pretrained(folder, local_files_only=True)
        family = AutoModelForSeq2SeqLM if config.is_encoder_decoder else AutoModelForCausalLM
        model, info = family.from_pretrained(
            folder,
            dtype=torch.float32,
            use_safetensors=True,
            local_files_only=True,
            output_loading_info=True,
        )
    except (ValueError, OSError, RuntimeError, KeyError, SafetensorError) as error:
        raise ValueError(f"{folder} cannot be loaded as a model: {error}") from error
    if missing := sorted(info["missing_keys"]):
        # transformers would initialize them at random.
        raise ValueError(f"{folder}: the weights lack {missing[0]}, which config.json requires")
    return model, load_tokenizer(folder)


def load_on_meta(folder: str | os.PathLike[str]) -> PreTrainedModel:
    """Make the model of a local folder on device `meta`: its weights take no memory.

    Buffers, which follow from the configuration, are computed.
    """
    from accelerate import init_empty_weights

    config = AutoConfig.from_pretrained(folder, local_files_only=True)
    config.dtype = torch.float32
    family = AutoModelForSeq2SeqLM if config.is_encoder_decoder else AutoModelForCausalLM
    with init_empty_weights(include_buffers=False):
        model = family.from_config(config)
    model.tie_weights()
    return model


def position_limit(model: PreTrainedModel) -> int | None:
    """Most tokens in a row by the model's configuration; None if positions are relative."""
    return getattr(model.config, "max_position_embeddings", None)


def load_tokenizer(folder: str | os.PathLike[str]) -> PreTrainedTokenizerBase:
    """Load the tokenizer of a local Hugging Face folder.

    Raises:
        ValueError: it is missing or unreadable; the message names the folder.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise ValueError(f"{folder} is not a directory")
    try:
        return AutoTokenizer.from_pretrained(folder, local_files_only=True)
    except Exception as error:  # the tokenizers library raises bare Exception
        raise ValueError(f"{folder} has no readable tokenizer: {error}") from error


def save(
    folder: str | os.PathLike[str],
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
) -> None:
    """Write a model and its tokenizer into `folder`, each file atomically.

    The weights come last: a folder with `model.safetensors` is complete. Subfolders, which may
    contain other models, stay as they are.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    for left in folder.glob(".partial-*"):
        shutil.rmtree(left)  # of a save that was killed
    with tempfile.TemporaryDirectory(dir=folder, prefix=".partial-") as temporary:
        model.save_pretrained(temporary, max_shard_size="1000TB")
        tokenizer.save_pretrained(temporary)
        for path in sorted(Path(temporary).iterdir(), key=lambda p: p.suffix == ".safetensors"):
            os.replace(path, folder / path.name)


def parameter_count(model: PreTrainedModel) -> int:
    """Number of parameters, tied ones counted once."""
    return sum(p.numel() for p in model.parameters())
