"""What goes wrong on clusters, one thing at a time: no work is lost, and no run hangs."""

from __future__ import annotations

import json
import re

import pytest
import scenarios
from runs import accounted, events
from scenarios import events_of

pytestmark = [pytest.mark.slurm, pytest.mark.slow]


def test_a_job_out_of_memory_gets_more(after, cluster):
    run = after.of(scenarios.over_memory_and_canceled)
    assert run.wait() == 0, run.text
    first, second = accounted(cluster.run, run.folder, "State,ReqMem")["hog a"]
    assert first[0] in ("OUT_OF_MEMORY", "FAILED") and first[1].startswith("400M")
    assert second[0] == "COMPLETED" and second[1].startswith("800M")
    assert [event for event, *_ in events_of(run.folder, "hog a")] == ["begin", "begin", "end"]


def test_a_canceled_job_is_submitted_again(after):
    run = after.of(scenarios.over_memory_and_canceled)
    assert run.wait() == 0, run.text
    (_, _, first), (_, _, second), (event, _, last) = events_of(run.folder, "nap 31")
    assert event == "end" and first != second == last
    assert "it was canceled (CANCELLED)" in run.text


def test_a_job_out_of_time_resumes_from_its_checkpoint(after, cluster):
    run = after.of(scenarios.over_time)
    assert run.wait() == 0, run.text
    rows = accounted(cluster.run, run.folder, "State,Timelimit,AllocTRES")
    jobs = rows["pretrained_base_of_largest tiny_40k"]
    assert len(jobs) > 1 and jobs[0][:2] == ["TIMEOUT", "00:01:00"] and jobs[1][1] == "00:02:00"
    assert jobs[-1][0] == "COMPLETED"
    assert all("gres/gpu=1" in job[2] for job in jobs)
    # Snakemake prints the logs of failed attempts; the last attempt's log is a file.
    logs = run.text + (run.folder / "logs" / "pretrained_base" / "tiny" / "40k.log").read_text()
    assert int(re.search(r"resuming from step (\d+) of 8000", logs)[1]) >= 200
    record = json.loads((run.folder / "results/tiny/models/40k/pt/training.json").read_text())
    assert record["settings"]["steps"] == 8000


def test_a_job_survives_the_restart_of_its_nodes_daemon(after):
    run = after.of(scenarios.slurmd_killed)
    assert run.wait() == 0, run.text
    assert [event for event, *_ in events(run.folder)] == ["begin", "end"]


def test_a_job_of_a_failed_node_starts_again_under_its_number(after):
    run = after.of(scenarios.node_crashed)
    assert run.wait() == 0, run.text
    (_, _, first), (_, _, second), (event, _, last) = events(run.folder)
    assert event == "end" and first == second == last
    assert run.text.count("has been submitted with SLURM jobid") == 1


def test_orphans_are_waited_for_and_their_outputs_used(after):
    run = after.of(scenarios.main_killed)
    assert run.wait() == 0, run.text
    assert "(nap 64)" in run.text and "Waiting for them" in run.text
    for job in ("nap 64", "nap 5"):
        assert [event for event, *_ in events_of(run.folder, job)] == ["begin", "end"]
    assert "Nothing to be done" in run.text


@pytest.mark.parametrize(
    "rule, message",
    {
        "too_many_gpus": "sbatch: error: Batch job submission failed: Requested node",
        "unknown_partition": "sbatch: error: invalid partition specified: nowhere",
        "unknown_account": "failed: Invalid account or account/partition combination specified",
        "too_long": "it can never start (SLURM's reason: PartitionTimeLimit)",
    }.items(),
)
def test_an_impossible_request_fails_with_the_schedulers_message(after, cluster, rule, message):
    run = after.of(scenarios.refused)
    assert run.wait() == 1, run.text
    errors = run.text.split("Error in rule ")[1:]
    (error,) = [text for text in errors if text.startswith(f"{rule},") or text.startswith(rule)]
    assert message in error
    assert not cluster.jobs(run.folder)
