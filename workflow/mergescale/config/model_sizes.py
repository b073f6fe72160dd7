"""The ladder of model sizes: each from scratch, from a checkpoint, or from the hub."""

from __future__ import annotations

import re
from pathlib import Path

from mergescale.config.errors import ConfigError, listed, shown

ARCHITECTURE = ("hidden_size", "layers", "heads", "intermediate_size")


def check_sizes(config: dict) -> None:
    """A size has an architecture that fits together, or a checkpoint, or a model of the hub."""
    for size, settings in config["models"]["sizes"].items():
        key = f"models.sizes.{size}"
        given = [name for name in ARCHITECTURE if name in settings]
        for place in ("checkpoint", "hub"):
            others = [name for name in (*given, "checkpoint", "hub") if name != place]
            if place in settings and (clash := [name for name in others if name in settings]):
                raise ConfigError(
                    f"{key} has a {place} and {clash[0]}; it must have either a checkpoint, or a "
                    f"hub, or {listed(ARCHITECTURE)}"
                )
        if "hub" in settings:
            _check_hub(key, settings)
            continue
        if "revision" in settings:
            raise ConfigError(f"{key}.revision is given without hub; remove it, or name the model")
        if "checkpoint" in settings:
            if not (Path(settings["checkpoint"]) / "config.json").is_file():
                raise ConfigError(
                    f"{key}.checkpoint is {shown(settings['checkpoint'])}; it must be a Hugging "
                    "Face model folder with a config.json"
                )
            continue
        if "parameters" in settings:
            raise ConfigError(
                f"{key}.parameters is given for a model from scratch; remove it: its number of "
                "parameters follows from its shape"
            )
        missing = [name for name in ARCHITECTURE if name not in settings]
        if missing:
            raise ConfigError(
                f"{key} lacks {listed(missing)}; it must have {listed(ARCHITECTURE)}, or a "
                "checkpoint, or a hub"
            )
        width, heads = settings["hidden_size"], settings["heads"]
        # Rotary position embeddings turn pairs of dimensions, so a head's width is even.
        if width % (2 * heads):
            raise ConfigError(
                f"{key}.heads is {heads}; it must divide hidden_size {width} into heads of an even "
                "width"
            )


def _check_hub(key: str, settings: dict) -> None:
    if not re.fullmatch(r"[\w.-]+/[\w.-]+", settings["hub"], re.ASCII):
        raise ConfigError(
            f"{key}.hub is {shown(settings['hub'])}; it must be a model of the Hugging Face hub, "
            "as in owner/name"
        )
    needed = (("revision", "the commit"), ("parameters", "the number of parameters"))
    for name, what in needed:
        if name not in settings:
            raise ConfigError(
                f"{key}.{name} is not given; it must be {what} of {settings['hub']}, as its page "
                "on the hub says"
            )
