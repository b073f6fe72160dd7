"""A merged model as a Hugging Face folder, by the recipe that its score file records."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from mergescale.merging.engine.merge_spec import Merge
from mergescale.merging.engine.run import run_merges
from mergescale.merging.method import LAMBDA
from mergescale.merging.methods.registry import get_method
from mergescale.merging.recipe import weights_digest


def make_merged_model(
    out: Path, *, scores: Path, base: Path, experts: dict[str, Path], threads: int = 1
) -> None:
    """Merge again with the recorded parameters and write the folder `out`.

    Raises:
        ValueError: the file records no merge, or of other weights than those of base and experts;
            the message names the score file.
        FileExistsError: `out` holds something that is no merged model.
    """
    recorded = _recipe(scores)
    given = {"base": weights_digest(base)}
    given["experts"] = {name: weights_digest(folder) for name, folder in experts.items()}
    if any(recorded[key] != value for key, value in given.items()):
        raise ValueError(
            f"{scores}: recorded for other weights than those in {base} and its experts; "
            "make the scores again first"
        )
    if (out / "merge.json").is_file():
        # A former merge is no result of anybody's work; anything else is not ours to remove.
        shutil.rmtree(out)
    method = get_method(recorded["method"])
    merge = Merge(
        folder=out,
        method=method,
        experts=tuple(sorted(experts)),
        lam=method.checked_lambda(recorded[LAMBDA]),
        parameters=method.canonical(recorded["parameters"]),
        seed=recorded.get("seed"),
    )
    run_merges(base, experts, [merge], threads=threads)


def _recipe(scores: Path) -> dict:
    try:
        recipe = json.loads(scores.read_text(encoding="utf-8"))["recipe"]
        if missing := {"base", "experts", "method", LAMBDA, "parameters"} - recipe.keys():
            raise ValueError(f"its recipe lacks {min(missing)}")
        return recipe
    except FileNotFoundError:
        raise
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"{scores} is not the score file of a merge: {error}") from error
