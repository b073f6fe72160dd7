"""What happens to clusters, one thing at a time; no work is lost, and nothing waits for ever."""

from __future__ import annotations

import json
import re

import pytest
import scenarios
from runs import accounted, events
from scenarios import events_of

pytestmark = [pytest.mark.slurm, pytest.mark.slow]


def test_a_job_over_its_memory_gets_more(after, cluster):
    run = after.of(scenarios.over_memory_and_cancelled)
    assert run.wait() == 0, run.text
    first, second = accounted(cluster.run, run.folder, "State,ReqMem")["hog a"]
    assert first[0] in ("OUT_OF_MEMORY", "FAILED") and first[1].startswith("400M")
    assert second[0] == "COMPLETED" and second[1].startswith("800M")
    assert [what for what, *_ in events_of(run.folder, "hog a")] == ["begin", "begin", "end"]


def test_a_cancelled_job_is_submitted_again(after):
    run = after.of(scenarios.over_memory_and_cancelled)
    assert run.wait() == 0, run.text
    (_, _, first), (_, _, second), (what, _, last) = events_of(run.folder, "nap 31")
    assert what == "end" and first != second == last
    assert "it was cancelled (CANCELLED)" in run.text


def test_a_job_over_its_time_goes_on_from_its_checkpoint(after, cluster):
    run = after.of(scenarios.over_time)
    assert run.wait() == 0, run.text
    rows = accounted(cluster.run, run.folder, "State,Timelimit,AllocTRES")
    jobs = rows["pretrained_base_of_largest tiny_40k"]
    assert len(jobs) > 1 and jobs[0][:2] == ["TIMEOUT", "00:01:00"] and jobs[1][1] == "00:02:00"
    assert jobs[-1][0] == "COMPLETED"
    assert all("gres/gpu=1" in job[2] for job in jobs)
    # Snakemake shows the logs of attempts that failed; the last one's is there.
    told = run.text + (run.folder / "logs" / "pretrained_base" / "tiny" / "40k.log").read_text()
    assert int(re.search(r"goes on from (\d+)/8000", told)[1]) >= 200
    record = json.loads((run.folder / "results/tiny/models/40k/pt/training.json").read_text())
    assert record["settings"]["steps"] == 8000


def test_a_job_survives_the_restart_of_its_nodes_daemon(after):
    run = after.of(scenarios.slurmd_killed)
    assert run.wait() == 0, run.text
    assert [what for what, *_ in events(run.folder)] == ["begin", "end"]


def test_a_job_of_a_failed_node_starts_again_under_its_number(after):
    run = after.of(scenarios.node_crashed)
    assert run.wait() == 0, run.text
    (_, _, first), (_, _, second), (what, _, last) = events(run.folder)
    assert what == "end" and first == second == last
    assert run.text.count("has been submitted with SLURM jobid") == 1


def test_jobs_of_a_killed_run_are_waited_for_and_kept(after):
    run = after.of(scenarios.main_killed)
    assert run.wait() == 0, run.text
    assert "(nap 64)" in run.text and "Waiting for them" in run.text
    for job in ("nap 64", "nap 5"):
        assert [what for what, *_ in events_of(run.folder, job)] == ["begin", "end"]
    assert "Nothing to be done" in run.text


@pytest.mark.parametrize(
    "rule, words",
    {
        "too_many_gpus": "sbatch: error: Batch job submission failed: Requested node",
        "unknown_partition": "sbatch: error: invalid partition specified: nowhere",
        "unknown_account": "failed: Invalid account or account/partition combination specified",
        "too_long": "it can never start, SLURM gives the reason PartitionTimeLimit",
    }.items(),
)
def test_an_impossible_request_ends_with_the_schedulers_words(after, cluster, rule, words):
    run = after.of(scenarios.refused)
    assert run.wait() == 1, run.text
    errors = run.text.split("Error in rule ")[1:]
    (error,) = [text for text in errors if text.startswith(f"{rule},") or text.startswith(rule)]
    assert words in error
    assert not cluster.jobs(run.folder)
