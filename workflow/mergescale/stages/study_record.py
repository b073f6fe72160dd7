"""study.json: what a study is, as the report tells it."""

from __future__ import annotations

import json
from pathlib import Path

from mergescale.provenance.atomic import write_json
from mergescale.provenance.digests import code_digest
from mergescale.provenance.versions import versions


def write_study_record(out: Path, *, about: dict, models: Path) -> None:
    """Add to `about` the sizes' parameters and training, read from the models' records."""
    sizes = []
    for size in about["sizes"]:
        records = {base: _record(models / size / base) for base in about["bases"]}
        first = records[about["bases"][0]]
        losses = {f"{base} loss": record["final_loss"] for base, record in records.items()}
        sizes.append({"size": size, "parameters": first["parameters"], **losses})
    write_json(
        out,
        {
            **about,
            "sizes": sizes,
            "provenance": {
                "code": {
                    stage: code_digest(stage)
                    for stage in (
                        "micro_tasks",
                        "real_tasks",
                        "training",
                        "evaluation",
                        "merging",
                        "analysis",
                    )
                },
                "versions": versions(),
            },
        },
        sort_keys=False,  # A reader's order: what the study is before how it was computed.
    )


def _record(folder: Path) -> dict:
    return json.loads((folder / "training.json").read_text(encoding="utf-8"))
