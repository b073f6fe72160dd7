"""Score files: a model's scores as JSON, and its prediction for every example as parquet."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.json
import pyarrow.parquet as pq

from mergescale.evaluation.predictions import Predictions
from mergescale.provenance.atomic import replacing, write_json
from mergescale.provenance.digests import code_digest, method_digest
from mergescale.provenance.versions import versions

_PREDICTIONS = pa.schema(
    [
        ("task", pa.string()),
        ("id", pa.string()),
        ("template", pa.string()),
        ("answer", pa.string()),
        ("score", pa.float64()),
        ("choice_scores", pa.list_(pa.float64())),
    ]
)


def write_score_file(
    path: Path, record: Mapping[str, Any], *, code: Sequence[str], method: str | None = None
) -> None:
    """Write a record of scores as JSON, with what computed it under `provenance`.

    Args:
        path: the file.
        record: what was scored, and its scores.
        code: the stages (keys of `digests.STAGES`) whose source decides the scores.
        method: the merging method, whose source does so too.
    """
    method_code = {"method_code": method_digest(method)} if method else {}
    provenance = {"code": code_digest(*code), **method_code, "versions": versions()}
    write_json(path, {**record, "provenance": provenance})


def write_predictions(path: Path, predictions: Predictions) -> None:
    """Write predictions as parquet: task, id, template, answer, score, choice_scores."""
    lines = "\n".join(
        json.dumps({"task": task, **asdict(prediction)})
        for task, group in predictions.items()
        for prediction in group
    )
    # By way of JSON, since pyarrow would import pandas (0.7 s) to read lists of Python objects.
    table = pyarrow.json.read_json(
        io.BytesIO(lines.encode()),
        read_options=pyarrow.json.ReadOptions(use_threads=False, block_size=len(lines) + 1),
        parse_options=pyarrow.json.ParseOptions(explicit_schema=_PREDICTIONS),
    )
    with replacing(path) as temporary:
        pq.write_table(table, temporary, compression="zstd")
