"""Converts mergekit's YAML files to recipes, for the methods that exist here."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mergescale.merging.method import LAMBDA

METHODS = {
    "linear": "task_arithmetic",
    "task_arithmetic": "task_arithmetic",
    "ties": "ties",
    "dare_ties": "dare_ties",
    "dare_linear": "dare_linear",
    "breadcrumbs": "breadcrumbs",
    "slerp": "slerp",
    "model_stock": "model_stock",
}
# Whether weights are divided by their sum if `normalize` is not given.
_NORMALIZED = {"linear": True, "ties": True}
_TOP = (
    "merge_method", "base_model", "models", "parameters", "dtype", "out_dtype", "tokenizer_source",
    "name", "tokenizers",
)  # fmt: skip
_PARAMETERS = ("weight", "density", "normalize", "lambda", "rescale", "int8_mask", "t", "gamma")
# Those of them that a model may override, with their names here.
_PER_MODEL = {"weight": "weight", "density": "density", "gamma": "outliers"}


def convert_recipe(content: Mapping[str, Any]) -> dict[str, Any]:
    """Convert the content of mergekit's YAML file to that of a recipe.

    Raises:
        ValueError: Something has no counterpart here: another method, slices, gradients (lists of
            values over layers), filters, another tokenizer.
    """
    if unknown := sorted(content.keys() - set(_TOP)):
        verb = "are" if unknown[0].endswith("s") else "is"
        raise ValueError(
            f"mergekit `{unknown[0]}` {verb} not supported; supported: {', '.join(_TOP)}"
        )
    method = content["merge_method"]
    if not isinstance(method, str) or method not in METHODS:
        raise ValueError(f"merge_method is {method!r}; supported: {', '.join(METHODS)}")
    if content.get("tokenizer_source") not in (None, "base"):
        raise ValueError("tokenizer_source must be base: other tokenizers are not supported")
    shared = _parameters(content.get("parameters") or {}, "parameters")
    if "rescale" in shared and shared["rescale"] != (method in ("dare_ties", "dare_linear")):
        raise ValueError(
            f"parameters.rescale: {str(shared['rescale']).lower()} is not supported for {method}: "
            "DARE always rescales, other methods never do"
        )
    models = content.get("models")
    if not isinstance(models, list) or not models:
        raise ValueError("models must be a list of mappings with model")
    listed: list[tuple[str, dict[str, Any]]] = []
    for entry in models:
        if not isinstance(entry, dict) or not isinstance(entry.get("model"), str):
            raise ValueError("each entry of models must be a mapping with model: FOLDER")
        where = f"models.{entry['model']}.parameters"
        own = _parameters(entry.get("parameters") or {}, where)
        if shared_only := sorted(own.keys() - _PER_MODEL.keys()):
            raise ValueError(
                f"{where}.{shared_only[0]} is not supported; move it to the parameters of the merge"
            )
        listed.append((entry["model"], own))
    base = content.get("base_model") or (listed[0][0] if method == "linear" else None)
    if not isinstance(base, str):
        raise ValueError("base_model is missing")
    if method == "linear" and base not in (model for model, _ in listed):
        raise ValueError(
            "linear with a base_model that is not among models is not supported: remove base_model"
        )
    recipe = {
        "base": base,
        "experts": _experts(method, base, listed, shared),
        "method": METHODS[method],
        "dtype": _dtype(content),
        "preset": "mergekit",
        "tokenizers": content.get("tokenizers", "same"),
        **_settings(method, shared),
    }
    return recipe


def _experts(
    method: str, base: str, listed: list[tuple[str, dict[str, Any]]], shared: Mapping[str, Any]
) -> dict[str, dict[str, Any]]:
    weighted = method not in ("slerp", "model_stock")
    weights = [float(own.get("weight", shared.get("weight", 1.0))) for _, own in listed]
    total = sum(w for (model, _), w in zip(listed, weights, strict=True)
                if method == "linear" or model != base)  # fmt: skip
    normalize = shared.get("normalize", _NORMALIZED.get(method, False))
    if method == "linear" and not normalize and abs(total - 1) > 1e-9:
        raise ValueError("linear with normalize: false needs weights that sum to 1")
    # Where signs are elected, normalize means the disjoint mean; elsewhere a common factor.
    divide = normalize and method in ("linear", "task_arithmetic", "dare_linear", "breadcrumbs")
    if divide and abs(total) <= 1e-6 * sum(map(abs, weights)):
        raise ValueError("the weights sum to 0")
    experts: dict[str, dict[str, Any]] = {}
    for (model, own), weight in zip(listed, weights, strict=True):
        if model == base:
            continue  # its task vector is zero
        entry: dict[str, Any] = {"path": model}
        if weighted:
            entry["weight"] = weight / total if divide else weight
        entry |= {_PER_MODEL[key]: own[key] for key in ("density", "gamma") if key in own}
        name = Path(model).name
        while name in experts:
            name += "_"
        experts[name] = entry
    if not experts:
        raise ValueError("models has no model but the base")
    if method == "slerp" and len(experts) > 1:
        raise ValueError("slerp needs base_model and exactly one other model")
    return experts


def _settings(method: str, shared: Mapping[str, Any]) -> dict[str, Any]:
    settings: dict[str, Any] = {}
    if method in ("ties", "dare_ties", "dare_linear", "breadcrumbs"):
        settings["density"] = shared.get("density", 1.0)
    if method in ("ties", "dare_ties") and "normalize" in shared:
        settings["aggregate"] = "mean" if shared["normalize"] else "sum"
    if method == "breadcrumbs":
        settings["outliers"] = shared.get("gamma", 0.01)
    if method == "slerp":
        if "t" not in shared:
            raise ValueError("slerp needs parameters.t")
        settings["t"] = shared["t"]
    elif method not in ("linear", "model_stock"):
        settings[LAMBDA] = shared.get("lambda", 1.0)
    elif method == "linear":
        settings[LAMBDA] = 1.0
    return settings


def _parameters(given: Any, where: str) -> dict[str, Any]:
    if not isinstance(given, dict):
        raise ValueError(f"{where} must be a mapping")
    for key, value in given.items():
        if key not in _PARAMETERS:
            raise ValueError(f"{where}.{key} is not supported; supported: {', '.join(_PARAMETERS)}")
        if isinstance(value, list | dict):
            raise ValueError(
                f"{where}.{key}: gradients and filters over layers are not supported in mergekit's "
                "format; give one value, or write a recipe with rules by tensor"
            )
        boolean = key in ("normalize", "rescale", "int8_mask")
        if boolean != isinstance(value, bool) or not isinstance(value, int | float):
            raise ValueError(
                f"{where}.{key} is {value!r}, must be {'true or false' if boolean else 'a number'}"
            )
    return given


def _dtype(content: Mapping[str, Any]) -> str:
    return content.get("out_dtype") or content.get("dtype") or "float32"
