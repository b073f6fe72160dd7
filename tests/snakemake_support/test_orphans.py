"""Jobs of a killed run are found, and waited for or canceled before another run starts."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from uuid import uuid4

import pytest

from mergescale_snakemake import orphans, slurm

# The n-th call prints the n-th file; later calls print the last one.
SQUEUE = """\
#!/bin/sh
cd "{outputs}"
echo "$@" >> calls
n=$(grep -c . calls)
while [ ! -e "$n" ] && [ "$n" -gt 1 ]; do n=$((n - 1)); done
[ -s "$n" ] || {{ [ -e "$n" ] && exit 0; echo "squeue: error: no controller" >&2; exit 1; }}
cat "$n"
"""
SCANCEL = '#!/bin/sh\necho "$@" >> "{outputs}/cancelled"\n'


@pytest.fixture
def fake(tmp_path, monkeypatch):
    """`fake(*outputs)`: squeue prints these, one a call; returns the folder with its calls."""
    outputs, commands, work = (tmp_path / name for name in ("outputs", "bin", "work"))
    for folder in (outputs, commands, work):
        folder.mkdir()
    for name, text in (("squeue", SQUEUE), ("scancel", SCANCEL)):
        (commands / name).write_text(text.format(outputs=outputs))
        (commands / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{commands}:{os.environ['PATH']}")
    monkeypatch.delenv(orphans.ACTION_VARIABLE, raising=False)
    monkeypatch.chdir(work)

    def with_outputs(*texts: str):
        for number, text in enumerate(texts, start=1):
            (outputs / str(number)).write_text(text)
        return outputs

    return with_outputs


def line(
    number: int, run: str, folder: str | None = None, comment: str = "rule_expert_wildcards_a"
):
    return f"{number}|RUNNING|{run}|{folder or os.getcwd()}|{comment}\n"


def drain(messages: list[str], pauses: list[float] | None = None) -> bool:
    return orphans.drain_orphans(
        messages.append, sleep=(pauses if pauses is not None else []).append
    )


def test_an_empty_queue_has_no_orphans(fake):
    fake("")
    messages: list[str] = []
    assert drain(messages) is False and messages == []


def test_orphans_are_waited_for(fake):
    run = str(uuid4())
    both = line(7, run) + line(8, run, comment="rule_merge_scores_wildcards_b_n2-s1")
    outputs = fake(both, both, line(8, run, comment="rule_merge_scores"), "")
    messages: list[str] = []
    assert drain(messages) is True
    assert "2 jobs of an earlier run in this folder" in messages[0] and "scancel 7 8" in messages[0]
    assert "7 (expert a), 8 (merge_scores b_n2-s1)" in messages[0]
    assert messages[1:] == [
        "1 of 2 jobs of the earlier run have ended.",
        "All jobs of the earlier run have ended.",
    ]
    assert not (outputs / "cancelled").exists()


def test_orphans_are_canceled_on_request(fake, monkeypatch):
    monkeypatch.setenv(orphans.ACTION_VARIABLE, "cancel")
    run = str(uuid4())
    outputs = fake(line(7, run) + line(9, run), line(9, run), "")
    assert drain([]) is True
    assert (outputs / "cancelled").read_text() == "7 9\n"


def test_an_unknown_action_is_refused(fake, monkeypatch):
    monkeypatch.setenv(orphans.ACTION_VARIABLE, "kill")
    with pytest.raises(orphans.OrphanCheckFailed, match="MERGESCALE_ORPHANS must be .* not 'kill'"):
        drain([])


def test_jobs_of_other_folders_and_other_kinds_are_left_alone(fake, tmp_path):
    fake(line(1, str(uuid4()), folder=str(tmp_path)) + line(2, "interactive"))
    assert drain([]) is False


def test_a_folder_reached_by_a_link_is_the_same_folder(fake, tmp_path, monkeypatch):
    (tmp_path / "link").symlink_to(os.getcwd())
    fake(line(1, f"study_{uuid4()}", folder=str(tmp_path / "link")))
    assert [job.id for job in orphans.find_orphans()] == ["1"]


def test_jobs_of_a_run_that_is_alive_are_not_orphans(fake):
    mine, dead = str(uuid4()), str(uuid4())
    fake(line(1, mine) + line(2, dead))
    orphans.record_run(mine)
    child = subprocess.run(
        [
            sys.executable,
            "-c",
            f"from mergescale_snakemake import orphans; orphans.record_run('{dead}')",
        ]
    )
    assert child.returncode == 0
    assert [job.id for job in orphans.find_orphans()] == ["2"]


def test_another_process_with_the_same_pid_is_not_the_run(fake):
    run = str(uuid4())
    orphans.record_run(run)
    file = orphans.RUNS / f"{run}.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"started": 1.0}))
    assert not orphans.is_alive(run)


def test_a_short_outage_is_tolerated(fake):
    # The first output is missing: squeue fails.
    outputs = fake("x")
    (outputs / "1").unlink()
    (outputs / "2").write_text("")
    messages: list[str] = []
    pauses: list[float] = []
    assert drain(messages, pauses) is False
    assert len(pauses) == 1 and "no controller" in messages[0]


def test_a_run_that_cannot_check_for_orphans_does_not_start(fake):
    fake()
    pauses: list[float] = []
    with pytest.raises(orphans.OrphanCheckFailed, match="Nothing was submitted"):
        drain([], pauses)
    assert len(pauses) == orphans.MAX_FAILED_POLLS


@pytest.mark.parametrize(
    "name, is_one",
    [
        ("0e284dad-461f-4d00-9326-9583012f0450", True),
        ("mine_0e284dad-461f-4d00-9326-9583012f0450", True),
        ("bash", False),
        ("x0e284dad-461f-4d00-9326-9583012f0450", False),
    ],
)
def test_run_ids_are_recognized(name, is_one):
    assert slurm.is_run_id(name) is is_one


def test_a_local_run_checks_only_after_a_run_on_slurm(fake):
    fake("")
    assert not orphans.may_exist()
    dead = str(uuid4())
    orphans.record_run(dead)
    file = orphans.RUNS / f"{dead}.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"started": 1.0}))
    assert orphans.may_exist()
    # The queue is empty, so the next run need not check again.
    assert drain([]) is False and not orphans.may_exist()
