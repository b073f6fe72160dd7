"""The status line of a run, the list of jobs of a dry run, and the summary at the end."""

from __future__ import annotations

import io
import logging
from types import SimpleNamespace

import pytest

from mergescale_snakemake import status_line
from mergescale_snakemake.status_line import RunningJob, StatusLine, dry_run_line, print_summary


def event(name: str, **fields) -> logging.LogRecord:
    """A log record of Snakemake."""
    return logging.makeLogRecord({"event": name, "msg": "", **fields})


def job(number: int, log: str | None = None, **wildcards) -> logging.LogRecord:
    fields = {"jobid": number, "rule_name": "expert", "wildcards": wildcards}
    return event("job_info", **fields, log=[log] if log else [], reason="")


def test_the_line_counts_jobs_and_shows_the_last_line_of_their_logs(tmp_path):
    log = tmp_path / "expert.log"
    log.write_text("5/20\r10/20 loss 0.5\n\n")
    jobs = [RunningJob("expert 40k pt", log), RunningJob("corpus", tmp_path / "missing.log")]
    assert status_line.status_line(3, 12, 125.0, jobs) == (
        "3 of 12 jobs (25 %) 2:05 | expert 40k pt: 10/20 loss 0.5 | corpus"
    )


def test_events_decide_what_is_running():
    shown = StatusLine(io.StringIO())
    shown.emit(event("run_info", stats={"total": 3}))
    shown.emit(job(1, size="40k"))
    shown.emit(job(2, size="120k"))
    shown.emit(event("job_finished", job_id=1))
    shown.emit(event("progress", done=1, total=3))
    assert [one.label for one in shown.jobs.values()] == ["expert 120k"]
    shown.emit(event("job_error", jobid=2))
    assert not shown.jobs and (shown.done, shown.total) == (1, 3)


def test_a_log_gets_the_first_line_within_seconds(monkeypatch):
    assert status_line.FIRST_SECONDS <= 5 and status_line.PRINTED_SECONDS <= 10
    monkeypatch.setattr(status_line, "FIRST_SECONDS", 0.0)
    monkeypatch.setattr(status_line, "IN_PLACE_SECONDS", 0.01)
    written = []
    stream = SimpleNamespace(isatty=lambda: False, write=written.append, flush=lambda: None)
    shown = StatusLine(stream)
    shown.emit(job(1, size="40k"))
    for _ in range(500):
        if written:
            break
        status_line.time.sleep(0.01)
    assert written == ["0 of 0 jobs (0 %) 0:00 | expert 40k\n"]


def test_a_terminal_is_updated_in_place():
    stream = io.StringIO()
    stream.isatty = lambda: True
    shown = StatusLine(stream)
    with shown.lock:
        shown._write()
    assert stream.getvalue() == status_line.ERASE + "0 of 0 jobs (0 %) 0:00"
    # Another line erases it first.
    assert shown.filter_record(event("job_error", jobid=1))
    assert stream.getvalue().endswith(status_line.ERASE) and not shown.shown


@pytest.mark.parametrize("name", status_line.REPLACED_EVENTS)
def test_the_line_replaces_what_snakemake_prints_for_each_job(name):
    assert not StatusLine(io.StringIO()).filter_record(event(name))


def test_a_dry_run_has_one_line_for_a_job_without_lists_of_files():
    record = job(1, size="40k", base="pt")
    record.reason = "Missing output files: a, b; Input files updated by another job: c"
    assert dry_run_line(record) == (
        "expert 40k pt (missing output files; input files updated by another job)"
    )
    record.reason = ""
    assert dry_run_line(record) == "expert 40k pt"


def finished(output=(), input_=()):
    target = SimpleNamespace(output=list(output), input=list(input_))
    return SimpleNamespace(dag=SimpleNamespace(targetjobs=[target]))


def test_the_summary_of_a_study_names_the_report(tmp_path, capsys):
    (tmp_path / "timing.csv").write_text("part,seconds\ntraining,90\nmerging,30\n")
    print_summary(finished(input_=["a.png", f"{tmp_path}/report.html"]), str(tmp_path))
    assert capsys.readouterr().out.splitlines() == [
        "Total time of all jobs: 2.0 min (training 75%, merging 25%)",
        f"Open {tmp_path}/report.html; figures and tables are in the same folder.",
    ]


def test_the_summary_of_another_target_names_what_was_made(tmp_path, capsys):
    (tmp_path / "report.html").touch()
    print_summary(finished(output=["merges/n2-s1/ties"]), str(tmp_path))
    assert capsys.readouterr().out == "Wrote merges/n2-s1/ties\n"
    print_summary(finished(output=map(str, range(7))), str(tmp_path))
    assert capsys.readouterr().out.splitlines()[-1] == "and 2 more"
