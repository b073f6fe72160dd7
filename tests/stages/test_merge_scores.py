"""Scores of one draw's merges: sweep, choice, what is cached and what is computed again."""

import pytest
import tiny_study
import torch
from stage_study import CATEGORIES, METHODS
from tiny_study import HELD_IN

from mergescale.checkpoints.folder import read_weights
from mergescale.evaluation.evaluator import Scorer
from mergescale.evaluation.model_variant import StaticVariant, TaskVariant, load_weights
from mergescale.evaluation.task_groups import Category
from mergescale.merging.in_memory import read_task_vectors
from mergescale.merging.registry import get_method
from mergescale.provenance import digests

pytest_plugins = "stage_study"


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
        assert set(tasks) == {"reviews", "moods", "colors", "copies"}
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
        "colors": "held_in",
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


def test_repeating_reads_the_cache_and_gives_the_same_bytes(study):
    study.references()
    study.merges()
    first = study.computed
    study.references(where="scores2")
    study.merges(where="merges2")
    assert study.computed == first
    study.references(where="scores3", cache="fresh")
    study.merges(where="merges3", cache="fresh")
    assert study.computed == 2 * first
    for one, *others in (("scores", "scores2", "scores3"), ("merges", "merges2", "merges3")):
        assert study.files(one)
        for other in others:
            assert study.files(one) == study.files(other)


@pytest.mark.parametrize("stop", [2, 9, 17])
def test_a_run_that_was_stopped_redoes_only_the_evaluation_in_progress(study, monkeypatch, stop):
    study.merges(where="whole", cache="other")
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
    study.merges({"dare_ties": METHODS["dare_ties"]}, cache="other", where="alone")
    alone, study.computed = study.computed, 0
    study.merges(few | {"dare_ties": METHODS["dare_ties"]})
    assert study.computed == alone
    study.computed = 0
    study.merges({"task_arithmetic": {"lambda": [0.0, 0.3, 0.5, 1.0]}})
    assert 2 <= study.computed <= 2 + 3  # two categories' validation, the test rows of a new winner


def test_results_of_a_changed_method_are_computed_again(study, monkeypatch):
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
        where="other", cache="other", experts=experts, categories=CATEGORIES[1::-1] + CATEGORIES[2:]
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
        study.evaluator(categories=[CATEGORIES[0], CATEGORIES[0]])
    with pytest.raises(ValueError, match="moods is given twice"):
        study.evaluator(categories=[CATEGORIES[0], Category("other", "held_in", ("moods",))])


# --- weights that depend on the task


def folder_variant(study, name):
    return StaticVariant.of_folder(study.inputs / "base" / name)


def test_a_task_variant_has_other_weights_for_each_category(study):
    evaluator = study.evaluator()
    base, expert, multitask = (
        folder_variant(study, name) for name in (".", "experts/sentiment", "multitask")
    )
    variant = TaskVariant({"sentiment": expert, "questions": multitask}, default=base)
    found = evaluator.predict(variant)
    assert study.computed == 3
    for part, tasks in ((expert, HELD_IN["sentiment"]), (multitask, HELD_IN["questions"])):
        alone = study.evaluator(cache="alone").predict(part)
        assert {task: found[task] for task in tasks} == {task: alone[task] for task in tasks}
    assert found["endings"] == study.evaluator(cache="base").predict(base)["endings"]
    assert found["moods"] != evaluator.predict(base)["moods"]
    assert evaluator.validate(variant) == {
        task: evaluator.validate(part)[task]
        for part, category in ((expert, "sentiment"), (multitask, "questions"))
        for task in HELD_IN[category]
    }


def test_weights_that_are_in_the_model_are_not_loaded_again(study):
    evaluator, loads = study.evaluator(), []
    variant = StaticVariant("a", loads.append)
    evaluator.predict(variant)
    evaluator.validate(variant)
    assert loads == [evaluator.model]
    failing = StaticVariant("b", lambda model: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        evaluator.predict(failing)
    study.evaluator(cache="other").predict(variant)
    evaluator.cache.folder = study.out / "third"
    evaluator.predict(variant)
    assert len(loads) == 3, "after a failure, what the model holds is unknown"


def test_emr_is_scored_with_each_experts_mask_and_held_out_with_the_merged_vector(study):
    study.merges({"emr": {"lambda": [0.0, 0.5, 1.0]}})
    record = study.record("emr")
    assert record["variant"] == {"held_in": "task_delta", "held_out": "tau"}
    assert [point["lambda"] for point in record["sweep"]] == [0.0, 0.5, 1.0]
    evaluator, method, lam = study.evaluator(cache="fresh"), get_method("emr"), 1.0
    base = read_weights(study.inputs / "base")
    merged = method.merge_task_vectors(read_task_vectors(base, study.experts), base=base)

    def scores(delta):
        weights = {
            name: weight + lam * delta.get(name, torch.zeros(())) for name, weight in base.items()
        }
        variant = StaticVariant(str(len(keys)), lambda model: load_weights(model, weights))
        keys.append(variant.key)
        return evaluator.score_record(evaluator.predict(variant))

    keys = []
    study.merges({"emr": {"lambda": [lam]}}, where="one")
    record = study.record("emr", "one")
    for category, tasks in HELD_IN.items():
        own = scores(method.task_delta(merged, category))
        assert {task: record["scores"][task] for task in tasks} == {t: own[t] for t in tasks}
    assert record["scores"]["endings"] == scores(merged.tau)["endings"]
    study.merges({"ties": {"density": 0.2, "lambda": [1.0]}})
    assert "variant" not in study.record("ties")
