"""The needs of a study's jobs, by rule, from its configuration."""

from __future__ import annotations

from functools import cache
from math import prod
from pathlib import Path

from mergescale.config import selectors as study
from mergescale_snakemake import resource_formulas as resources
from mergescale_snakemake.machine import GB, Machine, Need, request
from mergescale_snakemake.resource_formulas import Model

# Measured: the words that the tokenizer of the micro world knows.
MICRO_WORDS = 816
STAGES = {
    "pretrained_base": "pretrain",
    "instruction_tuned_base": "instruct",
    "expert": "expert",
    "multitask": "multitask",
}


def machine(config: dict) -> Machine:
    """The nodes that a configuration describes."""
    compute, cluster = config["compute"], config["compute"]["cluster"]
    return Machine(
        gpu_memory=cluster["gpu_memory"] * GB,
        gpu_flops=cluster["gpu_teraflops"] * 1e12,
        gpus_per_node=cluster["gpus_per_node"],
        node_memory=cluster["node_memory"] * GB,
        longest_hours=cluster["longest_hours"],
        threads=compute["threads"],
        device=compute["device"],
        processes=compute["processes"],
        nodes=compute["nodes"],
    )


def model(config: dict, size: str) -> Model:
    """A size's model, without loading or fetching it."""
    settings = config["models"]["sizes"][size]
    if "hub" in settings:
        return Model.of(settings["parameters"])
    if "checkpoint" in settings:
        return Model.of(settings.get("parameters") or stored_parameters(settings["checkpoint"]))
    width, layers = settings["hidden_size"], settings["layers"]
    # Llama's: four attention and three feed-forward matrices, two norms; embeddings are tied.
    layer = 4 * width**2 + 3 * width * settings["intermediate_size"] + 2 * width
    return Model(layers * layer + (MICRO_WORDS + 1) * width, layers, width, MICRO_WORDS)


@cache
def stored_parameters(folder: str) -> float:
    """Elements of the tensors in a folder's safetensors files, by their headers.

    By their sizes, two bytes an element, where a header is unreadable: the stage that reads the
    weights says what is wrong with them. At least 1.
    """
    from mergescale.checkpoints.safetensors_header import read_header

    files = sorted(Path(folder).glob("*.safetensors"))
    try:
        found = sum(prod(tensor.shape) for file in files for tensor in read_header(file))
    except (ValueError, OSError):
        found = sum(file.stat().st_size for file in files) / resources.BF16
    return max(1.0, found)


def need(config: dict, rule: str, size: str | None = None, count: int | None = None) -> Need:
    """What a job of a rule needs.

    Args:
        size: the model's, for rules that have one.
        count: how many experts are merged, for `merge_scores` and `merged_model`.
    """
    if size is None:
        source = {"task": "tasks", "mixture": "mixture"}.get(rule)
        return resources.preparing(source is not None and config[source]["source"] != "micro")
    shape, nodes = model(config, size), machine(config)
    if rule == "hub_model":
        return resources.fetching(shape)
    if rule == "pretrained_base" and study.origin(config, size) != "scratch":
        return resources.adopting(shape)
    if rule in STAGES:
        return _training(config, STAGES[rule], size, shape, nodes)
    if rule == "merged_model":
        return resources.merged_model(shape, nodes, experts=count)
    lengths = {
        "length": config["models"]["max_length"],
        "new": config["evaluation"]["max_new_tokens"],
    }
    held_in, held_out = (study.held_in_tasks(config), study.held_out_tasks(config))
    rows = config["evaluation"]["test_rows"]
    if rule == "reference_scores":
        experts = len(study.categories(config))
        # Base and multitask model answer everything, an expert its own category and the held-out.
        asked = 2 * (len(held_in) + len(held_out)) + len(held_in) + experts * len(held_out)
        return resources.reference_scores(
            shape, nodes, models=experts + 2, rows=asked * rows, **lengths
        )
    if rule == "merge_scores":
        per_category = len(held_in) / len(study.categories(config))
        points = [_points(config, method) for method in study.methods(config)]
        swept = sum(number for number in points if number > 1)
        asked = swept * config["evaluation"]["validation_rows"] * per_category * count
        asked += len(points) * rows * (per_category * count + len(held_out))
        return resources.merge_scores(
            shape, nodes, experts=count, merges=swept + len(points), rows=asked, **lengths
        )
    raise KeyError(f"no formula for the rule {rule}")


def asked(
    config: dict, rule: str, size: str | None = None, count: int | None = None, attempt: int = 1
) -> dict[str, int | str]:
    """What a job of a rule asks the scheduler for, as `machine.request` gives it."""
    return request(need(config, rule, size, count), machine(config), attempt)


def _training(config: dict, stage: str, size: str, shape: Model, nodes: Machine) -> Need:
    settings = study.stage(config, stage, size)
    longest = config["models"]["max_length"]
    text = stage == "pretrain"  # packed rows with a loss on every token
    length = settings["length"] if text else longest
    answer = length if text else min(longest, config["evaluation"]["max_new_tokens"])
    return resources.training(
        shape,
        nodes,
        steps=settings["steps"],
        batch_size=settings["batch_size"],
        length=length,
        answer=answer,
        micro_batch=config["compute"]["micro_batch"],
        checkpoint_every=settings["checkpoint_every"],
        fill=1.0 if text else resources.FILL,
    )


def _points(config: dict, method: str) -> int:
    """How many settings of a method are tried."""
    settings = study.method_settings(config, method)
    known = study.known_methods()[method]
    return len(list(known.lambdas(settings))) * len(list(known.sweep(settings)))
