"""Normalised performance of every merged and multitask model on every dataset.

Held-in: score / the score of the expert that was trained on the dataset's category. Held-out:
score / the score of the merge's own base model. In both cases the reference has the same size and
base kind, so 1 means "as good as the reference" (Yadav et al., 2024, section 3.4).

The multitask model knows no constituents; so that it can stand beside the merges it is scored on
the constituents of each draw, which gives it a count and a seed as well.
"""

from mergescale.analysis import tidy_tables as records
from mergescale.analysis.tidy_tables import HELD_IN, HELD_OUT, MULTITASK

MODEL = ["size", "base", "method", "count", "seed"]


def write(scores_csv, draws_csv, out) -> None:
    """Read scores.csv and draws.csv, write normalised.csv."""
    scores = records.read(scores_csv, records.SCORES)
    draws = records.read(draws_csv, records.DRAWS)
    records.write(normalise(scores, draws), out, records.NORMALISED)


def normalise(scores, draws):
    """Return the normalised scores: one row per model, draw and dataset (columns NORMALISED).

    `scores` has the columns SCORES, `draws` DRAWS. Held-in datasets outside a draw are left out.
    A reference of 0 leaves `normalised` empty. Raises ValueError when a score or a reference that
    belongs to the grid is missing, so that no mean is silently taken over fewer datasets.
    """
    import pandas as pd

    constituents = draws.assign(category=draws["categories"].str.split(";")).explode("category")
    constituents = constituents[["count", "seed", "category"]]
    references = _references(scores)
    merges = scores[scores["model"] == "merge"]
    _check_draws(merges, draws)
    multitask = scores[scores["model"] == MULTITASK].drop(columns=["count", "seed", "method"])
    multitask = multitask.merge(draws[["count", "seed"]], how="cross").assign(method=MULTITASK)
    dataset = ["role", "category", "task"]
    scored = pd.concat([merges, multitask])[[*MODEL, *dataset, "score"]]
    inside = scored.merge(constituents, on=["count", "seed", "category"])
    scored = pd.concat([inside[inside["role"] == HELD_IN], scored[scored["role"] == HELD_OUT]])

    models = scored[MODEL].drop_duplicates()
    experts = references[references["role"] == HELD_IN]
    bases = references[references["role"] == HELD_OUT]
    held_in = models.merge(constituents, on=["count", "seed"])
    held_in = held_in.merge(experts, on=["size", "base", "category"])
    held_out = models.merge(bases, on=["size", "base"])
    expected = pd.concat([held_in, held_out])
    rows = expected.merge(
        scored, on=[*MODEL, *dataset], how="outer", indicator=True, validate="one_to_one"
    )
    _check_complete(rows)
    rows["normalised"] = (rows["score"] / rows["reference"]).where(rows["reference"] > 0)
    orders = {
        "size": records.appearance(scores["size"]),
        "base": records.appearance(scores["base"], first=records.BASES),
        "method": [*records.appearance(scores["method"]), MULTITASK],
        "role": records.ROLES,
        "category": records.appearance(scores["category"]),
        "task": records.appearance(scores["task"]),
    }
    return records.sort(rows, [*MODEL, *dataset], orders)[list(records.NORMALISED)]


def _references(scores):
    """What 1 stands for on every dataset: size, base, role, category, task, reference."""
    own = (scores["model"] == "expert") & (scores["expert"] == scores["category"])
    held_in = scores[own & (scores["role"] == HELD_IN)]
    held_out = scores[(scores["model"] == "base") & (scores["role"] == HELD_OUT)]
    import pandas as pd

    references = pd.concat([held_in, held_out]).rename(columns={"score": "reference"})
    return references[["size", "base", "role", "category", "task", "reference"]]


def _check_draws(merges, draws) -> None:
    known = set(zip(draws["count"], draws["seed"], strict=True))
    for count, seed in sorted(set(zip(merges["count"], merges["seed"], strict=True)) - known):
        raise ValueError(f"scores of a merge with count {count} and seed {seed}: no such draw")


def _check_complete(rows) -> None:
    """Every expected dataset is scored and every score has a reference; else ValueError."""
    for side, what in (("left_only", "no score"), ("right_only", "no reference score")):
        for row in rows[rows["_merge"] == side].itertuples():
            raise ValueError(
                f"{what} on {row.task} ({row.role}) for {row.method}, size {row.size}, "
                f"base {row.base}, count {row.count}, seed {row.seed}"
            )
    for row in rows[rows["score"].isna() | rows["reference"].isna()].itertuples():
        raise ValueError(f"an empty score on {row.task}, size {row.size}, base {row.base}")
