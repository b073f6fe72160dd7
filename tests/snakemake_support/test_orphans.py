"""Jobs of a killed run are found, waited for or cancelled before another run begins."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from uuid import uuid4

import pytest

from mergescale_snakemake import orphans, slurm

# Answers line by line: the n-th call prints the n-th file, the last one again and again.
SQUEUE = """\
#!/bin/sh
cd "{answers}"
echo "$@" >> calls
n=$(grep -c . calls)
while [ ! -e "$n" ] && [ "$n" -gt 1 ]; do n=$((n - 1)); done
[ -s "$n" ] || {{ [ -e "$n" ] && exit 0; echo "squeue: error: no controller" >&2; exit 1; }}
cat "$n"
"""
SCANCEL = '#!/bin/sh\necho "$@" >> "{answers}/cancelled"\n'


@pytest.fixture
def fake(tmp_path, monkeypatch):
    """`fake(*answers)`: squeue gives these, one a call; returns the folder of what it was asked."""
    answers, commands, work = (tmp_path / name for name in ("answers", "bin", "work"))
    for folder in (answers, commands, work):
        folder.mkdir()
    for name, text in (("squeue", SQUEUE), ("scancel", SCANCEL)):
        (commands / name).write_text(text.format(answers=answers))
        (commands / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{commands}:{os.environ['PATH']}")
    monkeypatch.delenv(orphans.WHAT_TO_DO, raising=False)
    monkeypatch.chdir(work)

    def with_answers(*texts: str):
        for number, text in enumerate(texts, start=1):
            (answers / str(number)).write_text(text)
        return answers

    return with_answers


def line(
    number: int, run: str, folder: str | None = None, comment: str = "rule_expert_wildcards_a"
):
    return f"{number}|RUNNING|{run}|{folder or os.getcwd()}|{comment}\n"


def settle(said: list[str], pauses: list[float] | None = None) -> bool:
    return orphans.settle(said.append, sleep=(pauses if pauses is not None else []).append)


def test_nothing_to_settle_in_an_empty_queue(fake):
    fake("")
    said: list[str] = []
    assert settle(said) is False and said == []


def test_orphans_are_waited_for(fake):
    run = str(uuid4())
    both = line(7, run) + line(8, run, comment="rule_merge_scores_wildcards_b_n2-s1")
    answers = fake(both, both, line(8, run, comment="rule_merge_scores"), "")
    said: list[str] = []
    assert settle(said) is True
    assert "2 jobs of an earlier run" in said[0] and "scancel 7 8" in said[0]
    assert "7 (expert a), 8 (merge_scores b_n2-s1)" in said[0]
    assert said[1:] == [
        "1 of 2 jobs of the earlier run have ended.",
        "No job of an earlier run is left.",
    ]
    assert not (answers / "cancelled").exists()


def test_orphans_are_cancelled_when_told_to(fake, monkeypatch):
    monkeypatch.setenv(orphans.WHAT_TO_DO, "cancel")
    run = str(uuid4())
    answers = fake(line(7, run) + line(9, run), line(9, run), "")
    assert settle([]) is True
    assert (answers / "cancelled").read_text() == "7 9\n"


def test_an_unknown_choice_is_refused(fake, monkeypatch):
    monkeypatch.setenv(orphans.WHAT_TO_DO, "kill")
    with pytest.raises(orphans.Undecided, match="MERGESCALE_ORPHANS is 'kill'"):
        settle([])


def test_jobs_of_other_folders_and_other_kinds_are_left_alone(fake, tmp_path):
    fake(line(1, str(uuid4()), folder=str(tmp_path)) + line(2, "interactive"))
    assert settle([]) is False


def test_a_folder_reached_by_a_link_is_the_same_folder(fake, tmp_path, monkeypatch):
    (tmp_path / "link").symlink_to(os.getcwd())
    fake(line(1, f"study_{uuid4()}", folder=str(tmp_path / "link")))
    assert [job.id for job in orphans.found()] == ["1"]


def test_jobs_of_a_run_that_is_at_work_are_no_orphans(fake):
    mine, dead = str(uuid4()), str(uuid4())
    fake(line(1, mine) + line(2, dead))
    orphans.record(mine)
    child = subprocess.run(
        [
            sys.executable,
            "-c",
            f"from mergescale_snakemake import orphans; orphans.record('{dead}')",
        ]
    )
    assert child.returncode == 0
    assert [job.id for job in orphans.found()] == ["2"]


def test_another_process_with_the_same_number_is_not_taken_for_the_run(fake):
    run = str(uuid4())
    orphans.record(run)
    file = orphans.RUNS / f"{run}.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"started": 1.0}))
    assert not orphans.lives(run)


def test_silence_for_a_while_is_borne(fake):
    # The first answer is missing: squeue fails.
    answers = fake("x")
    (answers / "1").unlink()
    (answers / "2").write_text("")
    said: list[str] = []
    pauses: list[float] = []
    assert settle(said, pauses) is False
    assert len(pauses) == 1 and "no controller" in said[0]


def test_a_run_that_cannot_know_does_not_start(fake):
    fake()
    pauses: list[float] = []
    with pytest.raises(orphans.Undecided, match="Nothing was submitted"):
        settle([], pauses)
    assert len(pauses) == orphans.SILENT_POLLS


@pytest.mark.parametrize(
    "name, is_one",
    [
        ("0e284dad-461f-4d00-9326-9583012f0450", True),
        ("mine_0e284dad-461f-4d00-9326-9583012f0450", True),
        ("bash", False),
        ("x0e284dad-461f-4d00-9326-9583012f0450", False),
    ],
)
def test_runs_are_known_by_their_names(name, is_one):
    assert slurm.is_run(name) is is_one


def test_a_local_run_asks_only_where_a_run_on_slurm_was(fake):
    fake("")
    assert not orphans.possible()
    dead = str(uuid4())
    orphans.record(dead)
    file = orphans.RUNS / f"{dead}.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"started": 1.0}))
    assert orphans.possible()
    # The queue is empty, so that this run need not be asked for again.
    assert settle([]) is False and not orphans.possible()
