"""Normalisation, aggregation and tables, on examples small enough to check by hand."""

import csv
import io
import random

import pytest
from synthetic_study import COLUMNS, METHODS, SIZES, paper_performance, to_csv, write_study

from mergescale.analysis import aggregate, labels, tables, tasks_table
from mergescale.analysis import normalize as normalise
from mergescale.analysis import tidy_tables as records


def run(folder, scores, draws):
    """Write the two inputs, run both steps, return the rows of normalised and performance.csv."""
    (folder / "scores.csv").write_text(to_csv(scores, COLUMNS))
    (folder / "draws.csv").write_text(to_csv(draws, ["count", "seed", "categories"]))
    normalise.write(folder / "scores.csv", folder / "draws.csv", folder / "normalised.csv")
    aggregate.write(folder / "normalised.csv", folder / "performance.csv")
    return rows_of(folder / "normalised.csv"), rows_of(folder / "performance.csv")


def rows_of(path):
    return list(csv.DictReader(io.StringIO(path.read_text())))


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


def cell(performance, **where):
    (row,) = [r for r in performance if all(r[k] == str(v) for k, v in where.items())]
    return row


TWO = [{"count": 2, "seed": 0, "categories": "paraphrase;sentiment"}]


def test_held_in_is_divided_by_the_matching_expert_and_held_out_by_the_base(tmp_path):
    merges = [merge("mrpc", 0.4), merge("qqp", 0.5), merge("imdb", 0.45), merge("rte", 0.6)]
    normalised, performance = run(tmp_path, REFERENCES + merges, TWO)
    values = {row["task"]: row["normalised"] for row in normalised}
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
    normalised, performance = run(tmp_path, REFERENCES + merges, draws)
    assert [row["task"] for row in normalised] == ["imdb", "rte"]
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
    normalised, performance = run(tmp_path, REFERENCES + multitask, draws)
    assert {row["method"] for row in normalised} == {"multitask"}
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
    normalised, performance = run(tmp_path, references + merges, TWO)
    (row,) = [row for row in normalised if row["task"] == "mrpc"]
    assert (row["reference"], row["normalised"]) == ("0.000000", "")
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
    assert (held_in["std"], held_in["draws"]) == ("0.000000", "3")


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
        (lambda rows: [*rows, merge("imdb", 0.1, seed=9)], "count 2 and seed 9: no such draw"),
    ],
)
def test_a_gap_in_the_grid_is_an_error(tmp_path, change, message):
    merges = [merge("mrpc", 0.4), merge("qqp", 0.5), merge("imdb", 0.45), merge("rte", 0.6)]
    with pytest.raises(ValueError, match=message):
        run(tmp_path, change(REFERENCES + merges), TWO)


def test_a_missing_column_is_named(tmp_path):
    (tmp_path / "draws.csv").write_text("count,seed\n2,0\n")
    with pytest.raises(ValueError, match="no column categories"):
        records.read(tmp_path / "draws.csv", records.DRAWS)


def test_files_are_the_same_bytes_whatever_the_order_of_rows_within_a_model(tmp_path):
    study = write_study(tmp_path, sizes=SIZES[:2], counts=(2, 8))
    normalise.write(study / "scores.csv", study / "draws.csv", study / "a.csv")
    head, *lines = (study / "scores.csv").read_text().splitlines()
    merges = [line for line in lines if ",merge," in line]
    others = [line for line in lines if ",merge," not in line]
    first, rest = merges[: 4 * (2 * 2 + 7)], merges[4 * (2 * 2 + 7) :]  # one draw by every method
    random.Random(0).shuffle(rest)
    (study / "scores.csv").write_text("\n".join([head, *others, *first, *rest]) + "\n")
    normalise.write(study / "scores.csv", study / "draws.csv", study / "b.csv")
    assert (study / "a.csv").read_bytes() == (study / "b.csv").read_bytes()
    for name in ("c", "d"):
        aggregate.write(study / "a.csv", study / f"{name}.csv")
    assert (study / "c.csv").read_bytes() == (study / "d.csv").read_bytes()
    assert not list(study.glob(".*.part"))


def test_the_whole_grid_has_one_row_per_cell(tmp_path):
    study = write_study(tmp_path)
    normalise.write(study / "scores.csv", study / "draws.csv", study / "normalised.csv")
    aggregate.write(study / "normalised.csv", study / "performance.csv")
    performance = rows_of(study / "performance.csv")
    assert len(performance) == 4 * 2 * 2 * 5 * 4
    assert [row["size"] for row in performance] == [s for s in SIZES for _ in range(80)]
    assert all(row["draws"] == "3" for row in performance)
    # 3 draws x (2 + 4 + 6 + 8) categories x 2 datasets, and 7 held-out datasets for each draw.
    assert len(rows_of(study / "normalised.csv")) == 4 * 2 * 5 * (3 * 20 * 2 + 12 * 7)


@pytest.fixture
def published(tmp_path):
    path = tmp_path / "performance.csv"
    path.write_text(paper_performance())
    return path


def test_published_numbers_come_back_from_the_tables(published, tmp_path):
    tables.write(published, tmp_path)
    table1 = rows_of(tmp_path / "table1.csv")
    assert len(table1) == 80
    row = cell(table1, method="averaging", size="64B", count=8)
    assert (row["base"], row["role"], float(row["mean"])) == ("it", "held_in", 0.93)
    assert (tmp_path / "table4.md").read_text().count("\n| ") == 6


def test_tables_round_trip(published, tmp_path):
    tables.write(published, tmp_path, sizes=["64B", "1B"], methods=["ties", "averaging"])
    rows = records.read(tmp_path / "table3.csv", tables.COLUMNS)
    again = tables.build(rows, "table3")
    assert again.sizes == ["1B", "64B"] or again.sizes == ["64B", "1B"]
    assert again.methods[:2] == ["ties", "averaging"] and again.methods[-1] == "multitask"
    records.write(again.rows, tmp_path / "again.csv", tables.COLUMNS)
    first = {tuple(r.items()) for r in rows_of(tmp_path / "table3.csv")}
    assert first == {tuple(r.items()) for r in rows_of(tmp_path / "again.csv")}


def test_numbers_stand_beside_the_spread_of_their_draws(tmp_path):
    study = write_study(tmp_path, sizes=SIZES[:2], counts=(2, 4))
    normalise.write(study / "scores.csv", study / "draws.csv", study / "normalised.csv")
    aggregate.write(study / "normalised.csv", study / "performance.csv")
    tables.write(study / "performance.csv", study)
    row = cell(rows_of(study / "table1.csv"), method="ties", size="38k", count=2)
    mean, low, high = (float(row[k]) for k in ("mean", "spread_low", "spread_high"))
    assert low < mean < high
    assert f"| {mean:.2f} ({low:.2f}-{high:.2f}) |" in (study / "table1.md").read_text()
    latex = (study / "table1.tex").read_text()
    assert rf"{mean:.2f} {{\scriptsize({low:.2f}--{high:.2f})}}" in latex
    body = [line for line in latex.splitlines() if line.startswith(("Aver", "TIES", "Multi"))]
    assert [line.count("&") for line in body] == [4] * 3
    assert latex.count(r"\multicolumn{2}{c}") == 2 and r"\toprule" in latex


def test_a_study_without_a_kind_of_base_has_an_empty_table(tmp_path):
    study = write_study(tmp_path, sizes=["1k"], bases=("it",), counts=(2,), seeds=(0,))
    normalise.write(study / "scores.csv", study / "draws.csv", study / "normalised.csv")
    aggregate.write(study / "normalised.csv", study / "performance.csv")
    tables.write(study / "performance.csv", study)
    assert rows_of(study / "table3.csv") == []
    assert len(rows_of(study / "table1.csv")) == len(METHODS) + 1


def test_every_task_has_a_row_per_size(tmp_path):
    study = write_study(tmp_path, sizes=SIZES[:2], counts=(2,))
    tasks_table.write(study / "scores.csv", study / "tasks.csv", study / "out")
    rows = rows_of(study / "out" / "tasks.csv")
    assert len(rows) == 2 * 23
    scores = rows_of(study / "scores.csv")
    own = cell(scores, size="38k", base="it", model="expert", task="imdb")["score"]
    assert cell(rows, size="38k", task="imdb")["expert_it"] == own
    # A held-out task has no expert of its own: the mean over the eight experts.
    eight = [
        float(r["score"])
        for r in scores
        if r["model"] == "expert" and r["task"] == "rte" and (r["size"], r["base"]) == ("38k", "pt")
    ]
    assert len(eight) == 8
    assert float(cell(rows, size="38k", task="rte")["expert_pt"]) == pytest.approx(
        sum(eight) / 8, abs=1e-6
    )
    latex = (study / "out" / "tasks.tex").read_text()
    assert latex.count(r"\begin{tabular}") == latex.count(r"\end{tabular}") == 2


def test_an_unknown_method_gets_a_title():
    assert labels.method("dare_ties") == "Dare-TIES"
    assert labels.method("slerp_mean") == "Slerp Mean"
