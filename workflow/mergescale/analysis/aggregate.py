"""Performance of a method at a size and count: one mean, and how far the draws lie apart.

Mean over the datasets of a category, then over the categories, then over the draws (seeds). The
order matters: a category counts once however many datasets it has.
"""

from mergescale.analysis import tidy_tables as records
from mergescale.analysis.tidy_tables import MULTITASK

CELL = ["size", "base", "role", "method", "count"]


def write(normalised_csv, out) -> None:
    """Read normalised.csv, write performance.csv."""
    normalised = records.read(normalised_csv, records.NORMALISED)
    records.write(aggregate(normalised), out, records.PERFORMANCE)


def by_draw(normalised):
    """One value per cell and seed: the mean over datasets, then over categories."""
    by_category = normalised.groupby([*CELL, "seed", "category"], sort=False)["normalised"].mean()
    return by_category.groupby([*CELL, "seed"], sort=False).mean().rename("value").reset_index()


def aggregate(normalised):
    """Return one row per size, base, role, method and count (columns PERFORMANCE).

    spread_low and spread_high are the least and the greatest draw; std (n - 1) is empty for a
    single draw. Datasets without a normalised value (reference 0) are left out; a cell with none
    left keeps its row with an empty mean and 0 draws.
    """
    cells = by_draw(normalised).groupby(CELL, sort=False)["value"]
    performance = cells.agg(
        mean="mean", spread_low="min", spread_high="max", std="std", draws="count"
    ).reset_index()
    orders = {
        "size": records.appearance(normalised["size"]),
        "base": records.appearance(normalised["base"], first=records.BASES),
        "role": records.ROLES,
        "method": records.appearance(normalised["method"], last=(MULTITASK,)),
    }
    return records.sort(performance, CELL, orders)[list(records.PERFORMANCE)]
