"""The cost of whole studies on a cluster, and the share of start-up."""

from __future__ import annotations

import pytest
from conftest import ROOT

from mergescale import config as study_config
from mergescale_snakemake import cost_page, cost_plan, resource_formulas
from mergescale_snakemake.machine import GB, Machine, ResourceEstimate
from mergescale_snakemake.resource_formulas import ModelShape

DEFAULT = ROOT / "config" / "config.yaml"
MACHINE = Machine()


@pytest.fixture(scope="module")
def paper():
    return study_config.load(DEFAULT, ROOT / "config" / "paper.yaml")


def test_costs_of_parts_are_those_of_the_whole(paper):
    for by in ("size", "rule"):
        costs = cost_plan.sum_costs(paper, by)
        total = costs.pop("total")
        assert sum(cost.gpu_hours for cost in costs.values()) == pytest.approx(total.gpu_hours)
        assert sum(cost.disk for cost in costs.values()) == pytest.approx(total.disk)
    assert (
        total.submissions
        == sum(cost.submissions for cost in cost_plan.sum_costs(paper).values()) / 2
    )


def test_start_up_counts_snakemake_imports_and_reading():
    cost = cost_plan.Cost()
    estimate = ResourceEstimate(memory=GB, seconds=3600, reading=600, gpus=4)
    cost.add(cost_plan.JobGroup("expert", 10, estimate), MACHINE)
    assert cost.start_up * 3600 == pytest.approx(
        10 * (cost_plan.SNAKEMAKE_SECONDS + cost_plan.IMPORT_SECONDS + 600)
    )
    assert cost.work * 3600 == pytest.approx(10 * 3000)
    assert cost.gpu_hours == pytest.approx(4 * (cost.start_up + cost.work))
    assert cost.node_hours == pytest.approx(0.5 * (cost.start_up + cost.work))


def test_a_study_of_one_base_has_no_mixture():
    config = study_config.load(DEFAULT)
    rules = {group.rule for group in cost_plan.plan_jobs({**config, "bases": ["pt"]})}
    assert not rules & {"mixture", "instruction_tuned_base"}


def test_training_flops_are_those_of_the_usual_estimate():
    estimate = resource_formulas.training(
        ModelShape.from_parameters(7e9),
        MACHINE,
        steps=1000,
        batch_size=32,
        length=2048,
        answer=512,
        checkpoint_every=0,
        fill=1.0,
    )
    flops = (estimate.seconds - estimate.reading) * estimate.gpus
    flops *= 312e12 * resource_formulas.TRAINING_SHARE
    # 6 N D, and a third more for recomputed activations.
    assert flops == pytest.approx(8 * 7e9 * 1000 * 32 * 2048, rel=0.01)


def test_page_is_up_to_date_with_the_formulas():
    assert cost_page.main(["--check"]) == 0, "run `make reference`"
