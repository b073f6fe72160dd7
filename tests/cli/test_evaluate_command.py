"""`mergescale evaluate`: any model folder, on tasks of a source, of a folder or of a study."""

import json
import shutil
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import tiny_models
import tiny_study

from mergescale.cli.main import main
from mergescale.evaluation.evaluator import Scorer, build_encoder
from mergescale.evaluation.predictions import Prediction, template_scores
from mergescale.models.loading import load, save
from mergescale.tasks.example_files import write_examples
from mergescale.tasks.task import Example

PUBLIC_ROWS = Path(__file__).resolve().parents[3] / "shared" / "data"
MICRO = ["--source", "micro", "--tasks", "hellaswag,common_gen", "--test-rows", "6"]


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    save("base", tiny_study.llama(), tiny_study.tokenizer())
    tiny_study.write_tasks(Path("tasks"))
    return tmp_path


def evaluate(*arguments, model="base"):
    return main(["evaluate", str(model), "--device", "cpu", "--threads", "1", *map(str, arguments)])


def fails(capsys, *arguments, model="base", says):
    before = sorted(map(str, Path().rglob("*")))
    assert evaluate(*arguments, model=model) == 1
    error = capsys.readouterr().err.splitlines()[-1]
    assert error.startswith("mergescale: error: ") and says in error
    assert sorted(map(str, Path().rglob("*"))) == before


def read(path):
    return json.loads(Path(path).read_text())


def test_tasks_of_a_folder_give_a_table_and_files(here, capsys):
    groups = ["--held-in", "sentiment=moods,reviews", "--held-out", "completion=endings"]
    assert evaluate("--tasks", "tasks", *groups, "--test-rows", 5, "--out", "out") == 0
    printed = capsys.readouterr().out
    for word in ("moods", "reviews", "endings", "accuracy", "0.3333", "15 rows in", "rows/s"):
        assert word in printed
    record = read("out/scores.json")
    assert record["chance"] == {"moods": 0.333333, "reviews": 0.5, "endings": 0.5}
    assert record["seconds"].keys() == {"sentiment", "completion"}
    lines = {line.split()[0]: line.split() for line in printed.splitlines() if line.strip()}
    assert lines["endings"][-2] == lines["moods"][-2] == "0", "no truncated prompts"
    assert lines["moods"][-1] == lines["reviews"][-1] and lines["moods"][-1].endswith("*")
    assert float(lines["endings"][-1]) >= 0 and "* for all tasks of the category" in printed
    rows = pq.read_table("out/predictions.parquet").to_pylist()
    for task, found in record["scores"].items():
        scores = [row["score"] for row in rows if row["task"] == task]
        assert len(scores) == found["rows"] == 5
        assert found["score"] == pytest.approx(sum(scores) / 5) and found["truncated"] == 0


def test_tasks_of_a_source_leave_no_files_behind(here):
    before = sorted(here.rglob("*"))
    assert evaluate(*MICRO) == 0
    assert sorted(here.rglob("*")) == before
    assert evaluate(*MICRO, "--out", "scores.json") == 0
    scores = read("scores.json")["scores"]
    assert {t: (s["metric"], s["rows"]) for t, s in scores.items()} == {
        "hellaswag": ("accuracy", 6),
        "common_gen": ("rouge_l", 6),
    }
    assert sorted(set(here.rglob("*")) - set(before)) == [here / "scores.json"]


def test_scores_are_never_replaced(here, capsys):
    Path("scores.json").write_text("{}")
    fails(capsys, *MICRO, "--out", "scores.json", says="scores.json exists; remove it, or name")


def test_a_study_is_scored_on_its_own_tasks_with_its_own_settings(here, capsys):
    shutil.move("tasks", "study/tasks")
    Path("study/tasks.csv").write_text(
        "task,title,role,category\nreviews,R,held_in,sentiment\nmoods,M,held_in,sentiment\n"
        "copies,C,held_out,completion\n"
    )
    settings = {"test_rows": 3, "validation_rows": 2, "max_new_tokens": 4, "max_length": 20}
    settings["end_token"] = True
    Path("study/study.json").write_text(json.dumps({"evaluation": settings}))
    assert evaluate("--study", "study", "--out", "study.json") == 0
    groups = ["--held-in", "sentiment=reviews,moods", "--held-out", "completion=copies"]
    flags = ["--test-rows", 3, "--max-new-tokens", 4, "--max-length", 20, "--end-token"]
    assert evaluate("--tasks", "study/tasks", *groups, *flags, "--out", "flags.json") == 0
    assert read("study.json")["scores"] == read("flags.json")["scores"]
    assert read("study.json")["scores"]["moods"]["rows"] == 3


def test_an_encoder_decoder_folder_is_evaluated(here, capsys):
    save("t5", tiny_models.make("t5"), tiny_study.tokenizer())
    model, tokenizer = load("t5")
    assert model.config.is_encoder_decoder and build_encoder(model, tokenizer, 30).encoder_decoder
    assert evaluate(*MICRO, model="t5") == 0
    assert "hellaswag" in capsys.readouterr().out


def test_rows_of_a_model_never_exceed_its_positions(here, capsys):
    model, tokenizer = tiny_models.make("gpt2"), tiny_study.tokenizer()
    assert build_encoder(model, tokenizer, 512).max_length == tiny_models.MAX_LENGTH
    assert build_encoder(model, tokenizer, 20).max_length == 20
    save("gpt2", model, tokenizer)
    long = Example("1", "", "the cat sleeps " * 40, "good", ("good", "bad"))
    write_examples("tasks/reviews/test.parquet", [long])
    call = ["--tasks", "tasks", "--held-out", "a=reviews,moods", "--out", "out.json"]
    assert evaluate(*call, model="gpt2") == 0
    assert "1 prompts were too long" in capsys.readouterr().out
    scores = read("out.json")["scores"]
    assert (scores["reviews"]["truncated"], scores["moods"]["truncated"]) == (1, 0)
    Path("out.json").unlink()
    write_examples("tasks/reviews/test.parquet", [Example("7", "", "a", "a", ("a", "cat " * 60))])
    fails(
        capsys,
        *call,
        model="gpt2",
        says="task reviews, example 7: the choice 'cat cat cat cat cat cat cat cat cat cat ' has "
        "60 tokens, but at most 47 fit",
    )


def test_finished_evaluations_are_cached_by_content(here, monkeypatch):
    computed, predict = [], Scorer.predict

    def counted(scorer, model, *rest):
        computed.append(model)
        return predict(scorer, model, *rest)

    monkeypatch.setattr(Scorer, "predict", counted)
    call = [*MICRO, "--cache-dir", "cache", "--out"]
    assert evaluate(*call, "1.json") == 0 and len(computed) == 2
    shutil.move("base", "moved")
    assert evaluate(*call, "2.json", model="moved") == 0 and len(computed) == 2
    assert read("1.json")["scores"] == read("2.json")["scores"]
    save("moved", tiny_study.llama(seed=5), tiny_study.tokenizer())
    assert evaluate(*call, "3.json", model="moved") == 0 and len(computed) == 4
    assert evaluate(*call, "4.json", "--end-token", model="moved") == 0 and len(computed) == 6


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (
            MICRO[:2] + ["--tasks", "hellaswag,hellaswog"],
            "has no task 'hellaswog'; did you mean hellaswag? allowed: ",
        ),
        (["--source", "micro", "--tasks", ""], "--tasks has no name of a task"),
        (["--source", "micro", "--tasks", "rte,rte"], "rte is given twice"),
        (["--source", "nowhere", "--tasks", "squad"], "'nowhere' is unknown; use one of micro"),
        (["--tasks", "squad"], "squad is not a directory; for tasks by name, add --source"),
        (["--tasks", "."], "nothing to evaluate: name tasks of the folder"),
        ([], "nothing to evaluate: add --tasks"),
        (["--study", "s", "--tasks", "tasks"], "leave out --tasks, --source, --held-in"),
        (["--study", "gone"], "gone/tasks.csv does not exist"),
        (
            ["--tasks", "squad", "--held-out", "a=squad"],
            "squad is not a directory; for tasks by name, add",
        ),
        ([*MICRO, "--held-out", "a=b"], "leave out --held-in/--held-out"),
    ],
)
def test_bad_calls_fail_with_a_one_line_error(here, capsys, arguments, says):
    fails(capsys, *arguments, "--out", "out", says=says)


def test_bad_models_fail_with_a_one_line_error(here, capsys):
    fails(capsys, *MICRO, model="gone", says="gone: no such model folder")
    fails(capsys, *MICRO, model="tasks", says="tasks is not a model folder: it has no config.json")
    tokenizer = tiny_study.tokenizer()
    tokenizer.eos_token = None
    save("endless", tiny_study.llama(), tokenizer)
    fails(capsys, *MICRO, model="endless", says="has no end token")


def test_public_datasets_are_evaluated(here):
    if not PUBLIC_ROWS.is_dir():
        pytest.skip("../shared/data, with the rows of public datasets, does not exist")
    checkpoint = PUBLIC_ROWS / "checkpoints" / "stories260K"
    call = ["--source", "folder", "--folder", PUBLIC_ROWS, "--tasks", "rte,copa", "--test-rows", 8]
    assert evaluate(*call, "--out", "out", model=checkpoint) == 0
    assert {s["rows"] for s in read("out/scores.json")["scores"].values()} == {8}


# --- scores by template


def predictions(scores, ids="{row}/{name}"):
    return [
        Prediction(ids.format(row=row, name=name), name, "", score)
        for name, own in scores.items()
        for row, score in enumerate(own)
    ]


def test_templates_that_render_the_same_rows_have_scores_of_their_own():
    found = template_scores(predictions({"a/b": [1, 0, 0], "c": [1, 1, 1], "d": [1, 1, 0]}))
    assert found["median"] == 0.666667
    assert found["templates"] == {
        "a/b": {"score": 0.333333, "rows": 3},
        "c": {"score": 1.0, "rows": 3},
        "d": {"score": 0.666667, "rows": 3},
    }


@pytest.mark.parametrize(
    "rows",
    [
        predictions({"a": [1, 0]}),  # one template
        predictions({"a": [1, 0], "b": [1]}),  # other rows
        predictions({"a": [1, 0], "b": [1, 1]}, ids="{row}"),  # a template for each row
    ],
)
def test_other_tasks_have_none(rows):
    assert template_scores(rows) == {}


def test_a_score_record_has_templates_only_where_they_render_the_same_rows(here):
    sentence = "the cat sleeps"
    asked = [
        Example(f"{row}/{name}", name, f"{sentence} {name} {row}", "a", ("a", "the"))
        for row in range(3)
        for name in ("is it", "what")
    ]
    write_examples("tasks/reviews/test.parquet", asked)
    assert evaluate("--tasks", "tasks", "--held-out", "a=reviews,moods", "--out", "o.json") == 0
    scores = read("o.json")["scores"]
    assert set(scores["reviews"]["templates"]) == {"is it", "what"}
    mean = sum(t["score"] for t in scores["reviews"]["templates"].values()) / 2
    assert scores["reviews"]["score"] == pytest.approx(mean, abs=1e-5)
    assert scores["reviews"]["median"] == pytest.approx(mean, abs=1e-5)
    assert "templates" not in scores["moods"] and "median" not in scores["moods"]
