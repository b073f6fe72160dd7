"""The model sizes of a study: built from scratch, read from a checkpoint, or from the hub."""

from __future__ import annotations

import re
from functools import cache
from math import prod
from pathlib import Path
from typing import Any

from mergescale.config.errors import ConfigError
from mergescale.messages import format_value, join_names

ARCHITECTURE = ("hidden_size", "layers", "heads", "intermediate_size")
# Measured: the words that the tokenizer of the micro world knows.
MICRO_WORLD_WORDS = 816


def sort_sizes(config: dict[str, Any]) -> dict[str, Any]:
    """The configuration with its sizes in order of their number of parameters.

    Overlays add sizes at the end, and figures and tables want them from small to large.
    """
    sizes = config["models"]["sizes"]
    ordered = dict(sorted(sizes.items(), key=lambda item: count_parameters(item[1])))
    return {**config, "models": {**config["models"], "sizes": ordered}}


def count_parameters(settings: dict[str, Any]) -> float:
    """Count the parameters of a size, from its settings in the configuration.

    A model from scratch is a Llama with the micro world's tokenizer. A checkpoint's tensors are
    counted unless `parameters` says how many it has; a model of the hub always says so.
    """
    if "parameters" in settings:
        return settings["parameters"]
    if "checkpoint" in settings:
        return count_stored_parameters(settings["checkpoint"])
    width, layers = settings["hidden_size"], settings["layers"]
    # Four attention and three feed-forward matrices, two norms; embeddings are tied.
    layer = 4 * width**2 + 3 * width * settings["intermediate_size"] + 2 * width
    return layers * layer + (MICRO_WORLD_WORDS + 1) * width


@cache
def count_stored_parameters(folder: str) -> float:
    """Count the elements of the tensors in a folder's safetensors files, from their headers.

    If a header is unreadable, the count follows from the files' sizes at two bytes per element: the
    stage that reads the weights reports what is wrong with them. The count is at least 1.
    """
    from mergescale.checkpoints.safetensors_header import read_header

    files = sorted(Path(folder).glob("*.safetensors"))
    try:
        count = sum(prod(tensor.shape) for file in files for tensor in read_header(file))
    except (ValueError, OSError):
        count = sum(file.stat().st_size for file in files) / 2
    return max(1.0, count)


def check_sizes(config: dict[str, Any]) -> None:
    """Each size has an architecture that fits together, or a checkpoint, or a model of the hub.

    Raises:
        ConfigError: One does not.
    """
    for size, settings in config["models"]["sizes"].items():
        key = f"models.sizes.{size}"
        given = [name for name in ARCHITECTURE if name in settings]
        for place in ("checkpoint", "hub"):
            others = [name for name in (*given, "checkpoint", "hub") if name != place]
            if place in settings and (clash := [name for name in others if name in settings]):
                raise ConfigError(
                    f"{key} has a {place} and {clash[0]}; it must have either a checkpoint, or a "
                    f"hub, or {join_names(ARCHITECTURE)}"
                )
        if "hub" in settings:
            _check_hub(key, settings)
        elif "revision" in settings:
            raise ConfigError(f"{key}.revision is given without hub; remove it, or name the model")
        elif "checkpoint" in settings:
            _check_checkpoint(key, settings)
        else:
            _check_architecture(key, settings)


def _check_hub(key: str, settings: dict[str, Any]) -> None:
    if not re.fullmatch(r"[\w.-]+/[\w.-]+", settings["hub"], re.ASCII):
        raise ConfigError(
            f"{key}.hub is {format_value(settings['hub'])}; it must be a model of the Hugging Face "
            "hub, as in owner/name"
        )
    needed = (("revision", "the commit"), ("parameters", "the number of parameters"))
    for name, what in needed:
        if name not in settings:
            raise ConfigError(
                f"{key}.{name} is not given; it must be {what} of {settings['hub']}, as its page "
                "on the hub says"
            )


def _check_checkpoint(key: str, settings: dict[str, Any]) -> None:
    if not (Path(settings["checkpoint"]) / "config.json").is_file():
        raise ConfigError(
            f"{key}.checkpoint is {format_value(settings['checkpoint'])}; it must be a Hugging "
            "Face model folder with a config.json"
        )


def _check_architecture(key: str, settings: dict[str, Any]) -> None:
    if "parameters" in settings:
        raise ConfigError(
            f"{key}.parameters is given for a model from scratch; remove it: the number of "
            "parameters follows from the architecture"
        )
    missing = [name for name in ARCHITECTURE if name not in settings]
    if missing:
        raise ConfigError(
            f"{key} lacks {join_names(missing)}; it must have {join_names(ARCHITECTURE)}, or a "
            "checkpoint, or a hub"
        )
    width, heads = settings["hidden_size"], settings["heads"]
    # Rotary position embeddings rotate pairs of dimensions, so a head's width is even.
    if width % (2 * heads):
        raise ConfigError(
            f"{key}.heads is {heads}; it must divide hidden_size {width} into heads of an even "
            "width"
        )
