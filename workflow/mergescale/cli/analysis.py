"""Stages between scores and figures: normalising, aggregating, what the report tells."""

from __future__ import annotations

import argparse
from pathlib import Path

from mergescale import timing
from mergescale.cli.arguments import json_object


def add_stages(stages: argparse._SubParsersAction, common: argparse.ArgumentParser) -> None:
    """Add the sub-commands."""
    analyse = stages.add_parser(
        "analyse", parents=[common], help="normalise scores and aggregate them over draws"
    )
    analyse.add_argument("--scores", type=Path, required=True, metavar="CSV")
    analyse.add_argument("--draws", type=Path, required=True, metavar="CSV")
    analyse.add_argument("--normalised", type=Path, required=True, metavar="CSV")
    analyse.add_argument("--performance", type=Path, required=True, metavar="CSV")
    analyse.set_defaults(run=_analyse)

    record = stages.add_parser("study-record", parents=[common], help="write study.json")
    record.add_argument("--about", type=json_object, required=True, metavar="JSON")
    record.add_argument("--models", type=Path, required=True, metavar="FOLDER")
    record.add_argument("--out", type=Path, required=True, metavar="JSON")
    record.set_defaults(run=_record)

    table = stages.add_parser("timing-table", parents=[common], help="write timing.csv from logs")
    table.add_argument("--logs", type=Path, default=Path("logs"), metavar="FOLDER")
    table.add_argument("--study", required=True)
    table.add_argument("--out", type=Path, required=True, metavar="CSV")
    table.set_defaults(run=_timing_table)


def _analyse(chosen: argparse.Namespace) -> None:
    from mergescale.analysis import aggregate
    from mergescale.analysis import normalize as normalise

    timing.started()
    normalise.write(chosen.scores, chosen.draws, chosen.normalised)
    aggregate.write(chosen.normalised, chosen.performance)


def _record(chosen: argparse.Namespace) -> None:
    from mergescale.stages.study_record import write_study_record

    timing.started()
    write_study_record(chosen.out, about=chosen.about, models=chosen.models)


def _timing_table(chosen: argparse.Namespace) -> None:
    from mergescale.stages.timing import write_timing_table

    timing.started()
    write_timing_table(chosen.out, chosen.logs, chosen.study)
