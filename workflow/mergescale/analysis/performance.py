"""Normalized performance of merges and multitask models, by dataset and as means over draws.

Held-in: score / the score of the expert that was trained on the dataset's category. Held-out:
score / the score of the merge's own base. In both cases the reference has the same size and kind
of base, so 1 means "as good as the reference" (Yadav et al., 2024, arXiv 2410.03617, section 3.4).

The multitask model has no constituents; so that it can stand beside the merges, it is read on the
constituents of each draw, which gives it a count and a seed as well.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mergescale.analysis.tidy_tables import (
    BASES,
    HELD_IN,
    HELD_OUT,
    MULTITASK,
    NORMALIZED,
    PERFORMANCE,
    ROLES,
    sort_rows,
    unique_values,
)

if TYPE_CHECKING:
    import pandas as pd

MODEL = ["size", "base", "method", "count", "seed"]
DATASET = ["role", "category", "task"]
CELL = ["size", "base", "role", "method", "count"]


def normalize(scores: pd.DataFrame, draws: pd.DataFrame) -> pd.DataFrame:
    """Divide each score by its reference.

    Args:
        scores: a table with the columns SCORES.
        draws: a table with the columns DRAWS.

    Returns:
        One row per model, draw and dataset, with the columns NORMALIZED. Held-in datasets outside
        a draw are left out; a reference of 0 leaves `normalized` empty.

    Raises:
        ValueError: a score or a reference that belongs to the grid is missing, so that no mean is
            silently taken over fewer datasets.
    """
    import pandas as pd

    constituents = draws.assign(category=draws["categories"].str.split(";")).explode("category")
    constituents = constituents[["count", "seed", "category"]]
    references = _references(scores)
    merges = scores[scores["model"] == "merge"]
    _check_draws(merges, draws)
    multitask = scores[scores["model"] == MULTITASK].drop(columns=["count", "seed", "method"])
    multitask = multitask.merge(draws[["count", "seed"]], how="cross").assign(method=MULTITASK)
    scored = pd.concat([merges, multitask])[[*MODEL, *DATASET, "score"]]
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
        scored, on=[*MODEL, *DATASET], how="outer", indicator=True, validate="one_to_one"
    )
    _check_complete(rows)
    rows["normalized"] = (rows["score"] / rows["reference"]).where(rows["reference"] > 0)
    orders = {
        "size": unique_values(scores["size"]),
        "base": unique_values(scores["base"], first=BASES),
        "method": [*unique_values(scores["method"]), MULTITASK],
        "role": ROLES,
        "category": unique_values(scores["category"]),
        "task": unique_values(scores["task"]),
    }
    return sort_rows(rows, [*MODEL, *DATASET], orders)[list(NORMALIZED)]


def mean_by_draw(normalized: pd.DataFrame) -> pd.DataFrame:
    """One value per cell and draw: the mean over datasets, then over categories, then over seeds.

    The order matters: a category counts once, however many datasets it has. Seeds that drew the
    same set of experts are one draw, and so are all seeds of the multitask model on held-out
    tasks, as it has no experts there.

    Returns:
        The columns CELL, draw (the categories, joined by semicolons) and value.
    """
    by_category = normalized.groupby([*CELL, "seed", "category"], sort=False)["normalized"].mean()
    by_seed = by_category.groupby([*CELL, "seed"], sort=False).mean().rename("value").reset_index()
    held_in = normalized[normalized["role"] == HELD_IN]
    sets = held_in.groupby(["count", "seed"])["category"].agg(lambda c: ";".join(sorted(set(c))))
    by_seed = by_seed.merge(sets.rename("draw").reset_index(), on=["count", "seed"], how="left")
    without_experts = (by_seed["method"] == MULTITASK) & (by_seed["role"] == HELD_OUT)
    by_seed["draw"] = by_seed["draw"].mask(without_experts).fillna("")
    return by_seed.groupby([*CELL, "draw"], sort=False)["value"].mean().reset_index()


def aggregate(normalized: pd.DataFrame) -> pd.DataFrame:
    """Average over the draws.

    Args:
        normalized: a table with the columns NORMALIZED.

    Returns:
        One row per size, base, role, method and count, with the columns PERFORMANCE: spread_low
        and spread_high are the lowest and the highest draw; std (n - 1) is empty for a single
        draw, as where all seeds draw the same set. Datasets without a normalized value (reference
        0) are left out; a cell with none left keeps its row with an empty mean and 0 draws.
    """
    cells = mean_by_draw(normalized).groupby(CELL, sort=False)["value"]
    performance = cells.agg(
        mean="mean", spread_low="min", spread_high="max", std="std", draws="count"
    ).reset_index()
    orders = {
        "size": unique_values(normalized["size"]),
        "base": unique_values(normalized["base"], first=BASES),
        "role": ROLES,
        "method": unique_values(normalized["method"], last=(MULTITASK,)),
    }
    return sort_rows(performance, CELL, orders)[list(PERFORMANCE)]


def _references(scores: pd.DataFrame) -> pd.DataFrame:
    """What 1 stands for on every dataset: size, base, role, category, task, reference."""
    import pandas as pd

    own = (scores["model"] == "expert") & (scores["expert"] == scores["category"])
    held_in = scores[own & (scores["role"] == HELD_IN)]
    held_out = scores[(scores["model"] == "base") & (scores["role"] == HELD_OUT)]
    references = pd.concat([held_in, held_out]).rename(columns={"score": "reference"})
    return references[["size", "base", "role", "category", "task", "reference"]]


def _check_draws(merges: pd.DataFrame, draws: pd.DataFrame) -> None:
    """Every merge belongs to a draw; else ValueError."""
    known = set(zip(draws["count"], draws["seed"], strict=True))
    for count, seed in sorted(set(zip(merges["count"], merges["seed"], strict=True)) - known):
        raise ValueError(
            f"draws.csv has no draw with count {count} and seed {seed}, which a "
            "merge in scores.csv has"
        )


def _check_complete(rows: pd.DataFrame) -> None:
    """Every expected dataset is scored and every score has a reference; else ValueError."""
    for side, what in (("left_only", "no score"), ("right_only", "no reference score")):
        for row in rows[rows["_merge"] == side].itertuples():
            raise ValueError(
                f"scores.csv has {what} on {row.task} ({row.role}) for {row.method}, size "
                f"{row.size}, base {row.base}, count {row.count}, seed {row.seed}"
            )
    for row in rows[rows["score"].isna() | rows["reference"].isna()].itertuples():
        raise ValueError(
            f"scores.csv has an empty score on {row.task}, size {row.size}, base {row.base}"
        )
