"""The command line: help, and one sentence instead of a traceback for bad input."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import tiny_study
import torch

from mergescale.cli.discovery import commands
from mergescale.cli.main import main
from mergescale.models.loading import load, save
from mergescale.tasks.example_files import write_documents, write_examples

COMMANDS = [*commands("cli"), *commands("stages")]
TRAINING = "--max-length 32 --steps 3 --batch-size 4 --learning-rate 0.01 --device cpu".split()
SIZES = '{"hidden_size": 16, "layers": 1, "heads": 2, "intermediate_size": 32}'


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("made")
    tiny_study.write_tasks(folder / "tasks")
    tiny_study.write_models(folder / "base")
    tiny_study.tokenizer().save_pretrained(folder / "tokenizer")
    write_documents(folder / "corpus.parquet", tiny_study.SENTENCES * 4)
    return folder


@pytest.fixture
def here(made, tmp_path, monkeypatch):
    """A folder of its own, in which inputs may be damaged; results go to `out`."""
    shutil.copytree(made, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def fails(capsys, arguments, *expected):
    """Run a stage that must fail; check its message, and that it wrote no result."""
    before = snapshot()
    assert main([str(a) for a in arguments]) == 1
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and error.startswith("mergescale: error: "), error
    for words in expected:
        assert words in error, error
    assert snapshot() == before, "a failed stage left files behind"


def snapshot():
    return sorted(str(path) for path in Path().rglob("*") if path.is_file())


def pretrain(**changes):
    settings = {"tokenizer": "tokenizer", "corpus": "corpus.parquet", "architecture": SIZES}
    settings |= {"length": 8, "out": "out", "checkpoint-dir": "checkpoints"} | changes
    return ["pretrain", *(x for k, v in settings.items() for x in (f"--{k}", str(v))), *TRAINING]


def finetune(*data, base="base"):
    data = data or ("tasks/moods/train.parquet",)
    arguments = ["finetune", "--base", base, "--data", *data, "--stage", "expert"]
    return [*arguments, "--out", "out", "--checkpoint-dir", "checkpoints", *TRAINING]


def scoring():
    arguments = ["--tasks", "tasks", *tiny_study.category_arguments(), "--device", "cpu"]
    arguments += ["--test-rows", "4", "--validation-rows", "2", "--max-length", "48"]
    return [*arguments, "--cache-dir", "cache", "--scores", "out", "--predictions", "out"]


def experts():
    return ["--experts", *(f"{name}=base/experts/{name}" for name in tiny_study.HELD_IN)]


def references(base="base"):
    multitask = ["--multitask", "base/multitask"]
    return ["reference-scores", "--base", base, *multitask, *experts(), *scoring()]


def merges(methods='{"averaging": {}}', base="base"):
    arguments = ["merge-scores", "--base", base, *experts(), "--seed", "1"]
    return [*arguments, "--methods", methods, *scoring()]


def evaluate(model="base", *tasks):
    tasks = tasks or ("--held-in", "sentiment=moods")
    return ["evaluate", model, "--tasks", "tasks", *tasks, "--device", "cpu", "--out", "out.json"]


# --- help, versions, calls


@pytest.mark.parametrize("stage", ["", *COMMANDS])
def test_every_stage_has_help(stage, capsys):
    with pytest.raises(SystemExit) as end:
        main([*filter(None, [stage]), "--help"])
    assert end.value.code == 0
    assert "usage: mergescale" in capsys.readouterr().out


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["cook"],
        ["task"],
        ["mixture", "--source", "book", "--rows", "4", "--out", "out"],
        ["pretrain", "--steps", "-1"],
        [*merges(), "--test-rows", "0"],
        merges("[]"),
    ],
)
def test_a_bad_call_exits_with_2_and_says_how_to_call(arguments, capsys):
    with pytest.raises(SystemExit) as end:
        main(arguments)
    assert end.value.code == 2
    assert "usage: mergescale" in capsys.readouterr().err


@pytest.mark.parametrize(
    "words, message",
    [
        (["mrege"], "'mrege' is not a command; did you mean merge?"),
        (["xyzzy"], "'xyzzy' is not a command; see `mergescale --help`"),
        (
            "draws --counts 1 --seed 1 --seeds 1 --categories a --out x".split(),
            "unexpected argument '--seed'; did you mean --seeds?",
        ),
    ],
)
def test_a_misspelled_command_or_flag_gets_the_closest_one(words, message, capsys):
    with pytest.raises(SystemExit) as end:
        main(words)
    assert end.value.code == 2
    assert capsys.readouterr().err.splitlines()[-1].endswith(message)


def test_help_lists_the_commands_for_use_by_hand_first(capsys):
    with pytest.raises(SystemExit):
        main(["--help"])
    text = capsys.readouterr().out
    names = [line.split()[0] for line in text.splitlines() if re.match(r"  [a-z]", line)]
    public = ["merge", "check", "explain", "evaluate", "datasets", "show"]
    assert names[:6] == public
    stages = names[names.index("adopt") :]
    assert stages == sorted(stages) and not {*public} & {*stages}
    assert text.index("commands:") < text.index("stages of a study, called by Snakemake:")


def test_a_missing_result_of_a_study_says_how_it_is_made(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    fails(
        capsys,
        ["scores", "results/default/scores/a.json", "--out", "scores.csv"],
        "results/default/scores/a.json does not exist; study 'default' has no results yet: "
        "run `make figures` first",
    )


def test_the_module_runs_as_a_command_and_fails_with_one_line(tmp_path):
    command = [sys.executable, "-m", "mergescale", "scores", "nothing.json", "--out", "scores.csv"]
    done = subprocess.run(
        command,
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1 and done.stdout == ""
    assert done.stderr == "mergescale: error: nothing.json does not exist\n"
    assert not list(tmp_path.iterdir())


def test_a_stage_writes_how_its_time_split(here):
    assert main([*finetune(), "--timing", "log/time.json"]) == 0
    split = json.loads(Path("log/time.json").read_text())
    assert {"start-up", "training", "other"} <= split.keys()
    assert all(seconds >= 0 for seconds in split.values())
    assert Path("out/model.safetensors").is_file() and not Path("state").exists()


# --- every stage with good input, once


def test_the_stages_run_one_after_the_other(here, capsys):
    assert main(pretrain(out="pt")) == 0
    assert main(finetune(base="pt")) == 0
    assert json.loads(Path("out/training.json").read_text())["stage"] == "expert"
    assert main(["adopt", "--checkpoint", "pt", "--out", "adopted"]) == 0
    one, two = (Path(f, "model.safetensors").read_bytes() for f in ("pt", "adopted"))
    assert one == two
    assert main(["draws", *"--counts 1 2 --seeds 1 --categories a b --out draws.csv".split()]) == 0
    assert Path("draws.csv").read_text().splitlines()[2] == "2,1,a;b"
    assert main(references()) == 0 and main(merges()) == 0
    assert main(["scores", "out/base.json", "out/averaging.json", "--out", "scores.csv"]) == 0
    assert len(Path("scores.csv").read_text().splitlines()) == 1 + 5 + 5
    assert main(evaluate()) == 0
    assert "moods" in capsys.readouterr().out


# --- data


def test_an_unknown_task_is_refused_with_the_closest_name(here, capsys):
    task = ["task", "hellaswog", "--source", "micro", "--rows", "4", "2", "2", "--out", "out"]
    fails(capsys, task, "has no task 'hellaswog'; did you mean hellaswag?")


def test_a_source_without_a_corpus_is_refused(here, capsys):
    corpus = ["corpus", "--source", "hub", "--rows", "4", "--out", "out"]
    fails(capsys, corpus, "hub")


def test_too_large_a_draw_is_refused(here, capsys):
    draws = "draws --counts 3 --seeds 1 --categories a b --out draws.csv".split()
    fails(capsys, draws, "cannot take 3 of 2 categories")


def test_a_table_of_missing_tasks_is_refused(here, capsys):
    table = ["task-table", "--tasks", "tasks", "--held-in", "a=nothing", "--rows", "3"]
    fails(capsys, [*table, "--out", "tasks.csv"], "tasks/nothing/task.json does not exist")


# --- training


def test_a_corpus_shorter_than_one_row_is_refused(here, capsys):
    write_documents(here / "corpus.parquet", ["the cat ."])
    fails(capsys, pretrain(length=64), "the corpus has 5 tokens, fewer than one row of 64")


def test_a_corpus_that_is_no_corpus_is_refused(here, capsys):
    fails(capsys, pretrain(corpus="nothing.parquet"), "nothing.parquet")
    fails(capsys, pretrain(corpus="tasks/moods/train.parquet"), "text")
    (here / "corpus.parquet").write_bytes(b"")
    fails(capsys, pretrain(), "arquet")


def test_a_wrong_architecture_is_refused(here, capsys):
    wrong = {"too few": '{"layers": 1}', "unknown": SIZES.replace("heads", "ears")}
    for architecture in wrong.values():
        fails(capsys, pretrain(architecture=architecture), "--architecture must have heads,")
    odd = SIZES.replace('"heads": 2', '"heads": 3')
    fails(capsys, pretrain(architecture=odd), "hidden_size must be a multiple", "(6)")


def test_a_missing_tokenizer_is_refused(here, capsys):
    fails(capsys, pretrain(tokenizer="nothing"), "nothing is not a directory")
    fails(capsys, pretrain(tokenizer="tasks"), "tasks has no readable tokenizer")


def test_training_data_that_is_missing_or_empty_is_refused(here, capsys):
    fails(capsys, finetune("nothing.parquet"), "nothing.parquet")
    write_examples(here / "none.parquet", [])
    fails(capsys, finetune("none.parquet"), "training needs rows")
    (here / "empty.parquet").write_bytes(b"")
    fails(capsys, finetune("empty.parquet"), "arquet")
    pq.write_table(pa.table({"id": ["1"], "prompt": ["a"]}), here / "wrong.parquet")
    fails(capsys, finetune("wrong.parquet"), "wrong.parquet: column 'template' is missing")


def test_a_diverging_run_is_refused(here, capsys):
    model, words = load("base")
    with torch.no_grad():
        model.model.norm.weight.fill_(torch.inf)
    save("broken", model, words)
    before = snapshot()
    assert main(finetune(base="broken")) == 1
    error = capsys.readouterr().err.splitlines()[-1]
    assert error.startswith("mergescale: error: ") and "lower the learning rate" in error
    assert snapshot() == before


def test_an_interrupted_save_is_no_model(here, monkeypatch):
    monkeypatch.setattr("os.replace", lambda *paths: (_ for _ in ()).throw(OSError("disk full")))
    assert main(finetune()) == 1
    assert not [path for path in Path("out").rglob("*") if path.is_file()]


# --- models


BAD_MODELS = {
    "no config": ("config.json", None, "it has no config.json"),
    "bad config": ("config.json", b"{", "cannot be loaded as a model"),
    "no weights": ("model.safetensors", None, "model"),
    "cut weights": ("model.safetensors", b"\x08\0\0\0\0\0\0\0{}      ab", "model"),
    "empty weights": ("model.safetensors", b"", "model"),
    "no tokenizer": ("tokenizer.json", None, "has no readable tokenizer"),
    "bad tokenizer": ("tokenizer.json", b"{}", "has no readable tokenizer"),
}


@pytest.mark.parametrize("damage", BAD_MODELS)
@pytest.mark.parametrize("stage", [finetune, references, merges, evaluate])
def test_a_damaged_base_is_refused(here, capsys, damage, stage):
    name, content, message = BAD_MODELS[damage]
    shutil.copytree("base", "bad")
    Path("bad", name).unlink()
    if name == "tokenizer.json":
        Path("bad", "tokenizer_config.json").unlink()
    if content is not None:
        Path("bad", name).write_bytes(content)
    fails(capsys, stage("bad") if stage is evaluate else stage(base="bad"), "bad", message)


def test_a_base_that_is_not_there_is_refused(here, capsys):
    for call in (finetune(base="gone"), references("gone"), merges(base="gone"), evaluate("gone")):
        fails(capsys, call, "gone")


@pytest.mark.parametrize("stage", [references, merges])
def test_a_damaged_expert_is_refused_before_anything_is_written(here, capsys, stage):
    Path("base/experts/sentiment/model.safetensors").write_bytes(b"not weights")
    before = snapshot()
    assert main(stage()) == 1
    error = capsys.readouterr().err.splitlines()[-1]
    assert error.startswith("mergescale: error: ") and "experts/sentiment" in error
    assert not [p for p in set(snapshot()) - set(before) if "sentiment" in p]


@pytest.mark.parametrize("stage", [references, merges])
def test_an_expert_of_another_shape_is_refused(here, capsys, stage):
    words = tiny_study.tokenizer()
    save("base/experts/sentiment", tiny_study.llama(hidden_size=32, words=words), words)
    assert main(stage()) == 1
    error = capsys.readouterr().err.splitlines()[-1]
    assert error.startswith("mergescale: error: ") and "sentiment" in error and "shape" in error


# --- scoring


def test_wrong_methods_are_refused(here, capsys):
    fails(capsys, merges('{"tees": {}}'), "'tees'", "did you mean ties?")
    fails(capsys, merges('{"ties": {"density": 2}}'), "density is 2")
    fails(capsys, merges('{"ties": {"rho": 2}}'), "rho")
    fails(capsys, merges('{"ties": 3}'), "ties")
    fails(capsys, merges('{"task_arithmetic": {"lambda": [1.5]}}'), "lambda is 1.5")


def test_wrong_categories_are_refused(here, capsys):
    fails(capsys, evaluate("base", "--held-in", "a=nothing"), "tasks/nothing/task.json")
    fails(capsys, evaluate("base", "--held-in", "a=moods", "b=moods"), "moods is given twice")
    fails(capsys, evaluate("base", "--held-in"), "nothing to evaluate")
    twice = [*merges(), "--experts", "sentiment=base", "sentiment=base"]
    fails(capsys, twice, "given twice")


@pytest.mark.parametrize("damage", ["empty", "cut", "column", "rows", "gone"])
def test_damaged_rows_are_refused(here, capsys, damage):
    path = here / "tasks" / "moods" / "test.parquet"
    content = path.read_bytes()
    path.unlink()
    if damage in ("empty", "cut"):
        path.write_bytes(content[: len(content) // 2] if damage == "cut" else b"")
    elif damage == "column":
        pq.write_table(pa.table({"id": ["1"]}), path)
    elif damage == "rows":
        write_examples(path, [])
    for call in (references(), merges(), evaluate()):
        fails(capsys, call, "tasks/moods/test.parquet")


def test_a_task_of_an_unknown_metric_is_refused(here, capsys):
    Path("tasks/moods/task.json").write_text('{"kind": "rank", "metric": "taste"}')
    fails(capsys, evaluate(), "tasks/moods/task.json", "'taste'", "accuracy")


# --- merged models and collecting


def test_a_wrong_score_file_makes_no_merged_model(here, capsys):
    merged = ["merged-model", "--base", "base", *experts(), "--out", "out", "--scores"]
    fails(capsys, [*merged, "gone.json"], "gone.json does not exist")
    for content in ("", "[]", "{}", '{"recipe": {}}', '{"recipe": 3}'):
        Path("bad.json").write_text(content)
        fails(capsys, [*merged, "bad.json"], "bad.json is not the score file of a merge")


def test_a_wrong_score_file_is_refused(here, capsys):
    Path("bad.json").write_text("{}")
    fails(capsys, ["scores", "bad.json", "--out", "scores.csv"], "bad.json is not a score file")
