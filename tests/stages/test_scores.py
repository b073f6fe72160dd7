"""Score files gathered in one table."""

import csv

import pytest

from mergescale.stages.scores import COLUMNS, gather_scores

pytest_plugins = "stage_study"


def test_collecting_gives_one_row_a_score(study):
    study.references()
    study.merges({"averaging": {}, "ties": {"density": [0.1], "lambda": [0.5]}})
    files = [study.out / "scores" / f"{n}.json" for n in ("base", "experts/questions")]
    files += [study.out / "merges" / f"{n}.json" for n in ("averaging", "ties")]
    gather_scores(files, study.out / "scores.csv")
    with (study.out / "scores.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert tuple(rows[0]) == COLUMNS
    assert len(rows) == 5 + 3 + 5 + 5
    ties = rows[-1]
    assert (ties["model"], ties["method"], ties["density"], ties["lambda"]) == (
        "merge",
        "ties",
        "0.1",
        "0.5",
    )
    assert (ties["count"], ties["seed"], ties["expert"], ties["size"]) == ("2", "1", "", "tiny")
    base = rows[0]
    assert all(base[key] == "" for key in ("expert", "method", "count", "seed", "lambda"))
    assert {row["expert"] for row in rows if row["model"] == "expert"} == {"questions"}
    for row, record in ((ties, study.record("ties")), (base, study.record("base", "scores"))):
        assert float(row["score"]) == record["scores"][row["task"]]["score"]
        assert row["rows"] == "8"


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"scores": {"a": {}}}', '{"scores": 3}'])
def test_a_file_that_is_no_score_file_is_named(tmp_path, content):
    (tmp_path / "bad.json").write_text(content)
    with pytest.raises(ValueError, match="bad.json is not a score file"):
        gather_scores([tmp_path / "bad.json"], tmp_path / "scores.csv")
    assert [path.name for path in tmp_path.iterdir()] == ["bad.json"]
