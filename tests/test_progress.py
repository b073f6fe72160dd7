"""What a log says of a stage's progress."""

from mergescale import progress
from mergescale.progress import Progress


def test_a_log_has_the_end_but_a_short_stage_has_one_line(capsys, monkeypatch):
    clock = iter([0.0, 0.1, 0.2])
    monkeypatch.setattr(progress.time, "monotonic", lambda: next(clock))
    with Progress(3, "scoring") as bar:
        for done in (1, 2, 3):
            bar.update(done)
    assert capsys.readouterr().err.splitlines() == ["1/3", "3/3"]
