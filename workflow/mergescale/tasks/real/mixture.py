"""An instruction mixture from a folder of JSON lines files: task, definition, input and target.

These are the fields of Super-NaturalInstructions-like collections; a file may hold several tasks.
"""

from __future__ import annotations

import hashlib
import json
import random
from pathlib import Path

from mergescale.tasks.files import subset
from mergescale.tasks.real.json_lines import JsonRow, read_json_lines
from mergescale.tasks.task import Example, stable_fraction

# Long prompts lose their beginning, so half of the rows are told last what to do.
TEMPLATES = {"told_first": "{definition}\n\n{input}", "told_last": "{input}\n\n{definition}"}


def mixture(folder: Path, rows: int, seed: int) -> list[tuple[str, Example]]:
    """Draw at most `rows` examples, each with its task's name, in an order drawn from `seed`.

    Tasks give equally many rows, or all they have; which ones, a hash of their ids decides.

    Raises:
        ValueError: a file is missing or faulty; the message names file, row, column and fix.
    """
    files = sorted(folder.glob("*.jsonl"))
    if not files:
        raise ValueError(
            f"{folder}: no .jsonl file; put files there with the columns task, definition, input, "
            f"target"
        )
    # By id: a row that occurs twice is one.
    tasks: dict[str, dict[str, Example]] = {}
    for path in files:
        for line in read_json_lines(path):
            example = _example(line, seed)
            tasks.setdefault(line.values["task"], {}).setdefault(example.id, example)
    if not tasks:
        raise ValueError(f"{folder}: all files are empty; give them rows")
    shares = _shares({name: len(found) for name, found in tasks.items()}, rows)
    drawn = [
        (name, example)
        for name in sorted(tasks)
        for example in subset(list(tasks[name].values()), shares[name])
    ]
    random.Random(f"{seed}/mixture").shuffle(drawn)
    return drawn


def _example(line: JsonRow, seed: int) -> Example:
    texts = {column: line.text(column) for column in ("task", "definition", "input", "target")}
    digest = hashlib.sha256(json.dumps(list(texts.values())).encode()).hexdigest()
    name = f"{texts['task']}-{digest[:16]}"
    place = int(stable_fraction(f"{seed}/{name}/template") * len(TEMPLATES))
    template = list(TEMPLATES)[place]
    return Example(
        id=name,
        template=template,
        input=TEMPLATES[template].format_map(texts),
        target=texts["target"],
        references=(texts["target"],),
    )


def _shares(sizes: dict[str, int], rows: int) -> dict[str, int]:
    """Rows of each task, of `rows` in all: alike, but no task gives more than it has.

    The smallest tasks are served first, so that the others can share what they leave.
    """
    shares = {}
    order = sorted(sizes, key=lambda name: (sizes[name], name))
    for served, name in enumerate(order):
        shares[name] = min(sizes[name], rows // (len(order) - served))
        rows -= shares[name]
    return shares
