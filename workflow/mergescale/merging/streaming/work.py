"""How much a recipe reads, computes and writes, told before anything is done."""

from __future__ import annotations

import os
from contextlib import ExitStack
from dataclasses import dataclass

from mergescale.merging.method import LAMBDA
from mergescale.merging.statistics import Threshold
from mergescale.merging.streaming.memory import most_threads, working_memory
from mergescale.merging.streaming.output_folder import FORMAT_NAMES
from mergescale.merging.streaming.recipe_file import RecipeFile
from mergescale.merging.streaming.safetensors_header import ITEM_BYTES
from mergescale.merging.streaming.source import Source
from mergescale.merging.streaming.stream import element_bytes, piece_elements


@dataclass(frozen=True)
class Work:
    """Bytes of a recipe: of all inputs, read in all passes, and written as weights and masks."""

    inputs: int
    read: int
    weights: int
    masks: int

    @property
    def written(self) -> int:
        """Bytes of all outputs."""
        return self.weights + self.masks

    @property
    def moved(self) -> int:
        """Bytes that the progress bar counts; masks are no part of it."""
        return self.read + self.weights


def estimate(recipe: RecipeFile) -> Work:
    """From headers. Raises ValueError as `Source.open` does."""
    with ExitStack() as opened:
        base = opened.enter_context(Source.open(recipe.base))
        experts = {n: opened.enter_context(Source.open(f)) for n, f in recipe.experts.items()}
        floating = _floating(base)
        inputs = base.bytes + sum(e.bytes for e in experts.values())
        # Tensors of integers are the base's; nobody reads the experts'.
        read = base.bytes + sum(_floating(expert) for expert in experts.values())
        looks: dict[str, set[str]] = {}
        summed: set[tuple[str, str]] = set()
        for merge in recipe.merges:
            for expert, settings in zip(merge.experts, merge.settings, strict=True):
                for name, wish in merge.method.statistics(settings).items():
                    if isinstance(wish, Threshold):
                        looks.setdefault(wish.scope, set()).add(expert)
                    elif (merge.tau_key, name) not in summed:
                        summed.add((merge.tau_key, name))
                        read += floating + sum(_floating(experts[e]) for e in merge.experts)
        for names in looks.values():
            read += 2 * (floating + sum(_floating(experts[name]) for name in names))
        weights = sum(
            stored.elements
            * ITEM_BYTES[FORMAT_NAMES[merge.dtype] if stored.floating else stored.dtype]
            for merge in recipe.merges
            for stored in base.tensors.values()
        )
        masks = sum(
            base.elements * len(merge.method.extras(merge.experts))
            for merge in recipe.merges
            if merge.method.extras
        )
        return Work(inputs, read, weights, masks)


def explain(recipe: RecipeFile, threads: int | None, memory_limit: int) -> list[str]:
    """What will be computed, bytes read and written, and memory; a line each.

    threads: None are as many as there are cores and memory allows.
    """
    work = estimate(recipe)
    lines = []
    for merge in recipe.merges:
        name = "" if str(merge.folder) == "." else f"{merge.folder}: "
        settings = {**merge.parameters, LAMBDA: merge.lam}
        if merge.seed is not None:
            settings["seed"] = merge.seed
        told = ", ".join(f"{key} {value}" for key, value in settings.items())
        lines.append(
            f"{name}{merge.method.title} of {', '.join(merge.experts)} over {recipe.base} "
            f"({told}), written in {merge.dtype}"
        )
        formula = (merge.method.reduce.__doc__ or "").strip()
        lines.append(f"  W = W0 + {merge.lam:g} * tau; {formula}")
        for expert, own in merge.own.items():
            lines.append(f"  {expert}: {', '.join(f'{k} {v}' for k, v in own.items())}")
        for expert, weight in merge.weights.items():
            if weight != 1:
                lines.append(f"  {expert}: weight {weight:g}")
    if threads is None:
        cores = len(os.sched_getaffinity(0))
        threads = most_threads(memory_limit, len(recipe.experts), cores)
    memory = working_memory(memory_limit, len(recipe.experts), threads)
    elements = piece_elements(len(recipe.experts), threads, memory)
    held = threads * elements * element_bytes(len(recipe.experts))
    lines += [
        f"inputs: {work.inputs / 1e9:,.2f} GB; read in all passes: {work.read / 1e9:,.2f} GB "
        "(less where thresholds are kept from before)",
        f"written: {work.written / 1e9:,.2f} GB",
        f"memory: at most {memory_limit / 1e6:,.0f} MB; pieces of {elements:,} elements on "
        f"{threads} threads hold {held / 1e6:,.0f} MB",
    ]
    return lines


def _floating(source: Source) -> int:
    """Bytes of its floating-point tensors."""
    return sum(stored.bytes for stored in source.tensors.values() if stored.floating)
