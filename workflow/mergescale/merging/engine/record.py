"""The record of a merge: what decides its bytes, merge.json, and the model card."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mergescale import __version__
from mergescale.merging.engine.delta_reader import format_digest
from mergescale.merging.engine.engine import Engine
from mergescale.merging.engine.journal import Tally
from mergescale.merging.engine.merge_spec import Merge
from mergescale.merging.engine.statistics import MergeStatistics
from mergescale.merging.method import LAMBDA
from mergescale.merging.parameters import as_json
from mergescale.merging.statistics import sum_over_tensors
from mergescale.provenance.digests import file_digest, record_digest


def build_plan(merge: Merge, engine: Engine) -> dict[str, Any]:
    """Everything that decides a merge's bytes; files by path, size and modification time."""
    reader = engine.reader
    experts = dict(zip(reader.names, reader.experts, strict=True))
    return {
        "mergescale": __version__,
        "method": merge.method.name,
        "code": file_digest(Path(inspect.getfile(merge.method.merge))),
        "experts": list(merge.experts),
        "parameters": [as_json(own) for own in merge.expert_parameters],
        "weights": as_json({expert: merge.weights.get(expert, 1.0) for expert in merge.experts}),
        LAMBDA: merge.lam,
        "seed": merge.seed,
        "dtype": merge.dtype,
        "shard_bytes": merge.shard_bytes,
        "base": reader.base.fingerprint(),
        "files": [experts[expert].fingerprint() for expert in merge.experts],
        "statistics_files": [
            [*key, file.fingerprint()]
            for key, file in reader.statistics_files.items()
            if _uses(merge, key)
        ],
    }


def plan_digest(merge: Merge, engine: Engine) -> str:
    """The digest of a merge's plan, by which a finished merge is recognized."""
    return record_digest(build_plan(merge, engine))


def build_record(
    engine: Engine, merges: Sequence[Merge], number: int, tally: Tally, statistics: MergeStatistics
) -> dict[str, Any]:
    """The content of merge.json.

    Args:
        engine: The engine that made the merges.
        merges: The merges of the pass.
        number: Which of them.
        tally: What was counted in the pass.
        statistics: The statistics that were computed before it.
    """
    merge, reader = merges[number], engine.reader
    sums = [format_digest(total) for total in tally.digests]
    digests = dict(zip(reader.names, sums[1:], strict=False))
    file_digests = dict(zip(reader.statistics_files, sums[len(engine.models) :], strict=True))
    inputs = {"base": {"folder": str(reader.base.folder), "digest": sums[0]}}
    for name, expert in zip(reader.names, reader.experts, strict=True):
        if name in merge.experts:
            inputs[name] = {"folder": str(expert.folder), "digest": digests[name]}
    for key, digest in file_digests.items():
        if _uses(merge, key):
            expert, statistic = key
            file = {"file": str(reader.statistics_files[key].folder), "digest": digest}
            inputs[expert].setdefault("statistics", {})[statistic] = file
    updated = tally.num_updated[number]
    return {
        "mergescale": __version__,
        "plan": plan_digest(merge, engine),
        "recipe": {
            "method": merge.method.name,
            "parameters": as_json(merge.parameters),
            LAMBDA: merge.lam,
            "experts": {
                expert: as_json(
                    {
                        "weight": merge.weights.get(expert, 1.0),
                        **merge.overrides.get(expert, {}),
                    }
                )
                for expert in merge.experts
            },
            **({} if merge.seed is None else {"seed": merge.seed}),
        },
        "inputs": inputs,
        "dtype": merge.dtype,
        "rounded_away_fraction": tally.num_rounded_away[number] / updated if updated else 0.0,
        **_kept_fractions(merge, engine, statistics),
        **_method_record(merge, statistics),
    }


def model_card(merge: Merge, record: Mapping[str, Any]) -> str:
    """README.md of a merged folder, with the front matter that the Hugging Face hub reads."""
    settings = {**merge.parameters, LAMBDA: merge.lam}
    if merge.seed is not None:
        settings["seed"] = merge.seed
    lines = [
        "---",
        "library_name: transformers",
        "tags: [merge, mergescale]",
        "---",
        f"# {merge.method.title} of {', '.join(merge.experts)}",
        "",
        f"Merged by mergescale {record['mergescale']}: W = W0 + lambda * tau, computed in float32, "
        f"written in {merge.dtype}. `merge.json` has the recipe.",
        "",
        *(f"- {name}: {value}" for name, value in settings.items()),
    ]
    if merge.dtype != "float32":
        fraction = record["rounded_away_fraction"]
        lines.append(f"- rounded away in {merge.dtype}: {fraction:.2%} of the updated entries")
    if record["tokenizers"] == "ignore":
        lines.append("- tokenizer: the base's; tokenizers were not compared")
    lines += ["", "| input | own settings | content digest |", "|---|---|---|"]
    for name, given in record["inputs"].items():
        own = [f"{key} {value}" for key, value in merge.overrides.get(name, {}).items()]
        if (weight := merge.weights.get(name, 1.0)) != 1:
            own.append(f"weight {weight}")
        lines.append(f"| {name} | {', '.join(own)} | `{given['digest']}` |")
    return "\n".join(lines) + "\n"


def _uses(merge: Merge, key: tuple[str, str]) -> bool:
    """Whether a merge uses the statistics file of this (expert, statistic)."""
    expert, statistic = key
    return statistic in merge.statistics_files.get(expert, {})


def _kept_fractions(merge: Merge, engine: Engine, statistics: MergeStatistics) -> dict[str, Any]:
    """The fraction of each expert's entries that reaches its thresholds."""
    base = engine.reader.base
    fractions = {
        name: {expert: count / base.elements for expert, count in of.items()}
        for name, of in statistics.num_kept(merge, base.floating_tensors()).items()
    }
    return {"kept_fraction": fractions} if fractions else {}


def _method_record(merge: Merge, statistics: MergeStatistics) -> dict[str, Any]:
    """What the method itself records, from sums over the whole model."""
    if not merge.method.record:
        return {}
    sums = {
        n: sum_over_tensors(of) for (key, n), of in statistics.sums.items() if key == merge.tau_key
    }
    return merge.method.record(merge.experts, sums)
