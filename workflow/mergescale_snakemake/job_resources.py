"""What the jobs of each rule request from the scheduler, computed from a study's configuration."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

from mergescale.config import model_sizes
from mergescale.config import selectors as study
from mergescale_snakemake import resource_formulas as formulas
from mergescale_snakemake.machine import GB, Machine, ResourceEstimate, scheduler_request
from mergescale_snakemake.resource_formulas import ModelShape

TRAINING_STAGES = {
    "pretrained_base": "pretrain",
    "instruction_tuned_base": "instruct",
    "expert": "expert",
    "multitask": "multitask",
}


def resource_functions(config: dict, rule: str) -> dict[str, Any]:
    """The `resources:` of a rule: numbers, and functions of a job's wildcards and attempt.

    They are resources and not `params:`, since parameters that name a cluster's nodes would train
    all models again on another cluster, to the same weights.

    Args:
        config: the complete configuration.
        rule: the rule's name.
    """

    @cache
    def request_of(size: str | None, count: int | None, attempt: int) -> dict[str, int | str]:
        return request(config, rule, size, count, attempt)

    def function(name: str) -> Callable:
        def amount(wildcards: Any, attempt: int) -> int | str | None:
            draw = getattr(wildcards, "draw", None)
            count = int(draw.removeprefix("n").split("-s")[0]) if draw else None
            return request_of(getattr(wildcards, "size", None), count, attempt).get(name)

        return amount

    names = ["mem_mb", "disk_mb", "runtime", "gpu", "nodes"]
    if rule not in TRAINING_STAGES:
        return {name: function(name) for name in names}
    # Snakemake ignores those that are None, as on one node.
    names += ["mpi", "tasks", "tasks_per_gpu"]
    launch = {name: config["compute"][name] for name in ("processes", "sharding")}
    return {name: function(name) for name in names} | launch


def cluster_machine(config: dict) -> Machine:
    """The nodes that a configuration describes."""
    compute, cluster = config["compute"], config["compute"]["cluster"]
    return Machine(
        gpu_memory=cluster["gpu_memory"] * GB,
        gpu_flops=cluster["gpu_teraflops"] * 1e12,
        gpus_per_node=cluster["gpus_per_node"],
        node_memory=cluster["node_memory"] * GB,
        max_hours=cluster["max_hours"],
        threads=compute["threads"],
        device=compute["device"],
        processes=compute["processes"],
        nodes=compute["nodes"],
    )


def model_shape(config: dict, size: str) -> ModelShape:
    """The shape of a size's model, without loading or downloading the model."""
    settings = config["models"]["sizes"][size]
    parameters = model_sizes.count_parameters(settings)
    if "hub" in settings or "checkpoint" in settings:
        return ModelShape.from_parameters(parameters)
    layers, width = settings["layers"], settings["hidden_size"]
    return ModelShape(parameters, layers, width, model_sizes.MICRO_WORLD_WORDS)


def estimate(
    config: dict, rule: str, size: str | None = None, count: int | None = None
) -> ResourceEstimate:
    """What a job of a rule needs.

    Args:
        config: the complete configuration.
        rule: the rule's name.
        size: the model's size, for rules that have one.
        count: how many experts are merged, for `merge_scores` and `merged_model`.

    Raises:
        KeyError: there is no formula for the rule.
    """
    if size is None:
        section = {"task": "tasks", "mixture": "mixture"}.get(rule)
        return formulas.preparation(section is not None and config[section]["source"] != "micro")
    shape, machine = model_shape(config, size), cluster_machine(config)
    if rule == "hub_model":
        return formulas.download(shape)
    if rule == "pretrained_base" and study.base_source(config, size) != "scratch":
        return formulas.adoption(shape)
    if rule in TRAINING_STAGES:
        return _estimate_training(config, TRAINING_STAGES[rule], size, shape, machine)
    if rule == "expert_statistics":
        length = config["models"]["max_length"]
        rows = formulas.STATISTICS_ROWS * _num_tasks_per_category(config)
        return formulas.expert_statistics(shape, machine, rows=rows, length=length)
    if rule == "merged_model":
        return formulas.merged_model(shape, machine, experts=count)
    if rule == "reference_scores":
        return _estimate_reference_scores(config, shape, machine)
    if rule == "merge_scores":
        return _estimate_merge_scores(config, count, shape, machine)
    raise KeyError(f"the rule {rule} has no resource formula")


def request(
    config: dict, rule: str, size: str | None = None, count: int | None = None, attempt: int = 1
) -> dict[str, int | str]:
    """What a job of a rule requests from the scheduler (see `machine.scheduler_request`)."""
    return scheduler_request(estimate(config, rule, size, count), cluster_machine(config), attempt)


def _estimate_training(
    config: dict, stage: str, size: str, shape: ModelShape, machine: Machine
) -> ResourceEstimate:
    settings = study.stage_settings(config, stage, size)
    max_length = config["models"]["max_length"]
    packed = stage == "pretrain"  # packed rows with a loss on every token
    length = settings["length"] if packed else max_length
    answer = length if packed else min(max_length, config["evaluation"]["max_new_tokens"])
    return formulas.training(
        shape,
        machine,
        steps=settings["steps"],
        batch_size=settings["batch_size"],
        length=length,
        answer=answer,
        micro_batch=config["compute"]["micro_batch"],
        checkpoint_every=settings["checkpoint_every"],
        fill=1.0 if packed else formulas.FILL,
    )


def _estimate_reference_scores(
    config: dict, shape: ModelShape, machine: Machine
) -> ResourceEstimate:
    held_in, held_out = len(study.held_in_tasks(config)), len(study.held_out_tasks(config))
    experts = len(study.categories(config))
    # Base and multitask model answer everything; an expert its own category and the held-out ones.
    evaluations = 2 * (held_in + held_out) + held_in + experts * held_out
    rows = evaluations * config["evaluation"]["test_rows"]
    return formulas.reference_scores(
        shape, machine, models=experts + 2, rows=rows, **_token_limits(config)
    )


def _estimate_merge_scores(
    config: dict, count: int, shape: ModelShape, machine: Machine
) -> ResourceEstimate:
    evaluation, held_out = config["evaluation"], len(study.held_out_tasks(config))
    held_in = count * _num_tasks_per_category(config)
    points = [_num_sweep_points(config, method) for method in study.methods(config)]
    swept = sum(number for number in points if number > 1)
    rows = swept * evaluation["validation_rows"] * held_in
    rows += len(points) * evaluation["test_rows"] * (held_in + held_out)
    merges = swept + len(points)
    return formulas.merge_scores(
        shape, machine, experts=count, merges=merges, rows=rows, **_token_limits(config)
    )


def _num_tasks_per_category(config: dict) -> float:
    return len(study.held_in_tasks(config)) / len(study.categories(config))


def _token_limits(config: dict) -> dict[str, int]:
    return {
        "length": config["models"]["max_length"],
        "new": config["evaluation"]["max_new_tokens"],
    }


def _num_sweep_points(config: dict, method: str) -> int:
    settings = study.method_settings(config, method)
    declared = study.known_methods()[method]
    return len(list(declared.lambdas(settings))) * len(list(declared.sweep(settings)))
