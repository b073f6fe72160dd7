"""Score a local model folder on tasks: a table, and files with every prediction.

The model is a Hugging Face folder, causal or encoder-decoder. Tasks are scored by rank
classification or by greedy generation (docs/evaluation.md).
"""

from __future__ import annotations

import csv
import dataclasses
import json
import os
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from mergescale.argument_types import POSITIONAL, Positive
from mergescale.cores import usable_cores
from mergescale.stages.evaluation_arguments import ScoringArguments, load_evaluator
from mergescale.stages.shared_arguments import CategoryArguments, ComputeArguments
from mergescale.tasks.prompt_config import PromptConfig

if TYPE_CHECKING:
    from mergescale.evaluation.evaluator import Evaluator
    from mergescale.evaluation.predictions import Predictions

EPILOG = """\
examples:
  # tasks from a folder of rows, or of the synthetic micro world
  mergescale evaluate models/pythia-160m --source folder --folder rows --tasks rte,copa
  mergescale evaluate results/smoke/models/120k/it --source micro --tasks hellaswag,xsum
  # all tasks of a study, with the study's settings
  mergescale evaluate MODEL --study results/smoke
  # some tasks of a study
  mergescale evaluate MODEL --tasks results/smoke/tasks --held-out completion=hellaswag
"""


@dataclass(frozen=True)
class SourceArguments:
    """Where tasks that are not a study's come from, and how they are rendered as prompts."""

    source: Annotated[str | None, "source of the tasks: micro, folder or hub"] = None
    prompts: PromptConfig = field(default_factory=PromptConfig)
    seed: Annotated[int, "seed of the rows' order"] = 0


@dataclass(frozen=True)
class Arguments:
    """Arguments of the command."""

    model: Annotated[Path, "model folder, with config.json and safetensors", POSITIONAL]
    tasks: Annotated[
        str | None, "comma-separated names of tasks of --source, or a folder of task files"
    ] = None
    categories: CategoryArguments = field(default_factory=CategoryArguments)
    study: Annotated[
        Path | None,
        "folder of a study's results: score all of its tasks with its settings, in place of "
        "--tasks and of the flags for rows, tokens and lengths",
    ] = None
    from_source: SourceArguments = field(default_factory=SourceArguments)
    scoring: ScoringArguments = field(default_factory=ScoringArguments)
    out: Annotated[
        Path | None,
        "new folder for scores.json and predictions.parquet (every example's answer and scores); "
        "a name that ends in .json gets the scores alone",
    ] = None
    cache_dir: Annotated[
        Path | None, "folder of finished evaluations, which are reused by content"
    ] = None
    threads: Annotated[Positive | None, "CPU threads (default: all usable cores)"] = None
    device: Annotated[
        Literal["auto", "cpu", "cuda"], "device to compute on; auto takes a GPU if there is one"
    ] = "auto"


def run(args: Arguments) -> None:
    """Score the model."""
    if not args.model.is_dir():
        raise FileNotFoundError(f"{args.model}: no such model folder")
    if args.out:
        _check_out(args.out)
    with tempfile.TemporaryDirectory() as temporary:
        tasks, categories, scoring = _select_tasks(args, Path(temporary, "tasks"))
        evaluator = _load(
            args.model,
            tasks=tasks,
            categories=categories,
            scoring=scoring,
            compute=ComputeArguments(args.threads or usable_cores(), args.device),
            cache=args.cache_dir or Path(temporary, "cache"),
        )
        predictions, seconds = _score(evaluator, args.model)
    scores = evaluator.score_record(predictions)
    chance = _chance(evaluator)
    _print_table(args.model, scores, chance, seconds)
    if args.out:
        _write(args.out, args.model, scores, chance, seconds, predictions)


def _check_out(out: Path) -> None:
    """Check that results can be written, before hours of scoring."""
    if out.suffix == ".json" and out.is_dir():
        raise ValueError(f"--out {out} is a directory; name a file, or a folder without .json")
    folder = out.parent if out.suffix == ".json" else out
    existing = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    scores = out if out.suffix == ".json" else out / "scores.json"
    if scores.exists():
        raise ValueError(f"--out {out}: {scores} exists; remove it, or name another folder or file")
    if not existing.is_dir():
        raise ValueError(
            f"--out {out}: {existing} is not a directory; name another folder, or a file that ends "
            f"in .json"
        )
    if not os.access(existing, os.W_OK):
        raise ValueError(f"--out {out}: {existing} is not writable; name another folder")


def _select_tasks(
    args: Arguments, temporary: Path
) -> tuple[Path, CategoryArguments, ScoringArguments]:
    """The folder of task files, the categories, and the settings that the arguments select."""
    source = args.from_source.source
    if args.study:
        if args.tasks or source or args.categories != CategoryArguments():
            raise ValueError(
                "--study scores the study's own tasks: leave out --tasks, --source, --held-in and "
                "--held-out"
            )
        return args.study / "tasks", *_read_study(args.study, args.scoring)
    if args.tasks is None:
        raise ValueError("nothing to evaluate: add --tasks with --source, or --study")
    if source:
        if args.categories != CategoryArguments():
            raise ValueError(
                "--source takes the tasks that --tasks names: leave out --held-in/--held-out"
            )
        return temporary, _write_tasks(args, temporary), args.scoring
    if not Path(args.tasks).is_dir():
        raise ValueError(
            f"--tasks {args.tasks} is not a directory; for tasks by name, add --source (micro, "
            f"folder or hub)"
        )
    if args.categories == CategoryArguments():
        raise ValueError(
            "nothing to evaluate: name tasks of the folder with --held-in or --held-out, or add "
            "--source to take --tasks as names"
        )
    return Path(args.tasks), args.categories, args.scoring


def _read_study(
    study: Path, scoring: ScoringArguments
) -> tuple[CategoryArguments, ScoringArguments]:
    """The categories and the evaluation settings of a study, from its tasks.csv and study.json."""
    with (study / "tasks.csv").open(newline="", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    settings = json.loads((study / "study.json").read_text(encoding="utf-8"))["evaluation"]
    names = {f.name for f in dataclasses.fields(scoring)} & settings.keys()
    roles: dict[str, dict[str, list[str]]] = {"held_in": {}, "held_out": {}}
    for row in rows:
        roles[row["role"]].setdefault(row["category"], []).append(row["task"])
    categories = {
        role: [(name, tuple(tasks)) for name, tasks in groups.items()]
        for role, groups in roles.items()
    }
    own = {name: settings[name] for name in names}
    return CategoryArguments(**categories), dataclasses.replace(scoring, **own)


def _write_tasks(args: Arguments, folder: Path) -> CategoryArguments:
    """Write the task files of the named tasks; each task is a category of its own."""
    from mergescale.stages.adhoc_tasks import write_test_tasks

    chosen = args.from_source
    names = [name.strip() for name in args.tasks.split(",") if name.strip()]
    write_test_tasks(
        folder,
        names,
        source=chosen.source,
        prompts=chosen.prompts,
        rows=args.scoring.test_rows,
        seed=chosen.seed,
    )
    return CategoryArguments(held_out=[(name, (name,)) for name in names])


def _load(model: Path, **arguments: Any) -> Evaluator:
    """Load the evaluator; whatever transformers raises on an odd model is reported as such."""
    from huggingface_hub.errors import StrictDataclassError
    from transformers.utils import logging

    logging.set_verbosity_error()  # too long prompts are counted in the table
    odd = (ImportError, AttributeError, TypeError, ZeroDivisionError, StrictDataclassError)
    try:
        return load_evaluator(model, **arguments)
    except odd as error:
        raise ValueError(
            f"{model} cannot be loaded as a model: {error}; its config.json must describe an "
            f"unquantized causal or encoder-decoder model"
        ) from error


def _score(evaluator: Evaluator, model: Path) -> tuple[Predictions, dict[str, float]]:
    """The predictions of all tasks, and the seconds that each category took."""
    from mergescale.evaluation.model_variant import StaticVariant
    from mergescale.merging.merge_identity import weights_digest
    from mergescale.progress import Progress
    from mergescale.provenance.digests import file_digest, record_digest

    key = record_digest(
        {"weights": weights_digest(model), "config": file_digest(model / "config.json")}
    )
    loaded = StaticVariant(key, load=lambda _: None)
    predictions: Predictions = {}
    seconds = {}
    rows = [sum(len(task.examples) for task in group) for group in evaluator.test.groups]
    with Progress(sum(rows), model.name, unit="rows") as progress:
        for number, category in enumerate(evaluator.categories):
            started = time.perf_counter()
            try:
                predictions |= evaluator.predict(
                    loaded,
                    {category.name},
                    lambda done: progress.update(progress.done + done),
                )
            except IndexError:
                if not _has_unknown_tokens(evaluator):
                    raise
                raise ValueError(
                    f"{model}: the tokenizer gives tokens that the model has no embedding of; use "
                    f"the tokenizer that belongs to the model"
                ) from None
            seconds[category.name] = time.perf_counter() - started
            progress.update(sum(rows[: number + 1]))  # includes cached ones
    return predictions, seconds


def _has_unknown_tokens(evaluator: Evaluator) -> bool:
    """Whether the tokenizer has tokens that the model has no embedding of."""
    known = evaluator.model.get_input_embeddings().num_embeddings
    return max(evaluator.test.encoder.tokenizer.get_vocab().values()) >= known


def _chance(evaluator: Evaluator) -> dict[str, float]:
    """{task: the score of guessing}."""
    from mergescale.tasks.task import chance_level

    tasks = [task for group in evaluator.test.groups for task in group]
    return {task.name: round(chance_level(task.examples), 6) for task in tasks}


def _print_table(
    model: Path,
    scores: Mapping[str, dict],
    chance: Mapping[str, float],
    seconds: Mapping[str, float],
) -> None:
    """Print one line per task."""
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table

    categories = [record["category"] for record in scores.values()]
    shared = {name for name in categories if categories.count(name) > 1}
    with_median = any("median" in record for record in scores.values())
    table = Table(title=str(model), title_justify="left", box=SIMPLE_HEAD)
    table.add_column("task", no_wrap=True)
    table.add_column("metric", no_wrap=True)
    columns = ["score", "chance", *(["median"] if with_median else []), "rows", "truncated"]
    for name in (*columns, "seconds"):
        table.add_column(name, justify="right", no_wrap=True)
    for task, record in scores.items():
        median = f"{record['median']:.4f}" if "median" in record else "-"
        took = f"{seconds[record['category']]:.1f}"
        table.add_row(
            task,
            record["metric"],
            f"{record['score']:.4f}",
            f"{chance[task]:.4f}",
            *([median] if with_median else []),
            str(record["rows"]),
            str(record["truncated"]),
            f"{took}*" if record["category"] in shared else took,
        )
    console = Console(highlight=False)
    if not console.is_terminal:
        console = Console(highlight=False, width=120)
    console.print(table)
    rows, total = sum(record["rows"] for record in scores.values()), sum(seconds.values())
    console.print(f"{rows} rows in {total:.1f} s, {rows / max(total, 0.01):.0f} rows/s")
    if shared:
        console.print("* for all tasks of the category, which are scored together")
    if truncated := sum(record["truncated"] for record in scores.values()):
        console.print(f"{truncated} prompts were too long and lost their beginning (--max-length)")


def _write(
    out: Path,
    model: Path,
    scores: Mapping[str, dict],
    chance: Mapping[str, float],
    seconds: Mapping[str, float],
    predictions: Predictions,
) -> None:
    """Write the scores and, into a folder, the predictions."""
    from mergescale.evaluation.score_files import write_predictions, write_score_file

    scores_only = out.suffix == ".json"
    record = {
        "model": str(model),
        "scores": scores,
        "chance": chance,
        "seconds": {category: round(took, 3) for category, took in seconds.items()},
    }
    write_score_file(out if scores_only else out / "scores.json", record, code=["evaluation"])
    if not scores_only:
        write_predictions(out / "predictions.parquet", predictions)
