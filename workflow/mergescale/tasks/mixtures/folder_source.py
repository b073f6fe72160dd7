"""An instruction mixture from a folder of JSON lines files: task, definition, input and target.

These are the fields of Super-NaturalInstructions-like collections; a file may hold several tasks.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from mergescale.tasks.mixtures.example_batches import Batch, row_id
from mergescale.tasks.public.json_lines import JsonRow, read_json_lines
from mergescale.tasks.task import Example, stable_fraction

# Long prompts lose their beginning, so half of the rows are told last what to do.
TEMPLATES = {"told_first": "{definition}\n\n{input}", "told_last": "{input}\n\n{definition}"}


def read_folder(folder: Path, seed: int) -> Iterator[Batch]:
    """All rows, a file at a time; `seed` decides which template a row is asked in.

    Raises:
        ValueError: a file is missing or faulty; the message names file, row, column and fix.
    """
    files = sorted(folder.glob("*.jsonl"))
    if not files:
        raise ValueError(
            f"{folder}: no .jsonl file; put files there with the columns task, definition, input, "
            f"target"
        )
    for path in files:
        if not path.is_file():  # a pipe would be waited on for ever
            raise ValueError(f"{path} is no file; put the rows there as a file, or take it away")
        yield Batch([_example(line, seed) for line in read_json_lines(path)])


def _example(line: JsonRow, seed: int) -> tuple[str, Example]:
    texts = {column: line.text(column) for column in ("task", "definition", "input", "target")}
    name = row_id(*texts.values())
    place = int(stable_fraction(f"{seed}/{name}/template") * len(TEMPLATES))
    template = list(TEMPLATES)[place]
    return line.values["task"], Example(
        id=name,
        template=template,
        input=TEMPLATES[template].format_map(texts),
        target=texts["target"],
        references=(texts["target"],),
    )
