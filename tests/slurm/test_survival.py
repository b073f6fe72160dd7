"""What happens to clusters, one thing at a time; no work is lost, and nothing waits for ever.

Most of these wait for SLURM, so they go on side by side, each in a folder and on a node of its own;
every test asks for what one of them left behind.
"""

from __future__ import annotations

import json
import re
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from conftest import project_copy
from runs import Run, accounted, events, journal, toy

pytestmark = [pytest.mark.slurm, pytest.mark.slow]

# Longer than a minute on any machine.
LONG_STUDY = """\
training:
  pretrain: {steps: 8000, warmup: 10, checkpoint_every: 200}
"""


def over_memory_and_cancelled(cluster, folder: Path) -> Run:
    run = toy(folder, "hog/a.txt", "nap/31.txt")
    run.until_begun("nap 31")
    cluster.run("scancel", events_of(folder, "nap 31")[0][2])
    run.wait()
    return run


def over_time(cluster, folder: Path) -> Run:
    project_copy(folder)
    (folder / "long.yaml").write_text(LONG_STUDY)
    weights = "results/tiny/models/40k/pt/model.safetensors"
    resources = ("pretrained_base_of_largest:runtime=attempt", "pretrained_base_of_largest:gpu=1")
    files = ("--configfile", "tests/tiny.yaml", "long.yaml")
    run = Run(folder, weights, "--set-resources", *resources, *files)
    run.wait()
    return run


def slurmd_killed(cluster, folder: Path) -> Run:
    run = toy(folder, "nap/32.txt", node="cpu3")
    run.until_begun("nap 32")
    cluster.kill("slurmd.cpu3")
    run.until(lambda: "end nap" in journal(folder))
    cluster.start_slurmd("cpu3")
    run.wait()
    return run


def node_crashed(cluster, folder: Path) -> Run:
    run = toy(folder, "nap/33.txt", node="cpu2")
    run.until_begun("nap 33")
    cluster.crash_node("cpu2")
    run.until(lambda: [job["state"] for job in cluster.jobs(folder)] == ["PENDING"])
    cluster.start_slurmd("cpu2")
    run.wait()
    return run


def main_killed(cluster, folder: Path) -> Run:
    first = toy(folder, "nap/34.txt", "nap/5.txt")
    first.until_begun("nap 34", "nap 5")
    first.kill()
    unlocking = Run(folder, "--unlock", *first.arguments)
    assert unlocking.wait() == 0, unlocking.text
    second = first.again()
    second.wait()
    return second


def refused(cluster, folder: Path) -> Run:
    names = ("gpus", "partition", "account", "runtime")
    run = toy(folder, *(f"impossible/{name}.txt" for name in names), "--retries", "0")
    run.wait()
    return run


SCENARIOS = (
    over_memory_and_cancelled,
    over_time,
    slurmd_killed,
    node_crashed,
    main_killed,
    refused,
)


def events_of(folder: Path, what: str) -> list[tuple[str, str, str]]:
    return [event for event in events(folder) if event[1] == what]


@pytest.fixture(scope="module")
def after(cluster, tmp_path_factory):
    """`after(scenario)`: the run that a scenario ended with."""
    with ThreadPoolExecutor(len(SCENARIOS)) as side_by_side:
        futures = {
            scenario: side_by_side.submit(
                scenario, cluster, tmp_path_factory.mktemp(scenario.__name__) / "study"
            )
            for scenario in SCENARIOS
        }
        yield lambda scenario: futures[scenario].result()


def test_a_job_over_its_memory_gets_more(after, cluster):
    run = after(over_memory_and_cancelled)
    assert run.wait() == 0, run.text
    first, second = accounted(cluster.run, run.folder, "State,ReqMem")["hog a"]
    assert first[0] in ("OUT_OF_MEMORY", "FAILED") and first[1].startswith("400M")
    assert second[0] == "COMPLETED" and second[1].startswith("800M")
    assert [what for what, *_ in events_of(run.folder, "hog a")] == ["begin", "begin", "end"]


def test_a_cancelled_job_is_submitted_again(after):
    run = after(over_memory_and_cancelled)
    assert run.wait() == 0, run.text
    (_, _, first), (_, _, second), (what, _, last) = events_of(run.folder, "nap 31")
    assert what == "end" and first != second == last
    assert "it was cancelled (CANCELLED)" in run.text


def test_a_job_over_its_time_goes_on_from_its_checkpoint(after, cluster):
    run = after(over_time)
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
    run = after(slurmd_killed)
    assert run.wait() == 0, run.text
    assert [what for what, *_ in events(run.folder)] == ["begin", "end"]


def test_a_job_of_a_failed_node_starts_again_under_its_number(after):
    run = after(node_crashed)
    assert run.wait() == 0, run.text
    (_, _, first), (_, _, second), (what, _, last) = events(run.folder)
    assert what == "end" and first == second == last
    assert run.text.count("has been submitted with SLURM jobid") == 1


def test_jobs_of_a_killed_run_are_waited_for_and_kept(after):
    run = after(main_killed)
    assert run.wait() == 0, run.text
    assert "(nap 34)" in run.text and "Waiting for them" in run.text
    for job in ("nap 34", "nap 5"):
        assert [what for what, *_ in events_of(run.folder, job)] == ["begin", "end"]
    assert "Nothing to be done" in run.text


@pytest.mark.parametrize(
    "rule, words",
    {
        "too_many_gpus": "sbatch: error: Batch job submission failed: Requested node",
        "unknown_partition": "sbatch: error: invalid partition specified: nowhere",
        "unknown_account": "The given account nobody appears to be invalid",
        "too_long": "it can never start, SLURM gives the reason PartitionTimeLimit",
    }.items(),
)
def test_an_impossible_request_ends_with_the_schedulers_words(after, cluster, rule, words):
    run = after(refused)
    assert run.wait() == 1, run.text
    errors = run.text.split("Error in rule ")[1:]
    (error,) = [text for text in errors if text.startswith(f"{rule},") or text.startswith(rule)]
    assert words in error
    assert not cluster.jobs(run.folder)


# From here on SLURM itself goes away, and with it whatever else would run.


def at_work(run: Run, what: str) -> None:
    """Wait until a job is at work and slurmctld has saved that it is (it does so every 5 s)."""
    run.until_begun(what)
    time.sleep(8)


@pytest.fixture(scope="module")
def outage(after, cluster, tmp_path_factory):
    """Two runs that saw slurmctld go away for half a minute; the second has less patience."""
    all_ended(after)
    folder = tmp_path_factory.mktemp("outage")
    patient = toy(folder / "patient", "nap/20.txt")
    hasty = toy(folder / "hasty", "nap/60.txt", MERGESCALE_PATIENCE_MINUTES="0.2")
    at_work(patient, "nap 20")
    at_work(hasty, "nap 60")
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
    all_ended(after)
    run = toy(tmp_path / "study", "nap/21.txt", "later/a.txt")
    at_work(run, "nap 21")
    cluster.kill("slurmctld")
    cluster.kill("slurmdbd")
    (run.folder / "go").touch()
    run.until(lambda: "SLURM does not answer" in run.text and "not submitted" in run.text)
    cluster.start_slurmdbd()
    cluster.start_slurmctld()
    assert run.wait() == 0, run.text
    for job in ("nap 21", "later a"):
        assert [what for what, *_ in events_of(run.folder, job)] == ["begin", "end"]


def all_ended(after) -> None:
    for scenario in SCENARIOS:
        after(scenario).wait()
