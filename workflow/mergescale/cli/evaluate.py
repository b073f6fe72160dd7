"""Evaluating any model folder by hand: a table on the terminal, files where they are asked for."""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from mergescale.cli.arguments import positive
from mergescale.cli.public_datasets import add_real_rows, real_settings
from mergescale.cli.scoring import add_tasks, load_evaluator
from mergescale.cores import usable_cores

if TYPE_CHECKING:
    from mergescale.evaluation.cache import Predictions
    from mergescale.stages.scoring import Evaluator

_EPILOG = """\
examples:
  # tasks made on the spot: from a folder of rows, or from the micro world
  mergescale evaluate models/pythia-160m --source folder --folder rows --tasks rte,copa
  mergescale evaluate results/default/models/s/it --source micro --tasks hellaswag,xsum
  # tasks of a study, as its own jobs score them
  mergescale evaluate MODEL --tasks results/default/tasks --held-out completion=hellaswag
"""


def add_stages(stages: argparse._SubParsersAction, common: argparse.ArgumentParser) -> None:
    """Add the sub-command."""
    evaluate = stages.add_parser(
        "evaluate",
        parents=[common],
        help="score any local model folder on tasks: a table, and files if wanted",
        description="Score a local Hugging Face folder, causal or encoder-decoder, on tasks by "
        "rank classification and greedy generation.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    evaluate.add_argument(
        "model", type=Path, metavar="MODEL", help="folder with config.json and safetensors"
    )
    add_tasks(
        evaluate, tasks_help="names of tasks, with --source; or the folder of a study's tasks"
    )
    evaluate.add_argument("--source", help="where the tasks that --tasks names come from")
    add_real_rows(evaluate)
    evaluate.add_argument("--rows", type=positive, dest="test_rows", help="same as --test-rows")
    evaluate.add_argument(
        "--seed", type=int, default=0, help="of the choice of templates (default: 0)"
    )
    evaluate.add_argument(
        "--out",
        type=Path,
        metavar="PATH",
        help="new folder for scores.json and predictions.parquet (every example's answer and "
        "scores); a name that ends in .json gets the scores alone",
    )
    evaluate.add_argument(
        "--kept",
        type=Path,
        metavar="FOLDER",
        help="keep finished evaluations here, by the content of weights and rows, and use them",
    )
    evaluate.set_defaults(run=_evaluate, threads=usable_cores())


def _evaluate(chosen: argparse.Namespace) -> None:
    if not chosen.model.is_dir():
        raise FileNotFoundError(f"{chosen.model}: no such model folder")
    if chosen.out:
        _check_out(chosen.out)
    from transformers.utils import logging

    logging.set_verbosity_error()  # too long prompts are counted in the table
    with tempfile.TemporaryDirectory() as temporary:
        if chosen.source:
            _make_tasks(chosen, Path(temporary, "tasks"))
        elif not chosen.held_in and not chosen.held_out:
            raise ValueError(
                "nothing to evaluate: name tasks of a folder with --held-in or --held-out, or "
                "tasks of a source with --source"
            )
        elif not chosen.tasks.is_dir():
            raise ValueError(f"--tasks {chosen.tasks} is no folder; to name tasks, add --source")
        bench = _open(chosen, chosen.kept or Path(temporary, "kept"))
        predictions, seconds = _score(bench, chosen.model)
    record = bench.score_record(predictions)
    chance = _chance(bench)
    _print_table(chosen.model, record, chance, seconds)
    if chosen.out:
        _write(chosen.out, chosen.model, record, chance, seconds, predictions)


def _check_out(out: Path) -> None:
    """Scoring may take hours: whether its results can be written is asked before."""
    if out.suffix == ".json" and out.is_dir():
        raise ValueError(f"--out {out} is a folder; name a file, or a folder without .json")
    folder = out.parent if out.suffix == ".json" else out
    there = next(place for place in (folder, *folder.absolute().parents) if place.exists())
    if not there.is_dir():
        raise ValueError(
            f"--out {out}: {there} is no folder; name another place, or a file that ends in .json"
        )
    if not os.access(there, os.W_OK):
        raise ValueError(f"--out {out}: {there} cannot be written to; name another place")


def _make_tasks(chosen: argparse.Namespace, folder: Path) -> None:
    """Turn the names that --tasks holds into a folder of tasks, each a category of its own."""
    from mergescale.stages.adhoc_tasks import make_test_tasks

    if chosen.held_in or chosen.held_out:
        raise ValueError(
            "--source makes the tasks that --tasks names: leave out --held-in/--held-out"
        )
    names = [name.strip() for name in str(chosen.tasks).split(",") if name.strip(". ")]
    make_test_tasks(
        folder,
        names,
        source=chosen.source,
        folder=chosen.folder,
        rows=chosen.test_rows,
        seed=chosen.seed,
        settings=real_settings(chosen),
    )
    chosen.tasks = folder
    chosen.held_out = [(name, (name,)) for name in names]


def _open(chosen: argparse.Namespace, kept: Path) -> Evaluator:
    """The bench of a model that may be anybody's: what transformers makes of it is an error."""
    from huggingface_hub.errors import StrictDataclassError

    odd = (ImportError, AttributeError, TypeError, ZeroDivisionError, StrictDataclassError)
    try:
        return load_evaluator(chosen, chosen.model, kept)
    except odd as error:
        raise ValueError(
            f"{chosen.model} cannot be loaded as a model: {error}; its config.json must describe "
            f"an unquantized causal or encoder-decoder model"
        ) from error


def _unknown_tokens(bench: Evaluator) -> bool:
    """Whether the tokenizer has tokens that the model has no embedding of."""
    known = bench.model.get_input_embeddings().num_embeddings
    return max(bench.test.encoder.tokenizer.get_vocab().values()) >= known


def _score(bench: Evaluator, model: Path) -> tuple[Predictions, dict[str, float]]:
    """Predictions of all tasks, and the seconds that each category took."""
    from mergescale.merging.recipe import weights_digest
    from mergescale.progress import Progress
    from mergescale.provenance.digests import file_digest, record_digest

    weights = record_digest(
        {"weights": weights_digest(model), "config": file_digest(model / "config.json")}
    )
    found: Predictions = {}
    seconds = {}
    rows = [sum(len(task.examples) for task in group) for group in bench.test.groups]
    with Progress(sum(rows), model.name, unit="rows") as progress:
        for number, category in enumerate(bench.categories):
            started = time.perf_counter()
            try:
                found |= bench.predict(
                    weights,
                    lambda: None,
                    {category.name},
                    lambda done: progress.update(progress.done + done),
                )
            except IndexError:
                if not _unknown_tokens(bench):
                    raise
                raise ValueError(
                    f"{model}: the tokenizer gives tokens that the model has no embedding of; use "
                    f"the tokenizer that belongs to the model"
                ) from None
            seconds[category.name] = time.perf_counter() - started
            progress.update(sum(rows[: number + 1]))  # kept ones among them
    return found, seconds


def _chance(bench: Evaluator) -> dict[str, float]:
    from mergescale.stages.task_files import chance

    tasks = [task for group in bench.test.groups for task in group]
    return {task.name: round(chance(task.examples), 6) for task in tasks}


def _print_table(
    model: Path, record: dict[str, dict], chance: dict[str, float], seconds: dict[str, float]
) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table

    table = Table(title=str(model), title_justify="left", box=SIMPLE_HEAD)
    table.add_column("task", no_wrap=True)
    table.add_column("metric", no_wrap=True)
    for name in ("score", "chance", "median", "rows", "truncated", "seconds"):
        table.add_column(name, justify="right", no_wrap=True)
    told = set()
    for task, found in record.items():
        # A category's tasks are scored together: its seconds stand beside the first of them.
        took = "" if found["category"] in told else f"{seconds[found['category']]:.1f}"
        told.add(found["category"])
        table.add_row(
            task,
            found["metric"],
            f"{found['score']:.4f}",
            f"{chance[task]:.4f}" if chance[task] else "",
            f"{found['median']:.4f}" if "median" in found else "",
            str(found["rows"]),
            str(found["truncated"] or ""),
            took,
        )
    console = Console(highlight=False)
    if not console.is_terminal:
        console = Console(highlight=False, width=120)
    console.print(table)
    rows, total = sum(found["rows"] for found in record.values()), sum(seconds.values())
    console.print(f"{rows} rows in {total:.1f} s, {rows / max(total, 0.01):.0f} rows/s")
    if cut := sum(found["truncated"] for found in record.values()):
        console.print(f"{cut} prompts were too long and lost their beginning (--max-length)")


def _write(
    out: Path,
    model: Path,
    record: dict[str, dict],
    chance: dict[str, float],
    seconds: dict[str, float],
    predictions: Predictions,
) -> None:
    from mergescale.provenance.atomic import write_json
    from mergescale.stages.scoring import provenance, write_predictions

    alone = out.suffix == ".json"
    rounded = {category: round(took, 3) for category, took in seconds.items()}
    about = {"model": str(model), "scores": record, "chance": chance, "seconds": rounded}
    write_json(
        out if alone else out / "scores.json", about | {"provenance": provenance("evaluation")}
    )
    if not alone:
        write_predictions(out / "predictions.parquet", predictions)
