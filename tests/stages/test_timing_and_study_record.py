"""timing.csv and study.json: what the jobs' time was spent on, and what the study is."""

import json

import pytest

from mergescale.analysis import tidy_tables
from mergescale.stages import study_record, timing


def test_the_parts_of_all_jobs_of_a_study_are_summed(tmp_path):
    logs = {
        "expert/mine/40k/it/sentiment": {"start-up": 2.0, "training": 10.0, "other": 0.5},
        "expert/mine/40k/it/summarization": {"start-up": 3.0, "training": 20.0, "other": 0.5},
        "figures/mine": {"start-up": 1.0, "rendering": 4.0, "other": 0.0},
        "figures/another": {"rendering": 100.0},
    }
    for name, parts in logs.items():
        file = tmp_path / "logs" / f"{name}.log.json"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(parts))
    out = tmp_path / "timing.csv"
    timing.run(timing.Arguments(study="mine", out=out, logs=tmp_path / "logs"))
    assert out.read_text().splitlines() == [
        "part,seconds,jobs",
        "start-up,6.0,3",
        "training,30.0,2",
        "rendering,4.0,1",
        "other,1.0,3",
    ]
    assert len(tidy_tables.read_table(out, tidy_tables.TIMING)) == 4


@pytest.mark.parametrize("bases", [["pt"], ["pt", "it"]])
def test_the_study_record_has_parameters_losses_and_provenance(tmp_path, bases):
    for size, parameters in (("40k", 41_356), ("120k", 122_136)):
        for number, base in enumerate(bases, 1):
            folder = tmp_path / "models" / size / base
            folder.mkdir(parents=True)
            record = {"parameters": parameters, "final_loss": number / 4}
            (folder / "training.json").write_text(json.dumps(record))
    about = {"name": "mine", "sizes": ["40k", "120k"], "bases": bases, "counts": [2]}
    out = tmp_path / "study.json"
    study_record.run(study_record.Arguments(about=about, models=tmp_path / "models", out=out))
    written = json.loads(out.read_text())
    losses = {f"{base}_final_loss": number / 4 for number, base in enumerate(bases, 1)}
    assert written["sizes"] == [
        {"size": "40k", "parameters": 41_356, **losses},
        {"size": "120k", "parameters": 122_136, **losses},
    ]
    assert list(written) == ["name", "sizes", "bases", "counts", "provenance"]
    assert written["provenance"].keys() == {"code", "versions"}
