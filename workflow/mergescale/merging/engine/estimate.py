"""How much a recipe reads, computes and writes, told before anything is done."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass

from mergescale.checkpoints.blocks import block_elements, element_bytes
from mergescale.checkpoints.layout import FORMAT_NAMES
from mergescale.checkpoints.reader import CheckpointReader
from mergescale.checkpoints.safetensors_header import ITEM_BYTES
from mergescale.cores import usable_cores
from mergescale.merging.engine.memory import format_bytes, max_threads, working_memory
from mergescale.merging.engine.merge_spec import Merge
from mergescale.merging.engine.thresholds import max_passes
from mergescale.merging.method import LAMBDA
from mergescale.merging.recipes.recipe import RecipeFile
from mergescale.merging.statistics import FIRST, MagnitudeThreshold, TensorSum


@dataclass(frozen=True)
class IOEstimate:
    """Bytes of a recipe.

    Attributes:
        inputs: of all models.
        looked: read in passes before the merge, for thresholds and sums.
        merged: read in the pass that merges.
        weights, masks: written.
    """

    inputs: int
    looked: int
    merged: int
    weights: int
    masks: int

    @property
    def read(self) -> int:
        """Bytes read in all passes."""
        return self.looked + self.merged

    @property
    def written(self) -> int:
        """Bytes of all outputs."""
        return self.weights + self.masks

    @property
    def moved(self) -> int:
        """Bytes that the progress bar counts; masks are no part of it."""
        return self.read + self.weights


def estimate(recipe: RecipeFile) -> IOEstimate:
    """From headers. Raises ValueError as `CheckpointReader.open` does."""
    with ExitStack() as opened:
        base = opened.enter_context(CheckpointReader.open(recipe.base))
        experts = {
            n: opened.enter_context(CheckpointReader.open(f)) for n, f in recipe.experts.items()
        }
        return estimate_io(base, experts, recipe.merges)


def estimate_io(
    base: CheckpointReader, experts: Mapping[str, CheckpointReader], merges: Sequence[Merge]
) -> IOEstimate:
    """The work of these merges where no threshold is kept from before."""
    floating = _floating(base)
    inputs = base.bytes + sum(e.bytes for e in experts.values())
    # Tensors of integers are the base's; nobody reads the experts'.
    merged = base.bytes + sum(_floating(expert) for expert in experts.values())
    looked = 0
    # {scope: {expert: thresholds}}
    wanted: dict[str, dict[str, set[MagnitudeThreshold]]] = {}
    summed: set[tuple[str, str]] = set()
    for merge in merges:
        for expert, wishes in zip(merge.experts, merge.statistics, strict=True):
            for name, wish in wishes.items():
                if isinstance(wish, MagnitudeThreshold):
                    wanted.setdefault(wish.scope, {}).setdefault(expert, set()).add(wish)
                elif isinstance(wish, TensorSum) and (merge.tau_key, name) not in summed:
                    summed.add((merge.tau_key, name))
                    looked += floating + sum(_floating(experts[e]) for e in merge.experts)
    every = [stored.name for stored in base.tensors.values() if stored.floating]
    for scope, of in wanted.items():
        most = max(
            len({(wish.density, wish.rounding) for wish in wishes}) for wishes in of.values()
        )
        sources = (base, *(experts[name] for name in of))
        for group in [every] if scope == "model" else [[name] for name in every]:
            # Whether all hold the same tensors is looked at later.
            once = sum(s.tensors[t].bytes for s in sources for t in group if t in s.tensors)
            looked += round(once * max_passes([base.tensors[t].elements for t in group], most))
        firsts = [e for e, wishes in of.items() if any(w.ties == FIRST for w in wishes)]
        if firsts:  # one more look, at most
            looked += floating + sum(_floating(experts[expert]) for expert in firsts)
    weights = sum(
        stored.elements * ITEM_BYTES[FORMAT_NAMES[merge.dtype] if stored.floating else stored.dtype]
        for merge in merges
        for stored in base.tensors.values()
    )
    masks = sum(
        base.elements * len(merge.method.masks(merge.experts))
        for merge in merges
        if merge.method.masks
    )
    return IOEstimate(inputs, looked, merged, weights, masks)


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
        formula = (merge.method.merge.__doc__ or "").strip()
        lines.append(f"  W = W0 + {merge.lam:g} * tau; {formula}")
        for expert, own in merge.own.items():
            lines.append(f"  {expert}: {', '.join(f'{k} {v}' for k, v in own.items())}")
        for expert, weight in merge.weights.items():
            if weight != 1:
                lines.append(f"  {expert}: weight {weight:g}")
    if threads is None:
        cores = usable_cores()
        threads = max_threads(memory_limit, len(recipe.experts), cores)
    memory = working_memory(memory_limit, len(recipe.experts), threads)
    elements = block_elements(len(recipe.experts), threads, memory)
    materialize = threads * elements * element_bytes(len(recipe.experts))
    lines += [
        f"inputs: {format_bytes(work.inputs)}; read in all passes: {format_bytes(work.read)} "
        "(less where thresholds are kept or a sample tells them, more where it misleads)",
        f"written: {format_bytes(work.written)}",
        f"memory: at most {format_bytes(memory_limit)}; {threads} "
        f"{'threads hold pieces' if threads > 1 else 'thread holds a piece'} of {elements:,} "
        f"elements, {format_bytes(materialize)}",
    ]
    return lines


def _floating(source: CheckpointReader) -> int:
    """Bytes of its floating-point tensors."""
    return sum(stored.bytes for stored in source.tensors.values() if stored.floating)
