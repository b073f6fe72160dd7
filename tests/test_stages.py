"""Stages end to end on tiny random models: draws, reference scores, merges, collecting."""

import csv
import json

import pyarrow.parquet as pq
import pytest
import tiny_study

from mergescale.cli.main import main
from mergescale.evaluation.scorer import Options, Scorer
from mergescale.evaluation.tasks import Category
from mergescale.merging.recipe import weights_digest
from mergescale.provenance import digests
from mergescale.stages.collect import COLUMNS, collect
from mergescale.stages.merge_scores import Draw, score_merges
from mergescale.stages.merged_model import make_merged_model
from mergescale.stages.reference_scores import score_references
from mergescale.stages.scoring import Bench

CATEGORIES = [
    *(Category(name, "held_in", tasks) for name, tasks in tiny_study.HELD_IN.items()),
    *(Category(name, "held_out", tasks) for name, tasks in tiny_study.HELD_OUT.items()),
]
METHODS = {
    "averaging": {},
    "task_arithmetic": {"lambda": [0.0, 0.5, 1.0]},
    "ties": {"density": [0.2, 0.1], "lambda": [0.0, 1.0]},
    "dare_ties": {"density": [0.2], "lambda": [0.5, 1.0]},
}
NAMES = list("abcdefgh")


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    """Task files and models, made once and only read."""
    folder = tmp_path_factory.mktemp("inputs")
    tiny_study.write_tasks(folder / "tasks")
    tiny_study.write_models(folder / "base")
    return folder


class Study:
    """One place for results over the shared inputs, which counts what is computed."""

    def __init__(self, inputs, out, monkeypatch):
        self.inputs, self.out, self.computed = inputs, out, 0
        self.experts = {name: inputs / "base" / "experts" / name for name in tiny_study.HELD_IN}
        predict = Scorer.predict

        def counted(scorer, model, group, *done):
            self.computed += 1
            return predict(scorer, model, group, *done)

        monkeypatch.setattr(Scorer, "predict", counted)

    def bench(self, categories=CATEGORIES, kept="kept"):
        return Bench.open(
            self.inputs / "base",
            tasks=self.inputs / "tasks",
            categories=categories,
            options=Options(end_token=True, max_new_tokens=4),
            max_length=48,
            rows={"test": 8, "validation": 4},
            kept=self.out / kept,
            device="cpu",
        )

    def references(self, where="scores", **options):
        score_references(
            self.bench(**options),
            base=self.inputs / "base",
            multitask=self.inputs / "base" / "multitask",
            experts=self.experts,
            scores=self.out / where,
            predictions=self.out / f"{where}-predictions",
            about={"size": "tiny", "base": "pt"},
            label="references",
        )

    def merges(self, methods=METHODS, where="merges", seed=1, experts=None, **options):
        score_merges(
            self.bench(**options),
            Draw(self.inputs / "base", experts or self.experts, seed),
            methods,
            scores=self.out / where,
            predictions=self.out / f"{where}-predictions",
            about={"size": "tiny", "base": "pt", "count": 2, "seed": seed},
            label="merges",
        )

    def record(self, name, where="merges"):
        return json.loads((self.out / where / f"{name}.json").read_text())

    def files(self, where):
        folders = (self.out / where, self.out / f"{where}-predictions")
        paths = [path for folder in folders for path in sorted(folder.rglob("*")) if path.is_file()]
        return [(path.name, path.read_bytes()) for path in paths]


@pytest.fixture
def study(inputs, tmp_path, monkeypatch):
    return Study(inputs, tmp_path, monkeypatch)


# --- reference scores


def test_references_are_scored_on_the_tasks_that_concern_them(study):
    study.references()
    every = {task for category in CATEGORIES for task in category.tasks}
    for model in ("base", "multitask"):
        record = study.record(model, "scores")
        assert (record["model"], record["expert"]) == (model, None)
        assert set(record["scores"]) == every
    record = study.record("experts/questions", "scores")
    assert (record["model"], record["expert"]) == ("expert", "questions")
    assert set(record["scores"]) == {"colours", "copies", "endings"}
    assert record["weights"] == weights_digest(study.experts["questions"])
    assert record["scores"]["colours"] == {
        "category": "questions",
        "digest": record["scores"]["colours"]["digest"],
        "metric": "squad_f1",
        "role": "held_in",
        "rows": 8,
        "score": record["scores"]["colours"]["score"],
        "truncated": 0,
    }
    # 2 models on 3 categories, 2 experts on 2.
    assert study.computed == 2 * 3 + 2 * 2


def test_predictions_hold_every_example_behind_a_score(study):
    study.references()
    table = pq.read_table(study.out / "scores-predictions" / "base.parquet")
    assert table.column_names == ["task", "id", "template", "answer", "score", "choice_scores"]
    rows = table.to_pylist()
    for task, found in study.record("base", "scores")["scores"].items():
        own = [row for row in rows if row["task"] == task]
        assert len(own) == found["rows"]
        assert sum(r["score"] for r in own) / len(own) == pytest.approx(found["score"], abs=1e-6)
        choices = len(tiny_study.LABELS.get(task, ()))
        assert {len(row["choice_scores"]) for row in own} == {choices}


def test_each_model_is_scored_with_its_own_weights(study):
    study.references()
    answers = {
        name: pq.read_table(study.out / "scores-predictions" / f"{name}.parquet").to_pylist()
        for name in ("base", "multitask", "experts/questions", "experts/sentiment")
    }
    seen = {
        str([row["choice_scores"] for row in rows if row["task"] == "endings"])
        for rows in answers.values()
    }
    assert len(seen) == 4


# --- merge scores


def test_merges_record_sweep_choice_recipe_and_scores(study):
    study.merges()
    record = study.record("ties")
    assert [(point["lambda"], point["density"]) for point in record["sweep"]] == [
        (0.0, 0.2),
        (0.0, 0.1),
        (1.0, 0.2),
        (1.0, 0.1),
    ]
    for point in record["sweep"]:
        tasks = point["tasks"]
        assert set(tasks) == {"reviews", "moods", "colours", "copies"}
        assert point["score"] == pytest.approx(sum(tasks.values()) / 4, abs=1e-6)
    best = max(record["sweep"], key=lambda point: point["score"])  # max takes the first of equals
    flags = {"aggregate": "mean", "rounding": "up"}
    chosen = {key: best[key] for key in ("density", "lambda", "trim_scope")}
    assert record["chosen"] == chosen | flags
    assert record["recipe"]["lambda"] == best["lambda"]
    assert record["constituents"] == ["questions", "sentiment"]
    assert {name: found["role"] for name, found in record["scores"].items()} == {
        "reviews": "held_in",
        "moods": "held_in",
        "colours": "held_in",
        "copies": "held_in",
        "endings": "held_out",
    }
    assert (record["model"], record["method"], record["count"], record["seed"]) == (
        "merge",
        "ties",
        2,
        1,
    )


def test_averaging_has_no_sweep_and_is_task_arithmetic_at_one_over_n(study):
    methods = {"averaging": {}, "task_arithmetic": {"lambda": [0.5]}}
    study.merges(methods)
    averaging, arithmetic = study.record("averaging"), study.record("task_arithmetic")
    assert averaging["sweep"] == [] and averaging["chosen"] == {"lambda": 1.0}
    assert averaging["scores"] == arithmetic["scores"]
    assert study.computed == 2 * 3  # the test rows only


def test_lambda_zero_is_the_base_whatever_the_method(study):
    study.references()
    study.merges({"task_arithmetic": {"lambda": [0.0]}, "ties": {"density": 0.2, "lambda": [0.0]}})
    assert study.computed == 10  # the references alone
    base = study.record("base", "scores")
    for method in ("task_arithmetic", "ties"):
        assert study.record(method)["weights"] == base["weights"]
        assert study.record(method)["scores"] == base["scores"]
    study.computed = 0
    study.merges({"task_arithmetic": {"lambda": [0.0, 1.0]}}, where="a")
    once = study.computed
    assert once <= 2 * 2 + 3
    study.computed = 0
    study.merges({"ties": {"density": [0.2, 0.1], "lambda": [0.0]}}, where="b")
    assert study.computed == 0, "the base's validation is shared by methods and densities"


def test_repeating_reads_what_is_kept_and_gives_the_same_bytes(study):
    study.references()
    study.merges()
    first = study.computed
    study.references(where="scores2")
    study.merges(where="merges2")
    assert study.computed == first
    study.references(where="scores3", kept="fresh")
    study.merges(where="merges3", kept="fresh")
    assert study.computed == 2 * first
    for one, *others in (("scores", "scores2", "scores3"), ("merges", "merges2", "merges3")):
        assert study.files(one)
        for other in others:
            assert study.files(one) == study.files(other)


@pytest.mark.parametrize("stop", [2, 9, 17])
def test_a_run_that_was_stopped_redoes_only_the_evaluation_in_progress(study, monkeypatch, stop):
    study.merges(where="whole", kept="other")
    needed, study.computed = study.computed, 0
    predict = Scorer.predict

    def stopping(scorer, model, group, *done):
        if study.computed == stop:
            raise KeyboardInterrupt
        return predict(scorer, model, group, *done)

    with monkeypatch.context() as patch:
        patch.setattr(Scorer, "predict", stopping)
        with pytest.raises(KeyboardInterrupt):
            study.merges()
    study.merges()
    assert study.computed == needed
    assert study.files("merges") == study.files("whole")


def test_a_new_method_or_lambda_computes_only_itself(study):
    few = {name: METHODS[name] for name in ("averaging", "task_arithmetic")}
    study.merges(few)
    study.computed = 0
    study.merges({"dare_ties": METHODS["dare_ties"]}, kept="other", where="alone")
    alone, study.computed = study.computed, 0
    study.merges(few | {"dare_ties": METHODS["dare_ties"]})
    assert study.computed == alone
    study.computed = 0
    study.merges({"task_arithmetic": {"lambda": [0.0, 0.3, 0.5, 1.0]}})
    assert 2 <= study.computed <= 2 + 3  # two categories' validation, the test rows of a new winner


def test_results_of_a_changed_method_are_not_taken_from_the_kept_ones(study, monkeypatch):
    methods = {"averaging": {}, "task_arithmetic": {"lambda": [0.5]}}
    study.merges(methods)
    study.computed = 0
    source = digests.method_digest
    monkeypatch.setattr(
        "mergescale.stages.merge_scores.method_digest",
        lambda name: "changed" if name == "averaging" else source(name),
    )
    study.merges(methods)
    assert study.computed == 3


def test_the_source_of_one_method_does_not_touch_the_others():
    names = ("averaging", "task_arithmetic", "ties", "dare_ties")
    assert len({digests.method_digest(name) for name in names}) == 4


def test_random_methods_depend_on_the_seed_and_others_do_not(study):
    methods = {"ties": {"density": 0.2, "lambda": [1.0]}, "dare_ties": METHODS["dare_ties"]}
    for seed in (1, 2):
        study.merges(methods, where=f"seed{seed}", seed=seed)
    one, two = (study.record("ties", f"seed{seed}") for seed in (1, 2))
    assert one["weights"] == two["weights"]
    one, two = (study.record("dare_ties", f"seed{seed}") for seed in (1, 2))
    assert one["weights"] != two["weights"]


def test_the_order_of_categories_and_experts_is_irrelevant(study):
    study.merges()
    experts = dict(reversed(study.experts.items()))
    study.merges(
        where="other", kept="other", experts=experts, categories=CATEGORIES[1::-1] + CATEGORIES[2:]
    )
    for method in METHODS:
        one, other = study.record(method), study.record(method, "other")
        assert one["chosen"] == other["chosen"] and one["weights"] == other["weights"]
        assert one["scores"] == other["scores"]


def test_experts_must_be_those_of_the_held_in_categories(study):
    with pytest.raises(ValueError, match=r"experts \(sentiment\) are not those of the held-in"):
        study.merges(experts={"sentiment": study.experts["sentiment"]})
    assert not (study.out / "merges").exists()


def test_an_expert_of_another_shape_is_refused(study, tmp_path):
    words = tiny_study.tokenizer()
    tiny_study.save(tmp_path / "wide", tiny_study.llama(hidden_size=32, words=words), words)
    with pytest.raises(ValueError, match="sentiment .* has shape"):
        study.merges(experts=study.experts | {"sentiment": tmp_path / "wide"})


def test_categories_and_tasks_may_not_be_given_twice(study):
    with pytest.raises(ValueError, match="sentiment is given twice"):
        study.bench(categories=[CATEGORIES[0], CATEGORIES[0]])
    with pytest.raises(ValueError, match="moods is given twice"):
        study.bench(categories=[CATEGORIES[0], Category("other", "held_in", ("moods",))])


# --- merged models


@pytest.mark.parametrize("method", METHODS)
def test_a_merged_folder_evaluates_to_the_recorded_scores(study, capsys, method):
    settings = METHODS[method]
    if method != "averaging":  # a lambda other than 0, or it would be the base
        settings = settings | {"lambda": [1.0]}
    study.merges({method: settings})
    scores, out = study.out / "merges" / f"{method}.json", study.out / "merged"
    make_merged_model(out, scores=scores, base=study.inputs / "base", experts=study.experts)
    found = study.out / "found.json"
    arguments = [str(out), "--tasks", str(study.inputs / "tasks"), *tiny_study.category_arguments()]
    arguments += ["--test-rows", "8", "--max-new-tokens", "4", "--max-length", "48"]
    arguments += ["--device", "cpu", "--out", str(found)]
    assert main(["evaluate", "--end-token", *arguments]) == 0
    assert json.loads(found.read_text())["scores"] == study.record(method)["scores"]
    assert "squad_f1" in capsys.readouterr().out


def test_a_merged_folder_is_made_anew_but_other_folders_are_not_touched(study):
    study.merges({"averaging": {}})
    scores, base = study.out / "merges" / "averaging.json", study.inputs / "base"
    for _ in range(2):
        make_merged_model(study.out / "merged", scores=scores, base=base, experts=study.experts)
    own = study.out / "own" / "thesis.tex"
    own.parent.mkdir()
    own.write_text("years of work")
    with pytest.raises(FileExistsError):
        make_merged_model(own.parent, scores=scores, base=base, experts=study.experts)
    assert own.read_text() == "years of work"


@pytest.mark.parametrize("change", ["swapped", "fewer", "base"])
def test_a_merged_model_of_other_experts_is_refused(study, change):
    study.merges({"averaging": {}})
    one, other = study.experts
    base, experts = study.inputs / "base", dict(study.experts)
    if change == "swapped":
        experts = {one: study.experts[other], other: study.experts[one]}
    elif change == "fewer":
        del experts[one]
    else:
        base = base / "multitask"
    scores = study.out / "merges" / "averaging.json"
    with pytest.raises(ValueError, match="averaging.json: recorded for other weights"):
        make_merged_model(study.out / "merged", scores=scores, base=base, experts=experts)
    assert not (study.out / "merged").exists()


# --- collecting


def test_collecting_gives_one_row_a_score(study):
    study.references()
    study.merges({"averaging": {}, "ties": {"density": [0.1], "lambda": [0.5]}})
    files = [study.out / "scores" / f"{n}.json" for n in ("base", "experts/questions")]
    files += [study.out / "merges" / f"{n}.json" for n in ("averaging", "ties")]
    collect(files, study.out / "scores.csv")
    with (study.out / "scores.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert tuple(rows[0]) == COLUMNS
    assert len(rows) == 5 + 3 + 5 + 5
    ties = rows[-1]
    assert (ties["model"], ties["method"], ties["density"], ties["lambda"]) == (
        "merge",
        "ties",
        "0.1",
        "0.5",
    )
    assert (ties["count"], ties["seed"], ties["expert"], ties["size"]) == ("2", "1", "", "tiny")
    base = rows[0]
    assert all(base[key] == "" for key in ("expert", "method", "count", "seed", "lambda"))
    assert {row["expert"] for row in rows if row["model"] == "expert"} == {"questions"}
    for row, record in ((ties, study.record("ties")), (base, study.record("base", "scores"))):
        assert float(row["score"]) == record["scores"][row["task"]]["score"]
        assert row["rows"] == "8"


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"scores": {"a": {}}}', '{"scores": 3}'])
def test_a_file_that_is_no_score_file_is_named(tmp_path, content):
    (tmp_path / "bad.json").write_text(content)
    with pytest.raises(ValueError, match="bad.json is not a score file"):
        collect([tmp_path / "bad.json"], tmp_path / "scores.csv")
    assert [path.name for path in tmp_path.iterdir()] == ["bad.json"]
