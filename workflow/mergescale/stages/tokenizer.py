"""Train the micro world's word-level tokenizer."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from mergescale import timing


@dataclass(frozen=True)
class Arguments:
    """Arguments of the stage."""

    out: Annotated[Path, "folder of the tokenizer"]


def run(args: Arguments) -> None:
    """Train the tokenizer on the words of the whole micro world.

    They are not those of the configuration's datasets only: adding a dataset must not change the
    models that are already trained.
    """
    from mergescale.models.from_scratch import train_word_tokenizer
    from mergescale.tasks.micro_world.corpus import tokenizer_texts

    timing.started()
    train_word_tokenizer(tokenizer_texts()).save_pretrained(args.out)
