"""Every merging method a second time: in float64 numpy, from its formula, as plainly as possible.

Also the random models that methods are tried on, and writing them to folders.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file

from mergescale.merging.ops.mask import bernoulli_mask

SHAPES = {
    "embed": (11, 4),
    "layer.weight": (4, 5),
    "norm": (5,),
    "scalar": (),
    "one": (1, 1),
    "none": (0, 3),
}
DTYPES = (torch.float32, torch.bfloat16, torch.float16)
Model = dict[str, torch.Tensor]


def random_model(rng: np.random.Generator, kind: str, shapes: Mapping = SHAPES) -> Model:
    """Weights in fp32. "grid": few distinct values, hence many ties, zeros and sums of zero."""

    def draw(shape: tuple[int, ...]) -> np.ndarray:
        drawn = rng.integers(-3, 4, shape) / 8 if kind == "grid" else rng.normal(size=shape)
        return np.asarray(drawn)

    return {name: torch.tensor(draw(s), dtype=torch.float32) for name, s in shapes.items()}


def random_task_vectors(
    seed: int, experts: int, kind: str, shapes: Mapping = SHAPES
) -> dict[str, Model]:
    """{expert: task vector}; one tensor of the first is zero all over."""
    rng = np.random.default_rng(seed)
    vectors = {f"expert{i}": random_model(rng, kind, shapes) for i in range(experts)}
    vectors["expert0"]["norm"].zero_()
    return vectors


def random_fisher(seed: int, vectors: Mapping[str, Model]) -> dict[str, Model]:
    """{expert: diagonal Fisher information}, some of it below the floor."""
    rng = np.random.default_rng(seed)
    return {
        expert: {
            name: torch.tensor(10.0 ** rng.uniform(-8, 0, tuple(delta.shape)), dtype=torch.float32)
            for name, delta in vectors[expert].items()
        }
        for expert in sorted(vectors)
    }


def write_model(folder: Path, weights: Model, **config: Any) -> Path:
    """A folder as the engine reads it."""
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps({"model_type": "test", **config}))
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    return folder


def flat(tensors: Model) -> np.ndarray:
    """All elements of a model, float64."""
    return np.concatenate([t.double().numpy().reshape(-1) for t in tensors.values()])


def wide(tensors: Model) -> dict[str, np.ndarray]:
    """A model in float64."""
    return {name: tensor.double().numpy() for name, tensor in tensors.items()}


def kept_number(elements: int, share: float, rounding: str) -> int:
    if rounding == "up":
        return math.ceil(round(share * elements, 9))
    number = int(share * elements)
    return max(number, min(1, elements)) if rounding == "at_least_one" else number


def largest(values: np.ndarray, number: int, ties: str = "all") -> np.ndarray:
    """Whether each of 1-D `values` is among the `number` largest magnitudes.

    ties: "all" keeps ties with the last; "first" of them those of the lowest index.
    """
    if ties == "first":
        chosen = sorted(range(len(values)), key=lambda i: (-abs(values[i]), i))[:number]
        return np.isin(np.arange(len(values)), chosen)
    if number == 0:
        return np.zeros(values.shape, bool)
    return np.abs(values) >= np.sort(np.abs(values))[::-1][number - 1]


def kept_largest(
    vector: dict, share: float, scope: str, rounding: str, ties: str = "all"
) -> dict[str, np.ndarray]:
    """{tensor: mask} of the largest entries of a task vector."""
    groups = [sorted(vector)] if scope == "model" else [[name] for name in vector]
    masks = {}
    for names in groups:
        values = np.concatenate([vector[name].reshape(-1) for name in names])
        mask, at = largest(values, kept_number(len(values), share, rounding), ties), 0
        for name in names:
            size = vector[name].size
            masks[name] = mask[at : at + size].reshape(vector[name].shape)
            at += size
    return masks


def elect(rows: np.ndarray, weights: list[float], aggregate: str) -> np.ndarray:
    """rows: experts x elements, times their weights. Element by element, in plain words."""
    result = np.zeros(rows.shape[1])
    for j in range(rows.shape[1]):
        # In fp32, as the engine adds up: what cancels there must cancel here.
        total = np.float32(0)
        for value in rows[:, j]:
            total = np.float32(total + np.float32(value))
        sign = 1 if total >= 0 else -1
        agreeing = [i for i, value in enumerate(rows[:, j]) if np.sign(value) == sign]
        if agreeing:
            divisor = sum(weights[i] for i in agreeing) if aggregate == "mean" else 1
            result[j] = sum(rows[i, j] for i in agreeing) / divisor
    return result


def oracle(
    method: str,
    vectors: Mapping[str, Model],
    base: Model | None = None,
    *,
    weights: Mapping[str, float] | None = None,
    own: Mapping[str, Mapping[str, Any]] | None = None,
    seed: int | None = None,
    statistics: Mapping[str, Mapping[str, Model]] | None = None,
    **shared: Any,
) -> dict[str, np.ndarray]:
    """tau of a method: {tensor: float64}.

    vectors: {expert: task vector}. own: settings of single experts. base: zeros by default.
    statistics: {kind: {expert: {tensor: ...}}}.
    """
    names = sorted(vectors)
    w = [(weights or {}).get(name, 1.0) for name in names]
    settings = [{**shared, **(own or {}).get(name, {})} for name in names]
    deltas = [wide(vectors[name]) for name in names]
    base_weights = (
        wide(base) if base else {name: np.zeros(d.shape) for name, d in deltas[0].items()}
    )
    made = {}
    for tensor, start in base_weights.items():
        parts = [delta[tensor] for delta in deltas]
        if method in ("ties", "breadcrumbs"):
            parts = [
                part * _kept(method, delta, **own_settings)[tensor]
                for part, delta, own_settings in zip(parts, deltas, settings, strict=True)
            ]
        if method in ("dare_linear", "dare_ties"):
            parts = [
                _dare(part, seed, name, tensor, own_settings["density"])
                for part, name, own_settings in zip(parts, names, settings, strict=True)
            ]
        if method == "fisher":
            floor = shared.get("floor", 1e-6)
            fishers = [statistics["fisher"][name][tensor].double().numpy() for name in names]
            factors = [f * np.maximum(fisher, floor) for f, fisher in zip(w, fishers, strict=True)]
            weights_of = [start + part for part in parts]
            total = sum(f * weight for f, weight in zip(factors, weights_of, strict=True))
            made[tensor] = np.asarray(total / sum(factors) - start)
            continue
        made[tensor] = _reduced(method, parts, w, start, shared)
    return made


def _kept(
    method: str,
    delta: dict,
    density: float,
    rounding: str = "up",
    trim_scope: str | None = None,
    outliers: float = 0.01,
    ties: str = "all",
    **_: Any,
) -> dict[str, np.ndarray]:
    if method == "ties":
        return kept_largest(delta, density, trim_scope or "model", rounding, ties)
    outliers = min(outliers, round(1 - density, 9))
    scope = trim_scope or "tensor"
    inner = kept_largest(delta, round(density + outliers, 9), scope, rounding, ties)
    outer = kept_largest(delta, outliers, scope, rounding, ties)
    return {name: inner[name] & ~outer[name] for name in inner}


def _dare(part: np.ndarray, seed: int, expert: str, tensor: str, density: float) -> np.ndarray:
    kept = bernoulli_mask(seed, expert, tensor, 0, part.size, round(1 - density, 10))
    return np.where(kept.reshape(part.shape), part, 0) / density


def _reduced(
    method: str, parts: list, weights: list[float], start: np.ndarray, shared: Mapping[str, Any]
) -> np.ndarray:
    weighted = [part * weight for part, weight in zip(parts, weights, strict=True)]
    if method == "averaging":
        return sum(weighted) / sum(weights)
    if method in ("task_arithmetic", "dare_linear", "breadcrumbs"):
        return sum(weighted)
    if method in ("ties", "dare_ties"):
        rows = np.stack([part.reshape(-1) for part in weighted])
        return elect(rows, weights, shared.get("aggregate", "mean")).reshape(start.shape)
    if method == "emr":
        sign = np.where(sum(weighted) >= 0, 1, -1)
        return sign * np.maximum(np.max([part * sign for part in weighted], axis=0), 0)
    if method == "iso_c":
        return _iso_c(sum(weighted)) if start.ndim == 2 else sum(weighted) / len(parts)
    if method == "model_stock":
        return _stock_ratio(parts) * sum(parts) / len(parts)
    if method == "slerp":
        one, two = [start + part for part in (np.zeros_like(start), *parts)[-2:]]
        return _slerp(one, two, shared.get("t", 0.5)) - start
    raise AssertionError(f"write the formula of {method} here")


def _stock_ratio(parts: list) -> float:
    cosines = []
    for i, one in enumerate(parts):
        for two in parts[:i]:
            lengths = np.linalg.norm(one) * np.linalg.norm(two)
            cosines.append((one * two).sum() / lengths if lengths else 0.0)
    n, cosine = len(parts), np.mean(cosines)
    below = 1 + (n - 1) * cosine
    return n * cosine / below if abs(below) > 1e-6 else 0.0


def _iso_c(total: np.ndarray) -> np.ndarray:
    """The nearest isometry (polar factor), from an eigendecomposition, times the mean sigma."""
    if not total.any():
        return np.zeros_like(total)
    wide_matrix = total.shape[0] <= total.shape[1]
    matrix = total if wide_matrix else total.T
    values, vectors = np.linalg.eigh(matrix @ matrix.T)
    sigma = np.sqrt(np.maximum(values, 0))
    used = sigma > 1e-7 * sigma.max()
    root = vectors[:, used] / sigma[used] @ vectors[:, used].T
    polar = root @ matrix * sigma[used].mean()
    return polar if wide_matrix else polar.T


def _slerp(one: np.ndarray, two: np.ndarray, t: float) -> np.ndarray:
    lengths = np.linalg.norm(one) * np.linalg.norm(two)
    cosine = (one * two).sum() / lengths if lengths else 1.0
    if abs(cosine) > 0.9995:
        return (1 - t) * one + t * two
    angle = np.arccos(cosine)
    return (np.sin((1 - t) * angle) * one + np.sin(t * angle) * two) / np.sin(angle)
