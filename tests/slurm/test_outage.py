"""Outages of SLURM itself, which disturb everything else: so all scenarios end first.

This file is collected before the three others; the study's local run continues meanwhile.
"""

from __future__ import annotations

import time

import pytest
from runs import events, toy
from scenarios import events_of

pytestmark = [pytest.mark.slurm, pytest.mark.slow]


@pytest.fixture(scope="module")
def outage(after, cluster, tmp_path_factory):
    """Two runs during half a minute without slurmctld; the second tolerates less."""
    after.all()
    folder = tmp_path_factory.mktemp("outage")
    tolerant = toy(folder / "tolerant", "nap/35.txt")
    impatient = toy(folder / "impatient", "nap/60.txt", MERGESCALE_SLURM_TIMEOUT_MINUTES="0.2")
    tolerant.until_begun("nap 35")
    impatient.until_begun("nap 60")
    cluster.wait_until_saved()
    cluster.kill("slurmctld")
    try:
        time.sleep(30)
        impatient.wait()
    finally:
        cluster.start_slurmctld()
    return tolerant, impatient


def test_half_a_minute_without_slurmctld(outage):
    run, _ = outage
    assert run.wait() == 0, run.text
    assert "SLURM responds again" in run.text
    assert [event for event, *_ in events(run.folder)] == ["begin", "end"]


def test_a_run_ends_after_a_long_outage_and_resumes_later(outage):
    _, run = outage
    assert run.wait() == 1, run.text
    assert "SLURM has not responded for 0.2 minutes" in run.text and "Traceback" not in run.text
    second = run.rerun()
    assert second.wait() == 0, second.text
    assert [event for event, *_ in events(run.folder)] == ["begin", "end"]


def test_neither_checks_nor_submissions_are_lost_during_an_outage(after, cluster, tmp_path):
    after.all()
    run = toy(tmp_path / "study", "nap/30.txt", "later/a.txt")
    run.until_begun("nap 30")
    cluster.wait_until_saved()
    cluster.kill("slurmctld")
    cluster.kill("slurmdbd")
    (run.folder / "go").touch()
    run.until(lambda: "SLURM does not respond" in run.text and "not submitted" in run.text)
    cluster.start_slurmdbd()
    cluster.start_slurmctld()
    assert run.wait() == 0, run.text
    for job in ("nap 30", "later a"):
        assert [event for event, *_ in events_of(run.folder, job)] == ["begin", "end"]
