"""Models as Hugging Face folders: made from scratch, loaded, saved."""

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
    LlamaConfig,
    LlamaForCausalLM,
)
from transformers.modeling_utils import PreTrainedModel
from transformers.tokenization_utils_base import PreTrainedTokenizerBase
from transformers.utils import logging

# Its bars over a model's few files would only litter the logs.
logging.disable_progress_bar()


def initialize(
    tokenizer: PreTrainedTokenizerBase,
    *,
    hidden_size: int,
    layers: int,
    heads: int,
    intermediate_size: int,
    max_length: int,
    seed: int,
) -> LlamaForCausalLM:
    """A Llama-type model (tied embeddings, fp32) with random weights drawn from `seed`.

    Raises:
        ValueError: the heads do not divide the hidden size into even parts.
    """
    if hidden_size % (2 * heads):
        raise ValueError(
            f"hidden_size {hidden_size} is not a multiple of twice the heads ({heads}), as rotary "
            "positions need"
        )
    torch.manual_seed(seed)
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=hidden_size,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        num_key_value_heads=heads,
        intermediate_size=intermediate_size,
        max_position_embeddings=max_length,
        tie_word_embeddings=True,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        # Residual streams this narrow learn faster from larger weights than Llama's 0.02.
        initializer_range=hidden_size**-0.5 / 2,
    )
    return LlamaForCausalLM(config)


def load(folder: str | os.PathLike[str]) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """Load a model in fp32 and its tokenizer from a local Hugging Face folder.

    Its `config.json` says whether it is a causal or an encoder-decoder model. Only safetensors are
    read.

    Raises:
        FileNotFoundError: the folder has no `config.json`.
        ValueError: weights or tokenizer are missing or unreadable; the message names the folder.
    """
    folder = Path(folder)
    if not (folder / "config.json").is_file():
        raise FileNotFoundError(f"{folder}: no config.json there; not a Hugging Face model folder")
    try:
        config = AutoConfig.from_pretrained(folder, local_files_only=True)
        family = AutoModelForSeq2SeqLM if config.is_encoder_decoder else AutoModelForCausalLM
        model, found = family.from_pretrained(
            folder,
            dtype=torch.float32,
            use_safetensors=True,
            local_files_only=True,
            output_loading_info=True,
        )
    except (ValueError, OSError, RuntimeError, KeyError, SafetensorError) as error:
        raise ValueError(f"{folder} cannot be loaded as a model: {error}") from error
    if missing := sorted(found["missing_keys"]):
        # transformers would fill them with random numbers and go on.
        raise ValueError(f"{folder}: the weights lack {missing[0]}, which config.json calls for")
    return model, load_tokenizer(folder)


def load_on_meta(folder: str | os.PathLike[str]) -> PreTrainedModel:
    """The model of a local folder without its weights, which take no memory: device `meta`.

    Buffers, which follow from the configuration, are there.
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
    """Most tokens in a row by the model's configuration; None where positions are relative."""
    return getattr(model.config, "max_position_embeddings", None)


def load_tokenizer(folder: str | os.PathLike[str]) -> PreTrainedTokenizerBase:
    """Load the tokenizer of a local Hugging Face folder.

    Raises:
        ValueError: there is none, or it is unreadable; the message names the folder.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise ValueError(f"{folder} is no folder")
    try:
        return AutoTokenizer.from_pretrained(folder, local_files_only=True)
    except Exception as error:  # the tokenizers library raises bare Exception
        raise ValueError(f"{folder} holds no readable tokenizer: {error}") from error


def save(
    folder: str | os.PathLike[str],
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
) -> None:
    """Write model and tokenizer into `folder`, each file whole or not at all.

    The folder may hold other models in sub-folders, so files are moved in one by one, the weights
    last: a folder with `model.safetensors` is complete.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    for left in folder.glob(".partial-*"):
        shutil.rmtree(left)  # by a save that was killed
    with tempfile.TemporaryDirectory(dir=folder, prefix=".partial-") as temporary:
        model.save_pretrained(temporary, max_shard_size="1000TB")
        tokenizer.save_pretrained(temporary)
        for path in sorted(Path(temporary).iterdir(), key=lambda p: p.suffix == ".safetensors"):
            os.replace(path, folder / path.name)


def parameter_count(model: PreTrainedModel) -> int:
    """Number of parameters, tied ones counted once."""
    return sum(p.numel() for p in model.parameters())
