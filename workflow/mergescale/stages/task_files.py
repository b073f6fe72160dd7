"""Task files, mixtures and corpora, from the source that the configuration names."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mergescale.provenance.atomic import replacing, write_json
from mergescale.tasks.example_files import read_examples, write_documents, write_examples
from mergescale.tasks.mixtures.decontamination import Decontamination
from mergescale.tasks.mixtures.ngram_overlap import ngrams_of_tasks
from mergescale.tasks.sources import corpus_documents, mixture_examples, task_of
from mergescale.tasks.task import SPLITS, Example


def make_task(
    out: Path,
    name: str,
    *,
    source: str,
    folder: Path | None,
    rows: dict[str, int],
    seed: int,
    held_out: bool = False,
    settings: Mapping[str, Any] | None = None,
) -> None:
    """Write `<split>.parquet` for each split and `task.json` into the folder `out`.

    Args:
        held_out: no expert is trained on the task, so it may be without training rows.
        settings: how real rows are read and asked, as `tasks_of` takes them.

    Raises:
        ValueError: the source has no such task, an empty split, or the same id twice.
    """
    task = task_of(source, name, folder, **(settings or {}))
    splits = {split: task.examples(split, rows[split], seed) for split in SPLITS}
    for split, examples in splits.items():
        if not examples and split == "train" and not held_out:
            raise ValueError(
                f"task {name} has no train rows in source {source!r}, so no expert can be trained "
                f"on it; give it some, or list it under tasks.held_out"
            )
        if not examples and split != "train":
            raise ValueError(f"task {name} has no {split} rows in source {source!r}")
    ids = [e.id for examples in splits.values() for e in examples]
    if len(set(ids)) < len(ids):
        raise ValueError(f"task {name}: an example's id occurs twice")
    for split, examples in splits.items():
        write_examples(out / f"{split}.parquet", examples)
    write_json(
        out / "task.json",
        {
            "name": task.name,
            "title": task.title,
            "kind": task.kind,
            "metric": task.metric,
            "describe": task.describe,
            "chance": round(chance(splits["test"]), 6),
            "rows": {split: len(_rows(examples)) for split, examples in splits.items()},
            "source": source,
            "seed": seed,
            **task.record(),
        },
    )


def _rows(examples: Sequence[Example]) -> set[str]:
    return {e.row for e in examples}


def chance(examples: Sequence[Example]) -> float:
    """Expected score of picking one of the choices at random; 0 for generated answers."""
    return sum(1 / len(e.choices) if e.choices else 0.0 for e in examples) / len(examples)


def make_mixture(
    out: Path,
    *,
    source: str,
    rows: int,
    seed: int,
    tasks: Sequence[Path] = (),
    ngram: int = 13,
    **place: Any,
) -> None:
    """Write the instruction mixture: examples of many tasks, with the column `task`.

    Of a real source, T0's tasks are removed by name and, where `tasks` has folders of task files,
    so are rows that share `ngram` words in a row with their validation or test rows. What was
    removed is written beside `out`: line by line in removed.csv, as counts in mixture.json.

    Args:
        place: where the rows are, as in `mergescale.tasks.sources.mixture_reader`.

    Raises:
        ValueError: the source or a task file is missing or faulty, or nothing is left.
    """
    if source == "micro":
        named = mixture_examples(source, rows, seed)
    else:
        clean = Decontamination(ngrams_of_tasks(tasks, ngram) if tasks else None)
        named = mixture_examples(source, rows, seed, clean, **place)
        given = {key: value for key, value in place.items() if value is not None}
        if "folder" in given:
            given["folder"] = str(given["folder"])
        clean.write(out.with_name("removed.csv"))
        write_json(
            out.with_name("mixture.json"),
            {"source": source, "seed": seed, **given, **clean.record()},
        )
    write_examples(out, [e for _, e in named], tasks=[name for name, _ in named])


def make_corpus(out: Path, *, source: str, rows: int, seed: int) -> None:
    """Write the pre-training corpus: one document a row."""
    write_documents(out, corpus_documents(source, rows, seed))


def write_task_table(out: Path, tasks: Path, roles: dict[str, tuple[str, str]], rows: int) -> None:
    """Write tasks.csv: what each task asks, its chance level and ceiling.

    Args:
        roles: role (`held_in`, `held_out`) and category of each task.
        rows: how many test rows are scored at most.
    """
    columns = ["task", "title", "role", "category", "kind", "metric", "chance", "ceiling", "rows"]
    with replacing(out) as temporary, open(temporary, "w", newline="") as stream:
        writer = csv.DictWriter(stream, columns, lineterminator="\n")
        writer.writeheader()
        for name, (role, category) in roles.items():
            about = json.loads((tasks / name / "task.json").read_text(encoding="utf-8"))
            test = read_examples(tasks / name / "test.parquet")
            writer.writerow(
                {key: about[key] for key in ("title", "kind", "metric", "chance")}
                | {"task": name, "role": role, "category": category}
                # Every gold answer is one a perfect model can give.
                | {"ceiling": 1.0, "rows": min(rows, len(_rows(test)))}
            )
