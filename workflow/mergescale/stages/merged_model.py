"""Write a merged model as a Hugging Face folder, by the recipe in its score file."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

from mergescale.argument_types import Positive


@dataclass(frozen=True)
class Arguments:
    """Arguments of the stage."""

    scores: Annotated[Path, "score file of the merge (JSON)"]
    base: Annotated[Path, "folder of the base model"]
    experts: Annotated[dict[str, Path], "folders of the experts, by category"]
    out: Annotated[Path, "folder of the merged model"]
    threads: Annotated[Positive, "CPU threads"] = 1
    statistics: Annotated[
        dict[str, Path], "statistics files that the method needs, as KIND/EXPERT=FILE"
    ] = field(default_factory=dict)


def run(args: Arguments) -> None:
    """Merge the models."""
    from mergescale import timing
    from mergescale.models.device import prepare_torch

    prepare_torch(args.threads, "cpu")
    timing.started()
    write_merged_model(
        args.out,
        scores=args.scores,
        base=args.base,
        experts=args.experts,
        threads=args.threads,
        statistics=args.statistics,
    )


def write_merged_model(
    out: Path,
    *,
    scores: Path,
    base: Path,
    experts: Mapping[str, Path],
    threads: int = 1,
    statistics: Mapping[str, Path] | None = None,
) -> None:
    """Merge with the parameters that a score file records, and write the model.

    Args:
        out: the merged model's folder; an earlier merge there is replaced.
        scores: score file of the merge.
        base: model folder of the base.
        experts: {category: model folder}.
        threads: CPU threads.
        statistics: {kind/expert: statistics file}, for methods that need such files.

    Raises:
        ValueError: the score file has no recipe, or that of other weights or statistics than those
            of base and experts; the message names the file.
        FileExistsError: `out` exists and is not a merged model.
    """
    from mergescale.merging.engine.merge_spec import Merge
    from mergescale.merging.engine.run import run_merges
    from mergescale.merging.merge_identity import weights_digest
    from mergescale.merging.method import LAMBDA
    from mergescale.merging.registry import get_method
    from mergescale.provenance.digests import file_digest

    recipe = _read_recipe(scores)
    weights = {
        "base": weights_digest(base),
        "experts": {name: weights_digest(folder) for name, folder in experts.items()},
    }
    if any(recipe[key] != digest for key, digest in weights.items()):
        raise ValueError(
            f"{scores} was recorded for other weights than those of {base} and its experts; "
            "compute the scores again first"
        )
    files: dict[str, dict[str, Path]] = {}
    for kind, digests in recipe.get("statistics", {}).items():
        for expert, digest in digests.items():
            file = (statistics or {}).get(f"{kind}/{expert}")
            if file is None or file_digest(file) != digest:
                raise ValueError(
                    f"{scores} was recorded with other {kind} statistics of {expert} than "
                    f"{file or 'none'}; pass the file that was scored"
                )
            files.setdefault(expert, {})[kind] = file
    if (out / "merge.json").is_file():
        # An earlier merge can be computed again; any other folder is never removed.
        shutil.rmtree(out)
    method = get_method(recipe["method"])
    merge = Merge(
        folder=out,
        method=method,
        experts=tuple(sorted(experts)),
        lam=method.checked_lambda(recipe[LAMBDA]),
        parameters=method.canonical(recipe["parameters"]),
        seed=recipe.get("seed"),
        statistics_files=files,
    )
    run_merges(base, experts, [merge], threads=threads)


def _read_recipe(scores: Path) -> dict:
    """The recipe in the score file of a merge."""
    try:
        recipe = json.loads(scores.read_text(encoding="utf-8"))["recipe"]
        if missing := {"base", "experts", "method", "lambda", "parameters"} - recipe.keys():
            raise ValueError(f"its recipe has no {min(missing)}")
        return recipe
    except FileNotFoundError:
        raise
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"{scores} is not the score file of a merge: {error}") from error
