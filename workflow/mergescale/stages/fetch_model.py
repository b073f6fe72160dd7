"""Fetch a model's safetensors weights and tokenizer from the Hugging Face hub."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from mergescale import timing

RESUMABLE = True


@dataclass(frozen=True)
class Arguments:
    """Arguments of the stage."""

    repo: Annotated[str, "model of the hub: owner/name"]
    revision: Annotated[str, "full hash of a commit"]
    out: Annotated[Path, "folder of the model, with hub.json"]


def run(args: Arguments) -> None:
    """Download the model, or the files that an interrupted download left."""
    from mergescale.checkpoints.hub_download import fetch

    timing.started()
    fetch(args.out, repo=args.repo, revision=args.revision)
