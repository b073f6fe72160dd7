"""Write study.json: what the study is, for the report and for readers."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from mergescale import timing
from mergescale.provenance.atomic import write_json
from mergescale.provenance.digests import code_digest
from mergescale.provenance.versions import versions

_CODE = ("micro_tasks", "public_tasks", "training", "evaluation", "merging", "analysis")


@dataclass(frozen=True)
class Arguments:
    """Arguments of the stage."""

    about: Annotated[dict, "the study's settings, as they are to stand in study.json"]
    models: Annotated[Path, "the folder of the study's models"]
    out: Annotated[Path, "study.json"]


def run(args: Arguments) -> None:
    """Write the record: `about`, with each size's parameters and losses, and the provenance."""
    timing.started()
    sizes = [_size_record(args.models / size, args.about["bases"]) for size in args.about["sizes"]]
    write_json(
        args.out,
        {
            **args.about,
            "sizes": sizes,
            "provenance": {
                "code": {stage: code_digest(stage) for stage in _CODE},
                "versions": versions(),
            },
        },
        sort_keys=False,  # A reader's order: what the study is before how it was computed.
    )


def _size_record(folder: Path, bases: list[str]) -> dict[str, object]:
    """A size's parameters, and the final training loss of each of its bases."""
    records = {
        base: json.loads((folder / base / "training.json").read_text(encoding="utf-8"))
        for base in bases
    }
    losses = {f"{base}_final_loss": record["final_loss"] for base, record in records.items()}
    return {"size": folder.name, "parameters": records[bases[0]]["parameters"], **losses}
