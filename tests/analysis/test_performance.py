"""Normalization and aggregation, on examples small enough to check by hand."""

import random

import pytest
from synthetic_study import COLUMNS, SIZES, cell, finish_study, read_rows, to_csv, write_study
from synthetic_study import run_performance_stage as run_stage

from mergescale.analysis import tidy_tables


def run(folder, scores, draws):
    """Write the two inputs, run the stage, return the rows of normalized and performance.csv."""
    (folder / "scores.csv").write_text(to_csv(scores, COLUMNS))
    (folder / "draws.csv").write_text(to_csv(draws, ["count", "seed", "categories"]))
    run_stage(folder)
    return read_rows(folder / "normalized.csv"), read_rows(folder / "performance.csv")


def score(model, task, value, **more):
    role, category = {
        "mrpc": ("held_in", "paraphrase"),
        "qqp": ("held_in", "paraphrase"),
        "imdb": ("held_in", "sentiment"),
        "rte": ("held_out", "inference"),
    }[task]
    row = {
        "size": "s",
        "base": "pt",
        "model": model,
        "role": role,
        "category": category,
        "task": task,
        "metric": "accuracy",
        "rows": 100,
        "score": value,
    }
    return {**row, **more}


REFERENCES = [
    score("base", "rte", 0.5),
    score("base", "mrpc", 0.1),
    score("expert", "mrpc", 0.8, expert="paraphrase"),
    score("expert", "qqp", 0.5, expert="paraphrase"),
    score("expert", "imdb", 0.9, expert="sentiment"),
    score("expert", "rte", 0.99, expert="sentiment"),  # never a reference
]


def merge(task, value, seed=0, count=2, method="ties"):
    return score("merge", task, value, method=method, count=count, seed=seed, density=0.2)


TWO = [{"count": 2, "seed": 0, "categories": "paraphrase;sentiment"}]


def test_held_in_is_divided_by_the_matching_expert_and_held_out_by_the_base(tmp_path):
    merges = [merge("mrpc", 0.4), merge("qqp", 0.5), merge("imdb", 0.45), merge("rte", 0.6)]
    normalized, performance = run(tmp_path, REFERENCES + merges, TWO)
    values = {row["task"]: row["normalized"] for row in normalized}
    assert values == {"mrpc": "0.500000", "qqp": "1.000000", "imdb": "0.500000", "rte": "1.200000"}
    # Datasets first (paraphrase: 0.75), then categories: (0.75 + 0.5) / 2, not (0.5 + 1 + 0.5) / 3.
    held_in = cell(performance, role="held_in")
    assert (held_in["mean"], held_in["draws"], held_in["std"]) == ("0.625000", "1", "")
    assert held_in["spread_low"] == held_in["spread_high"] == "0.625000"
    assert cell(performance, role="held_out")["mean"] == "1.200000"


def test_draws_of_different_categories_are_averaged_with_their_spread(tmp_path):
    draws = [
        {"count": 1, "seed": 0, "categories": "paraphrase"},
        {"count": 1, "seed": 1, "categories": "sentiment"},
    ]
    merges = [
        merge("mrpc", 0.8, seed=0, count=1),
        merge("qqp", 0.3, seed=0, count=1),
        merge("imdb", 0.36, seed=1, count=1),
        merge("rte", 0.5, seed=0, count=1),
        merge("rte", 0.6, seed=1, count=1),
    ]
    _, performance = run(tmp_path, REFERENCES + merges, draws)
    held_in = cell(performance, role="held_in")  # draws: (1 + 0.6) / 2 = 0.8 and 0.4
    assert held_in["mean"] == "0.600000"
    assert (held_in["spread_low"], held_in["spread_high"]) == ("0.400000", "0.800000")
    assert float(held_in["std"]) == pytest.approx(0.4 / 2**0.5, abs=1e-6)
    assert held_in["draws"] == "2"
    assert cell(performance, role="held_out")["mean"] == "1.100000"


def test_held_in_tasks_outside_the_draw_do_not_count(tmp_path):
    draws = [{"count": 1, "seed": 0, "categories": "sentiment"}]
    merges = [merge("imdb", 0.9, count=1), merge("mrpc", 0.0, count=1), merge("rte", 0.5, count=1)]
    normalized, performance = run(tmp_path, REFERENCES + merges, draws)
    assert [row["task"] for row in normalized] == ["imdb", "rte"]
    assert cell(performance, role="held_in")["mean"] == "1.000000"


def test_multitask_is_scored_on_the_constituents_of_every_draw(tmp_path):
    draws = [
        {"count": 1, "seed": 0, "categories": "paraphrase"},
        {"count": 1, "seed": 1, "categories": "sentiment"},
    ]
    multitask = [
        score("multitask", "mrpc", 0.8),
        score("multitask", "qqp", 0.6),
        score("multitask", "imdb", 0.45),
        score("multitask", "rte", 1.0),
    ]
    normalized, performance = run(tmp_path, REFERENCES + multitask, draws)
    assert {row["method"] for row in normalized} == {"multitask"}
    held_in = cell(performance, role="held_in", method="multitask", count=1)
    assert (held_in["spread_low"], held_in["spread_high"]) == ("0.500000", "1.100000")
    held_out = cell(performance, role="held_out")
    assert held_out["mean"] == held_out["spread_low"] == held_out["spread_high"] == "2.000000"


def test_a_reference_of_zero_is_left_out_of_the_means(tmp_path):
    references = [dict(row) for row in REFERENCES]
    for row in references:
        if row["task"] == "mrpc":
            row["score"] = 0
    merges = [merge("mrpc", 0.4), merge("qqp", 0.5), merge("imdb", 0.45), merge("rte", 0.6)]
    normalized, performance = run(tmp_path, references + merges, TWO)
    (row,) = [row for row in normalized if row["task"] == "mrpc"]
    assert (row["reference"], row["normalized"]) == ("0.000000", "")
    assert cell(performance, role="held_in")["mean"] == "0.750000"  # (1 + 0.5) / 2


def test_a_cell_with_nothing_to_average_keeps_an_empty_row(tmp_path):
    references = [{**row, "score": 0} for row in REFERENCES]
    merges = [merge("mrpc", 0.4), merge("qqp", 0.5), merge("imdb", 0.45), merge("rte", 0.6)]
    _, performance = run(tmp_path, references + merges, TWO)
    assert all((row["mean"], row["draws"]) == ("", "0") for row in performance)


def test_draws_of_all_categories_are_the_same_set(tmp_path):
    draws = [{**TWO[0], "seed": seed} for seed in (0, 1, 2)]
    merges = [
        merge(task, value, seed=seed)
        for seed in (0, 1, 2)
        for task, value in (("mrpc", 0.4), ("qqp", 0.5), ("imdb", 0.45), ("rte", 0.6))
    ]
    _, performance = run(tmp_path, REFERENCES + merges, draws)
    held_in = cell(performance, role="held_in")
    assert held_in["mean"] == held_in["spread_low"] == held_in["spread_high"] == "0.625000"
    assert (held_in["std"], held_in["draws"]) == ("", "1")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda rows: [r for r in rows if not (r["model"] == "merge" and r["task"] == "qqp")],
            "no score on qqp",
        ),
        (
            lambda rows: [r for r in rows if not (r["model"] == "expert" and r["task"] == "imdb")],
            "no reference score on imdb",
        ),
        (
            lambda rows: [*rows, merge("imdb", 0.1, seed=9)],
            "draws.csv has no draw with count 2 and seed 9",
        ),
    ],
)
def test_a_gap_in_the_grid_is_an_error(tmp_path, change, message):
    merges = [merge("mrpc", 0.4), merge("qqp", 0.5), merge("imdb", 0.45), merge("rte", 0.6)]
    with pytest.raises(ValueError, match=message):
        run(tmp_path, change(REFERENCES + merges), TWO)


def test_a_missing_column_is_named(tmp_path):
    (tmp_path / "draws.csv").write_text("count,seed\n2,0\n")
    with pytest.raises(ValueError, match="draws.csv has no column categories"):
        tidy_tables.read_table(tmp_path / "draws.csv", tidy_tables.DRAWS)


def test_files_are_the_same_bytes_whatever_the_order_of_rows_within_a_model(tmp_path):
    study = write_study(tmp_path, sizes=SIZES[:2], counts=(2, 8))
    run_stage(study)
    names = ("normalized.csv", "performance.csv")
    first = [(study / name).read_bytes() for name in names]
    head, *lines = (study / "scores.csv").read_text().splitlines()
    merges = [line for line in lines if ",merge," in line]
    others = [line for line in lines if ",merge," not in line]
    one_draw = 4 * (2 * 2 + 7)  # by every method
    start, rest = merges[:one_draw], merges[one_draw:]
    random.Random(0).shuffle(rest)
    (study / "scores.csv").write_text("\n".join([head, *others, *start, *rest]) + "\n")
    run_stage(study)
    assert [(study / name).read_bytes() for name in names] == first
    assert not list(study.glob(".*.partial"))


def test_the_whole_grid_has_one_row_per_cell(tmp_path):
    study = finish_study(tmp_path)
    performance = read_rows(study / "performance.csv")
    assert len(performance) == 4 * 2 * 2 * 5 * 4
    assert [row["size"] for row in performance] == [s for s in SIZES for _ in range(80)]
    # All seeds draw all 8 categories, and the multitask model has no experts on held-out tasks.
    for row in performance:
        single = row["count"] == "8" or (row["method"], row["role"]) == ("multitask", "held_out")
        assert row["draws"] == ("1" if single else "3")
    # 3 draws x (2 + 4 + 6 + 8) categories x 2 datasets, and 7 held-out datasets for each draw.
    assert len(read_rows(study / "normalized.csv")) == 4 * 2 * 5 * (3 * 20 * 2 + 12 * 7)
