"""Stages on tiny random models, in this process: what they write, and how much they compute.

A plugin of pytest: `pytest_plugins = "stage_study"` in a test gives it the fixture `study`.
"""

import json

import pytest
import tiny_study

from mergescale.evaluation.evaluator import Evaluator, Scorer
from mergescale.evaluation.requests import EvalConfig
from mergescale.evaluation.task_groups import Category
from mergescale.stages.merge_scores import Draw, score_merges
from mergescale.stages.reference_scores import score_references

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


@pytest.fixture(scope="session")
def inputs(tmp_path_factory):
    """Task files and models, made once and only read."""
    folder = tmp_path_factory.mktemp("inputs")
    tiny_study.write_tasks(folder / "tasks")
    tiny_study.write_models(folder / "base")
    return folder


class Study:
    """Results of the shared inputs in a folder of their own; counts the evaluations computed."""

    def __init__(self, inputs, out, monkeypatch):
        self.inputs, self.out, self.computed = inputs, out, 0
        self.experts = {name: inputs / "base" / "experts" / name for name in tiny_study.HELD_IN}
        predict = Scorer.predict

        def counted(scorer, model, group, *done):
            self.computed += 1
            return predict(scorer, model, group, *done)

        monkeypatch.setattr(Scorer, "predict", counted)

    def evaluator(self, categories=CATEGORIES, cache="cache"):
        return Evaluator.load(
            self.inputs / "base",
            tasks=self.inputs / "tasks",
            categories=categories,
            config=EvalConfig(end_token=True, max_new_tokens=4),
            max_length=48,
            rows={"test": 8, "validation": 4},
            cache=self.out / cache,
            device="cpu",
        )

    def references(self, where="scores", **options):
        score_references(
            self.evaluator(**options),
            base=self.inputs / "base",
            multitask=self.inputs / "base" / "multitask",
            experts=self.experts,
            scores=self.out / where,
            predictions=self.out / f"{where}-predictions",
            metadata={"size": "tiny", "base": "pt"},
            label="references",
        )

    def merges(
        self, methods=METHODS, where="merges", seed=1, experts=None, statistics=(), **options
    ):
        score_merges(
            self.evaluator(**options),
            Draw(self.inputs / "base", experts or self.experts, seed, dict(statistics)),
            methods,
            scores=self.out / where,
            predictions=self.out / f"{where}-predictions",
            metadata={"size": "tiny", "base": "pt", "count": 2, "seed": seed},
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
