"""How far to trust the numbers: the spread of the draws, and what was left out of the means."""

from mergescale.analysis import labels
from mergescale.analysis.tidy_tables import HELD_OUT, MULTITASK
from mergescale.report.elements import Markup, paragraph, section, table


def spread(all_tables, normalised) -> Markup:
    """Spread of the draws per table, beside the differences between the methods.

    Cells whose draws cannot differ are left out: counts of which all draws are the same set, and
    the multitask model on held-out tasks, which knows no constituents.
    """
    varied = varied_counts(normalised)
    rows = []
    for one in all_tables:
        cells = one.rows.dropna(subset=["mean"])
        cells = cells[cells["count"].isin(varied) & (cells["draws"] > 1)]
        if one.role == HELD_OUT:
            cells = cells[cells["method"] != MULTITASK]
        if cells.empty:
            rows.append([one.title, "0", "", "", "", "", ""])
            continue
        ranges = cells["spread_high"] - cells["spread_low"]
        widest = cells.loc[ranges.idxmax()]
        where = f"{labels.method(widest['method'])}, {widest['size']}, n={widest['count']}"
        merged = cells[cells["method"] != MULTITASK].groupby(["size", "count"])["mean"]
        between = (merged.max() - merged.min()).median()
        rows.append(
            [
                one.title,
                len(cells),
                f"{ranges.median():.3f}",
                f"{ranges.max():.3f}",
                where,
                f"{cells['std'].median():.3f}",
                _number(between),
            ]
        )
    head = [
        "table",
        "cells",
        "median range",
        "largest range",
        "where",
        "median std",
        "median range between methods",
    ]
    counts = ", ".join(str(count) for count in varied) or "none"
    return section(
        "noise",
        "How noisy the numbers are",
        paragraph(
            "The range of a cell is its highest draw less its lowest. A difference between two "
            "methods that is smaller than the range of the draws is no finding by itself; "
            "since all methods merge the same draws, a comparison draw by draw can still be."
        ),
        table(head, rows),
        paragraph(
            f"Counts with draws that differ: {counts}. Cells whose draws cannot differ are left "
            "out here: where every draw is the same set of experts only methods that draw at "
            "random vary, and on held-out tasks the multitask model has a single score.",
            "note",
        ),
    )


def varied_counts(normalised) -> list:
    """The numbers of constituents for which at least two draws are different sets."""
    held_in = normalised[normalised["role"] != HELD_OUT]
    sets = held_in.groupby(["count", "seed"])["category"].agg(frozenset)
    distinct = sets.groupby("count").nunique()
    return [int(count) for count, number in distinct.items() if number > 1]


def left_out(normalised) -> Markup:
    """Datasets without a normalised value because the reference scored 0."""
    missing = normalised[normalised["normalised"].isna()]
    title = "What was left out"
    if missing.empty:
        text = (
            f"Nothing: each of the {len(normalised):,} scores has a reference above 0 to be "
            "normalised by."
        )
        return section("left-out", title, paragraph(text))
    groups = missing.groupby(["size", "base", "role", "task"], sort=False).size()
    rows = [
        [size, labels.base(base), labels.role(role), task, number]
        for (size, base, role, task), number in groups.items()
    ]
    text = (
        f"{len(missing):,} of {len(normalised):,} scores have a reference (the matching expert "
        "held-in, the base model held-out) that scored 0. They cannot be normalised and are left "
        "out of every mean."
    )
    return section(
        "left-out",
        title,
        paragraph(text),
        table(["size", "base", "role", "task", "scores left out"], rows, numeric_from=4),
    )


def _number(value) -> str:
    return "" if value != value else f"{value:.3f}"
