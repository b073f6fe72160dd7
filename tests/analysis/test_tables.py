"""Tables 1-4, the table of all tasks, and the labels in them."""

import pandas as pd
import pytest
from synthetic_study import METHODS, SIZES, cell, finish_study, paper_performance, read_rows

from mergescale.analysis import labels, tables, tasks_table, tidy_tables, uncertainty
from mergescale.evaluation.metrics import METRICS
from mergescale.merging.registry import all_methods
from mergescale.stages import tables as stage


def write_tables(study, performance=None, folder=None, **order):
    """Run the stage on a study that is finished up to performance.csv."""
    stage.run(
        stage.Arguments(
            performance=performance or study / "performance.csv",
            scores=study / "scores.csv",
            tasks=study / "tasks.csv",
            out=folder or study,
            **order,
        )
    )


@pytest.fixture
def published(tmp_path):
    path = tmp_path / "performance.csv"
    path.write_text(paper_performance())
    return tidy_tables.read_table(path, tidy_tables.PERFORMANCE)


def test_published_numbers_come_back_from_the_tables(published, tmp_path):
    tables.write_tables(published, tmp_path)
    table1 = read_rows(tmp_path / "table1.csv")
    assert len(table1) == 80
    row = cell(table1, method="averaging", size="64B", count=8)
    assert (row["base"], row["role"], float(row["mean"])) == ("it", "held_in", 0.93)
    # A block per size with a head and five methods, narrow enough for a page.
    text = (tmp_path / "table4.md").read_text()
    assert text.count("\n| ") == 4 * 6 and text.count("\n#### ") == 4
    assert max(len(line) for line in text.splitlines() if line.startswith("|")) < 60


def test_tables_round_trip(published, tmp_path):
    tables.write_tables(published, tmp_path, ["64B", "1B"], ["ties", "averaging"])
    rows = tidy_tables.read_table(tmp_path / "table3.csv", tables.COLUMNS)
    again = tables.build_table(rows, "table3")
    assert set(again.sizes) == {"1B", "64B"}
    assert again.methods[:2] == ["ties", "averaging"] and again.methods[-1] == "multitask"
    tidy_tables.write_table(again.rows, tmp_path / "again.csv", tables.COLUMNS)
    first = {tuple(r.items()) for r in read_rows(tmp_path / "table3.csv")}
    assert first == {tuple(r.items()) for r in read_rows(tmp_path / "again.csv")}


def test_numbers_stand_beside_the_spread_of_their_draws(tmp_path):
    study = finish_study(tmp_path, sizes=SIZES[:2], counts=(2, 4))
    write_tables(study)
    row = cell(read_rows(study / "table1.csv"), method="ties", size="38k", count=2)
    mean, low, high = (float(row[k]) for k in ("mean", "spread_low", "spread_high"))
    assert low < mean < high
    assert f"| {mean:.2f} ({low:.2f}-{high:.2f}) |" in (study / "table1.md").read_text()
    latex = (study / "table1.tex").read_text()
    assert rf"{mean:.2f} {{\scriptsize({low:.2f}--{high:.2f})}}" in latex
    body = [line for line in latex.splitlines() if line.startswith(("Aver", "TIES", "Multi"))]
    assert [line.count("&") for line in body] == [4] * 3
    assert latex.count(r"\multicolumn{2}{c}") == 2 and r"\toprule" in latex


def test_draws_of_the_same_experts_have_no_range(tmp_path):
    study = finish_study(tmp_path, sizes=SIZES[:1], counts=(2, 8), identical_draws=True)
    write_tables(study)
    rows = [row for row in read_rows(study / "table1.csv") if row["count"] == "8"]
    assert rows and all(row["draws"] == "1" and row["std"] == "" for row in rows)
    for name in ("table1.md", "table1.tex"):
        lines = [line for line in (study / name).read_text().splitlines() if "TIES" in line]
        assert lines
        for line in lines:
            two, eight = line.strip("| \\").replace("&", "|").split("|")[1:]
            assert "(" in two and "(" not in eight, line


def test_a_study_without_a_kind_of_base_has_an_empty_table(tmp_path):
    study = finish_study(tmp_path, sizes=["1k"], bases=("it",), counts=(2,), seeds=(0,))
    write_tables(study)
    assert read_rows(study / "table3.csv") == []
    assert len(read_rows(study / "table1.csv")) == len(METHODS) + 1


def test_every_table_has_a_caption(tmp_path):
    study = finish_study(tmp_path, sizes=["1k"], counts=(2,), seeds=(0,))
    write_tables(study)
    for name in ("table1", "table2", "table3", "table4", "tasks"):
        assert len((study / f"{name}.rst").read_text()) > 100


def test_every_task_has_a_row_per_size(tmp_path):
    study = finish_study(tmp_path, sizes=SIZES[:2], counts=(2,))
    write_tables(study, folder=study / "out")
    rows = read_rows(study / "out" / "tasks.csv")
    assert len(rows) == 2 * 23
    scores = read_rows(study / "scores.csv")
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
    assert latex.count(r"\begin{tabular") == latex.count(r"\end{tabular") == 2


def test_chance_adjusted_scores_and_chance():
    assert tasks_table.chance_adjusted(0.625, 0.25, 1.0) == 0.5
    undefined = tasks_table.chance_adjusted(0.5, 0.5, 0.5)
    assert undefined != undefined
    # 100 rows at chance 0.5: standard error 0.05.
    assert tasks_table.beats_chance(0.61, 0.5, 100)
    assert not tasks_table.beats_chance(0.59, 0.5, 100)


def test_cells_whose_draws_cannot_differ_are_not_called_noise(tmp_path):
    study = finish_study(tmp_path, sizes=("38k",), counts=(2, 8))
    normalized = tidy_tables.read_table(study / "normalized.csv", tidy_tables.NORMALIZED)
    assert uncertainty.varied_counts(normalized) == [2]
    performance = tidy_tables.read_table(study / "performance.csv", tidy_tables.PERFORMANCE)
    built = [tables.build_table(performance, name) for name in tables.TABLES]
    held_in, held_out, *_ = uncertainty.spread_of_draws(built)
    # One size, one count: four methods, and the multitask model on held-in tasks.
    assert (held_in.cells, held_out.cells) == (5, 4)
    assert 0 < held_in.median_range <= held_in.largest_range
    assert held_in.widest.endswith("38k, n = 2")


def test_scores_without_a_reference_are_counted_by_task():
    normalized = pd.DataFrame(
        {
            "size": ["s", "s", "s"],
            "base": ["pt"] * 3,
            "role": ["held_in"] * 3,
            "task": ["imdb", "imdb", "mrpc"],
            "normalized": [float("nan"), float("nan"), 1.0],
        }
    )
    (row,) = uncertainty.without_reference(normalized).to_dict("records")
    assert (row["task"], row["scores"]) == ("imdb", 2)


def test_labels_of_methods_are_the_titles_that_they_declare():
    for name, method in all_methods().items():
        assert labels.method_label(name) == method.title
    assert labels.method_label("dare_ties") == "Dare-TIES"
    assert labels.method_label("emr") == "EMR" and labels.method_label("slerp") == "SLERP"
    assert labels.method_label("multitask") == "Multitask"
    assert labels.method_label("not_a_method") == "not_a_method"


def test_metrics_and_categories_have_proper_labels():
    assert labels.metric_label("rouge_l") == "ROUGE-L"
    assert labels.metric_label("squad_f1") == "SQuAD F1"
    assert labels.category_label("multiple_choice_qa") == "Multiple-choice QA"
    assert labels.category_label("topic_classification") == "Topic classification"


def test_every_metric_has_a_label():
    assert set(METRICS) <= set(labels.METRICS)
