"""SLURM itself goes away, and with it whatever else would run: so all scenarios end first.

This file is collected before the three others; the study's local run goes on while these tests
wait.
"""

from __future__ import annotations

import time

import pytest
from runs import events, toy
from scenarios import events_of

pytestmark = [pytest.mark.slurm, pytest.mark.slow]


@pytest.fixture(scope="module")
def outage(after, cluster, tmp_path_factory):
    """Two runs that saw slurmctld go away for half a minute; the second has less patience."""
    after.all()
    folder = tmp_path_factory.mktemp("outage")
    patient = toy(folder / "patient", "nap/35.txt")
    hasty = toy(folder / "hasty", "nap/60.txt", MERGESCALE_PATIENCE_MINUTES="0.2")
    patient.until_begun("nap 35")
    hasty.until_begun("nap 60")
    cluster.wait_until_saved()
    cluster.kill("slurmctld")
    try:
        time.sleep(30)
        hasty.wait()
    finally:
        cluster.start_slurmctld()
    return patient, hasty


def test_half_a_minute_without_slurmctld(outage):
    run, _ = outage
    assert run.wait() == 0, run.text
    assert "SLURM answers again" in run.text
    assert [what for what, *_ in events(run.folder)] == ["begin", "end"]


def test_a_run_ends_when_slurm_stays_away_and_goes_on_later(outage):
    _, run = outage
    assert run.wait() == 1, run.text
    assert "SLURM has not answered for 0.2 minutes" in run.text and "Traceback" not in run.text
    second = run.again()
    assert second.wait() == 0, second.text
    assert [what for what, *_ in events(run.folder)] == ["begin", "end"]


def test_neither_checks_nor_submissions_are_lost_while_slurm_is_away(after, cluster, tmp_path):
    after.all()
    run = toy(tmp_path / "study", "nap/30.txt", "later/a.txt")
    run.until_begun("nap 30")
    cluster.wait_until_saved()
    cluster.kill("slurmctld")
    cluster.kill("slurmdbd")
    (run.folder / "go").touch()
    run.until(lambda: "SLURM does not answer" in run.text and "not submitted" in run.text)
    cluster.start_slurmdbd()
    cluster.start_slurmctld()
    assert run.wait() == 0, run.text
    for job in ("nap 30", "later a"):
        assert [what for what, *_ in events_of(run.folder, job)] == ["begin", "end"]
