"""A merged model written by its score file's recipe."""

import json

import pytest
import tiny_study
from stage_study import METHODS

from mergescale.cli.main import main
from mergescale.stages.merged_model import write_merged_model

pytest_plugins = "stage_study"


@pytest.mark.parametrize("method", METHODS)
def test_a_merged_folder_evaluates_to_the_recorded_scores(study, capsys, method):
    settings = METHODS[method]
    if method != "averaging":  # a lambda other than 0, or it would be the base
        settings = settings | {"lambda": [1.0]}
    study.merges({method: settings})
    scores, out = study.out / "merges" / f"{method}.json", study.out / "merged"
    write_merged_model(out, scores=scores, base=study.inputs / "base", experts=study.experts)
    found = study.out / "found.json"
    arguments = [str(out), "--tasks", str(study.inputs / "tasks"), *tiny_study.category_arguments()]
    arguments += ["--test-rows", "8", "--max-new-tokens", "4", "--max-length", "48"]
    arguments += ["--device", "cpu", "--out", str(found)]
    assert main(["evaluate", "--end-token", *arguments]) == 0
    assert json.loads(found.read_text())["scores"] == study.record(method)["scores"]
    assert "squad_f1" in capsys.readouterr().out


def test_a_merged_folder_is_made_anew_but_other_folders_are_not_touched(study):
    study.merges({"averaging": {}})
    scores, base = study.out / "merges" / "averaging.json", study.inputs / "base"
    for _ in range(2):
        write_merged_model(study.out / "merged", scores=scores, base=base, experts=study.experts)
    own = study.out / "own" / "thesis.tex"
    own.parent.mkdir()
    own.write_text("years of work")
    with pytest.raises(FileExistsError):
        write_merged_model(own.parent, scores=scores, base=base, experts=study.experts)
    assert own.read_text() == "years of work"


@pytest.mark.parametrize("change", ["swapped", "fewer", "base"])
def test_a_merged_model_of_other_experts_is_refused(study, change):
    study.merges({"averaging": {}})
    one, other = study.experts
    base, experts = study.inputs / "base", dict(study.experts)
    if change == "swapped":
        experts = {one: study.experts[other], other: study.experts[one]}
    elif change == "fewer":
        del experts[one]
    else:
        base = base / "multitask"
    scores = study.out / "merges" / "averaging.json"
    with pytest.raises(ValueError, match="averaging.json was recorded for other weights"):
        write_merged_model(study.out / "merged", scores=scores, base=base, experts=experts)
    assert not (study.out / "merged").exists()
