"""Whole studies on a cluster: what they cost, and how much of it is start-up."""

from __future__ import annotations

import pytest
from conftest import ROOT

from mergescale import config as study_config
from mergescale_snakemake import cost_page as page
from mergescale_snakemake import cost_plan as plan
from mergescale_snakemake import resource_formulas as resources
from mergescale_snakemake.machine import GB, Machine, Need
from mergescale_snakemake.resource_formulas import Model

DEFAULT = ROOT / "config" / "config.yaml"
MACHINE = Machine()


@pytest.fixture(scope="module")
def paper():
    return study_config.load(DEFAULT, ROOT / "config" / "paper.yaml")


def test_costs_of_parts_are_those_of_the_whole(paper):
    for by in ("size", "rule"):
        found = plan.costs(paper, by)
        total = found.pop("total")
        assert sum(cost.gpu_hours for cost in found.values()) == pytest.approx(total.gpu_hours)
        assert sum(cost.disk for cost in found.values()) == pytest.approx(total.disk)
    assert total.submissions == sum(cost.submissions for cost in plan.costs(paper).values()) / 2


def test_start_up_counts_snakemake_imports_and_reading():
    need, cost = Need(memory=GB, seconds=3600, reading=600, gpus=4), plan.Cost()
    cost.add(plan.Jobs("expert", 10, need), MACHINE)
    assert cost.start_up * 3600 == pytest.approx(10 * (plan.SNAKEMAKE + plan.IMPORTS + 600))
    assert cost.work * 3600 == pytest.approx(10 * 3000)
    assert cost.gpu_hours == pytest.approx(4 * (cost.start_up + cost.work))
    assert cost.node_hours == pytest.approx(0.5 * (cost.start_up + cost.work))


def test_a_study_of_one_base_has_no_mixture():
    config = study_config.load(DEFAULT)
    rules = {group.rule for group in plan.jobs({**config, "bases": ["pt"]})}
    assert not rules & {"mixture", "instruction_tuned_base"}


def test_training_flops_are_those_of_the_usual_estimate():
    need = resources.training(
        Model.of(7e9),
        MACHINE,
        steps=1000,
        batch_size=32,
        length=2048,
        answer=512,
        checkpoint_every=0,
        fill=1.0,
    )
    flops = (need.seconds - need.reading) * need.gpus * 312e12 * resources.TRAINING_SHARE
    # 6 N D, and a third more for recomputed activations.
    assert flops == pytest.approx(8 * 7e9 * 1000 * 32 * 2048, rel=0.01)


def test_tables_of_the_page_are_those_of_the_formulas():
    assert page.main(["--check"]) == 0, "run `make reference`"
