"""Stages that score models, merge them, and gather the scores."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from mergescale import timing
from mergescale.cli.arguments import (
    add_categories,
    add_compute,
    by_name,
    json_object,
    named_folder,
    positive,
    prepare_torch,
)

if TYPE_CHECKING:
    from mergescale.stages.scoring import Evaluator


def add_stages(stages: argparse._SubParsersAction, common: argparse.ArgumentParser) -> None:
    """Add the sub-commands."""
    references = stages.add_parser(
        "reference-scores",
        parents=[common],
        help="score a base, its experts and its multitask model",
    )
    references.add_argument("--base", type=Path, required=True, metavar="FOLDER")
    references.add_argument("--multitask", type=Path, required=True, metavar="FOLDER")
    _add_experts(references)
    _add_scoring(references)
    references.set_defaults(run=_references, goes_on=True)

    merges = stages.add_parser(
        "merge-scores", parents=[common], help="merge one draw by every method, and score"
    )
    merges.add_argument("--base", type=Path, required=True, metavar="FOLDER")
    _add_experts(merges)
    merges.add_argument("--seed", type=int, required=True, help="of random methods, and the draw's")
    merges.add_argument(
        "--methods", type=json_object, required=True, metavar="JSON", help="settings by method"
    )
    _add_scoring(merges)
    merges.set_defaults(run=_merges, goes_on=True)

    merged = stages.add_parser(
        "merged-model", parents=[common], help="write a merged model by its score file's recipe"
    )
    merged.add_argument("--scores", type=Path, required=True, metavar="JSON")
    merged.add_argument("--base", type=Path, required=True, metavar="FOLDER")
    _add_experts(merged)
    merged.add_argument("--threads", type=positive, default=1)
    merged.add_argument("--out", type=Path, required=True, metavar="FOLDER")
    merged.set_defaults(run=_merged)

    collect = stages.add_parser("collect", parents=[common], help="gather score files: scores.csv")
    collect.add_argument("files", type=Path, nargs="+", metavar="JSON")
    collect.add_argument("--out", type=Path, required=True, metavar="CSV")
    collect.set_defaults(run=_collect)


def _add_experts(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--experts", type=named_folder, nargs="+", required=True, metavar="CATEGORY=FOLDER"
    )


def add_tasks(
    parser: argparse.ArgumentParser, tasks_help: str = "the folder of a study's tasks"
) -> None:
    """Arguments that say what is scored, and how."""
    parser.add_argument("--tasks", type=Path, required=True, metavar="TASKS", help=tasks_help)
    add_categories(parser)
    parser.add_argument(
        "--test-rows", type=positive, default=64, help="most rows of each task (default: 64)"
    )
    parser.add_argument("--validation-rows", type=positive, default=16)
    parser.add_argument(
        "--batch-tokens",
        type=positive,
        default=2048,
        help="about how many tokens are scored at once (default: 2048, good for a CPU)",
    )
    parser.add_argument(
        "--max-new-tokens", type=positive, default=32, help="most that are generated (default: 32)"
    )
    parser.add_argument(
        "--end-token",
        action="store_true",
        help="choices end with the end token, as models trained with it expect",
    )
    parser.add_argument(
        "--max-length",
        type=positive,
        default=512,
        help="most tokens in a row; longer prompts lose their beginning (default: 512, or what the "
        "model has positions for)",
    )
    add_compute(parser)


def _add_scoring(parser: argparse.ArgumentParser) -> None:
    add_tasks(parser)
    parser.add_argument("--kept", type=Path, required=True, metavar="FOLDER")
    parser.add_argument("--scores", type=Path, required=True, metavar="FOLDER")
    parser.add_argument("--predictions", type=Path, required=True, metavar="FOLDER")
    parser.add_argument("--about", type=json_object, default={}, metavar="JSON")
    parser.add_argument("--label", default="scoring")


def load_evaluator(
    chosen: argparse.Namespace, model: Path, kept: Path, *, validation: bool = False
) -> Evaluator:
    """The model of a folder in memory, with the tasks that the arguments of `add_tasks` name."""
    from mergescale.evaluation.scorer import EvalConfig
    from mergescale.evaluation.task_groups import Category
    from mergescale.stages.scoring import Evaluator

    device = prepare_torch(chosen.threads, chosen.device)
    timing.started()
    roles = (("held_in", chosen.held_in), ("held_out", chosen.held_out))
    with timing.timed("reading"):
        return Evaluator.open(
            model,
            tasks=chosen.tasks,
            categories=[Category(name, r, tasks) for r, given in roles for name, tasks in given],
            options=EvalConfig(chosen.end_token, chosen.max_new_tokens, chosen.batch_tokens),
            max_length=chosen.max_length,
            rows={"test": chosen.test_rows}
            | ({"validation": chosen.validation_rows} if validation else {}),
            kept=kept,
            device=device,
        )


def _references(chosen: argparse.Namespace) -> None:
    from mergescale.stages.reference_scores import score_references

    score_references(
        load_evaluator(chosen, chosen.base, chosen.kept),
        base=chosen.base,
        multitask=chosen.multitask,
        experts=by_name(chosen.experts),
        scores=chosen.scores,
        predictions=chosen.predictions,
        about=chosen.about,
        label=chosen.label,
    )


def _merges(chosen: argparse.Namespace) -> None:
    from mergescale.stages.merge_scores import Draw, score_merges

    score_merges(
        load_evaluator(chosen, chosen.base, chosen.kept, validation=True),
        Draw(chosen.base, by_name(chosen.experts), chosen.seed),
        chosen.methods,
        scores=chosen.scores,
        predictions=chosen.predictions,
        about=chosen.about,
        label=chosen.label,
    )


def _merged(chosen: argparse.Namespace) -> None:
    from mergescale.stages.merged_model import make_merged_model

    prepare_torch(chosen.threads, "cpu")
    timing.started()
    make_merged_model(
        chosen.out,
        scores=chosen.scores,
        base=chosen.base,
        experts=by_name(chosen.experts),
        threads=chosen.threads,
    )


def _collect(chosen: argparse.Namespace) -> None:
    from mergescale.stages.scores import collect

    timing.started()
    collect(chosen.files, chosen.out)
