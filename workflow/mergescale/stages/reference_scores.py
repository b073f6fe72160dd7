"""Scores of what merges are compared with: a base, its experts and its multitask model."""

from __future__ import annotations

from pathlib import Path

from mergescale.checkpoints.folder import read_weights
from mergescale.merging.recipe import weights_digest
from mergescale.progress import Progress
from mergescale.stages.scoring import (
    Evaluator,
    load_weights_into,
    provenance,
    write_predictions,
    write_scores,
)
from mergescale.timing import timed


def score_references(
    bench: Evaluator,
    *,
    base: Path,
    multitask: Path,
    experts: dict[str, Path],
    scores: Path,
    predictions: Path,
    about: dict,
    label: str,
) -> None:
    """Score base and multitask model on all tasks, each expert on its own and held-out ones.

    Writes base, multitask and experts/<category> under `scores` (JSON) and `predictions` (parquet).
    """
    models: dict[str, tuple[Path, set[str] | None]] = {
        "base": (base, None),
        "multitask": (multitask, None),
    }
    held_out = {c.name for c in bench.categories if c.role == "held_out"}
    for category, folder in experts.items():
        models[f"experts/{category}"] = (folder, {category} | held_out)
    with Progress(len(models), label) as progress:
        for done, (name, (folder, only)) in enumerate(models.items(), 1):
            weights = weights_digest(folder)

            def place(folder: Path = folder) -> None:
                with timed("merging"):
                    load_weights_into(bench.model, read_weights(folder), str(folder))

            found = bench.predict(weights, place, only)
            write_predictions(predictions / f"{name}.parquet", found)
            write_scores(
                scores / f"{name}.json",
                {
                    **about,
                    "model": name.split("/")[0].removesuffix("s") if "/" in name else name,
                    "expert": name.split("/")[1] if "/" in name else None,
                    "weights": weights,
                    "scores": bench.score_record(found),
                    "provenance": provenance("evaluation"),
                },
            )
            progress.update(done)
