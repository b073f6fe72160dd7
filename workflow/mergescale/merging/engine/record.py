"""What decides a merge's bytes, and what merge.json tells of a merge that is made."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mergescale import __version__
from mergescale.merging.engine.delta_reader import digest_name
from mergescale.merging.engine.engine import Engine
from mergescale.merging.engine.journal import Tally
from mergescale.merging.engine.merge_spec import Merge
from mergescale.merging.engine.statistics import MergeStatistics
from mergescale.merging.method import LAMBDA
from mergescale.merging.statistics import sum_over_tensors
from mergescale.provenance.digests import file_digest, record_digest


def plan(merge: Merge, engine: Engine) -> dict[str, Any]:
    """Everything that decides a merge's bytes, with files known by name, size and time."""
    source = Path(inspect.getfile(merge.method.merge))
    return {
        "mergescale": __version__,
        "method": merge.method.name,
        "code": file_digest(source),
        "experts": list(merge.experts),
        "settings": merge.settings,
        "weights": {expert: merge.weights.get(expert, 1.0) for expert in merge.experts},
        LAMBDA: merge.lam,
        "seed": merge.seed,
        "dtype": merge.dtype,
        "shard_bytes": merge.shard_bytes,
        "base": engine.base.fingerprint(),
        "files": [
            engine.experts[engine.names.index(expert)].fingerprint() for expert in merge.experts
        ],
    }


def build_record(
    engine: Engine, merges: Sequence[Merge], number: int, tally: Tally, found: MergeStatistics
) -> dict[str, Any]:
    """merge.json: what was merged and how, from what, and what the output's dtype took away."""
    merge = merges[number]
    folders = [engine.base, *engine.experts]
    digests = dict(zip(["", *engine.names], map(digest_name, tally.digests), strict=True))
    moving = tally.moving[number]
    return {
        "mergescale": __version__,
        "plan": plan_digest(plan(merge, engine)),
        "recipe": {
            "method": merge.method.name,
            "parameters": dict(merge.parameters),
            LAMBDA: merge.lam,
            "experts": {
                expert: {
                    "weight": merge.weights.get(expert, 1.0),
                    **merge.own.get(expert, {}),
                }
                for expert in merge.experts
            },
            **({} if merge.seed is None else {"seed": merge.seed}),
        },
        "inputs": {
            "base": {"folder": str(folders[0].folder), "digest": digests[""]},
            **{
                expert: {
                    "folder": str(engine.experts[engine.names.index(expert)].folder),
                    "digest": digests[expert],
                }
                for expert in merge.experts
            },
        },
        "dtype": merge.dtype,
        "rounded_away_fraction": tally.lost[number] / moving if moving else 0.0,
        **_shares(merge, engine, found),
        **_told(merge, found),
    }


def _shares(merge: Merge, engine: Engine, found: MergeStatistics) -> dict[str, Any]:
    """What share of each expert's entries reaches its thresholds: what trimming really kept."""
    shares = {
        name: {expert: count / engine.base.elements for expert, count in of.items()}
        for name, of in found.kept_by(merge).items()
    }
    return {"kept_fraction": shares} if shares else {}


def _told(merge: Merge, found: MergeStatistics) -> dict[str, Any]:
    """What the method itself has to tell, from sums over the whole model."""
    if not merge.method.record:
        return {}
    sums = {n: sum_over_tensors(of) for (key, n), of in found.sums.items() if key == merge.tau_key}
    return merge.method.record(merge.experts, sums)


def plan_digest(content: Any) -> str:
    """SHA-256 of a plan, or of several."""
    return record_digest(content)
