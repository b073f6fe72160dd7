"""The smoke study from nothing: every file exists, is well-formed, and is the same on every run."""

from __future__ import annotations

import csv
import json
import re
import subprocess
import sys
import xml.etree.ElementTree
from collections import Counter
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from conftest import SMOKE, environment, project_copy, snakemake, succeeded

from mergescale import config as study_config
from mergescale.stages.draws import draw_sets
from mergescale.stages.scores import COLUMNS

pytestmark = pytest.mark.slow

FIGURES = ("figure1a", "figure1b", *(f"figure{number}" for number in range(2, 8)))
TABLES = ("table1", "table2", "table3", "table4", "tasks")
# The merged model that is made on demand; its scores are part of the study.
SIZE, BASE, DRAW, METHOD = "40k", "it", "n2-s1", "ties"


@pytest.fixture(scope="module")
def results(smoke_study):
    return smoke_study / "results" / "smoke"


@pytest.fixture(scope="module")
def config(smoke_study):
    folder = smoke_study / "config"
    return study_config.load(folder / "config.yaml", folder / "smoke.yaml")


def rows(file: Path) -> list[dict[str, str]]:
    with file.open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def grid(config: dict) -> list[tuple[str, str]]:
    return [(size, base) for size in study_config.sizes(config) for base in config["bases"]]


def drawn(config: dict) -> dict[str, tuple[str, ...]]:
    """The categories of each draw, by its name in paths."""
    categories = study_config.categories(config)
    return {
        f"n{count}-s{seed}": names
        for (count, seed), names in draw_sets(**config["draws"], categories=categories).items()
    }


@pytest.mark.parametrize("figure", FIGURES)
def test_figures_exist_in_every_format(results, figure):
    stem = results / "figures" / figure
    assert stem.with_suffix(".pdf").read_bytes().startswith(b"%PDF-")
    assert stem.with_suffix(".png").read_bytes().startswith(b"\x89PNG\r\n\x1a\n")
    root = xml.etree.ElementTree.parse(stem.with_suffix(".svg")).getroot()
    assert root.tag.endswith("}svg")


@pytest.mark.parametrize("table", TABLES)
def test_tables_exist_in_every_format(results, table):
    stem = results / "tables" / table
    content = rows(stem.with_suffix(".csv"))
    assert content and all(None not in row and None not in row.values() for row in content)
    assert stem.with_suffix(".md").read_text().count("|") > 2 * len(content)
    latex = stem.with_suffix(".tex").read_text()
    assert latex.count(r"\begin{tabular}") == latex.count(r"\end{tabular}") > 0


def test_report_is_self_contained(results):
    page = (results / "report.html").read_text(encoding="utf-8")
    assert page.startswith("<!doctype html>") and page.rstrip().endswith("</html>")
    outer = re.findall(r'(?:src|href)="(?!data:|#)[^"]*"', page)
    # Links to files in the same folder are not resources of the page.
    assert not [link for link in outer if link.startswith("src") or "//" in link]
    for heading in ("Figures", "Tables 1-4", "All tasks", "Wall time"):
        assert heading in page
    assert page.count("<svg") + page.count("data:image/") >= len(FIGURES)


def test_scores_are_complete(results, config):
    """Every model of the study has a score for each of its tasks, once."""
    categories = config["tasks"]["held_in"]
    held_out = study_config.held_out_tasks(config)
    held_in = study_config.held_in_tasks(config)
    expected: Counter = Counter()
    for where in grid(config):
        for model in ("base", "multitask"):
            expected.update((*where, model, "", "", "", task) for task in held_in + held_out)
        for name, tasks in categories.items():
            own = [*tasks, *held_out]
            expected.update((*where, "expert", name, "", "", task) for task in own)
        for name, members in drawn(config).items():
            own = [task for member in members for task in categories[member]] + held_out
            for method in study_config.methods(config):
                expected.update((*where, "merge", "", method, name, task) for task in own)

    found = rows(results / "scores.csv")
    assert tuple(found[0]) == COLUMNS
    counted = Counter(
        (
            *(row[key] for key in ("size", "base", "model", "expert", "method")),
            f"n{row['count']}-s{row['seed']}" if row["model"] == "merge" else "",
            row["task"],
        )
        for row in found
    )
    assert counted == expected
    of_task = study_config.category_of(config)
    for row in found:
        assert 0 <= float(row["score"]) <= 1
        assert int(row["rows"]) == config["evaluation"]["test_rows"]
        assert row["category"] == of_task[row["task"]]
        assert row["role"] == ("held_in" if row["task"] in held_in else "held_out")


def test_every_prediction_is_on_record(results, config):
    """A score is the mean over the predictions of its model on its task."""
    scores = sorted((results / "scores").rglob("*.json"))
    models = len(grid(config)) * (2 + len(study_config.categories(config)))
    merges = len(grid(config)) * len(drawn(config)) * len(study_config.methods(config))
    assert len(scores) == models + merges
    for file in scores:
        path = results / "predictions" / file.relative_to(results / "scores")
        predictions = pq.read_table(path.with_suffix(".parquet"))
        of_task: dict[str, list[float]] = {}
        for task, score in zip(
            predictions["task"].to_pylist(), predictions["score"].to_pylist(), strict=True
        ):
            of_task.setdefault(task, []).append(score)
        record = json.loads(file.read_text(encoding="utf-8"))
        assert of_task.keys() == record["scores"].keys()
        for task, found in record["scores"].items():
            assert len(of_task[task]) == found["rows"]
            assert sum(of_task[task]) / found["rows"] == pytest.approx(found["score"], abs=1e-6)


def test_records_have_provenance(results):
    for file in (results / "scores").rglob("*.json"):
        record = json.loads(file.read_text(encoding="utf-8"))
        assert {"code", "versions"} <= record["provenance"].keys(), file
        assert re.fullmatch(r"[0-9a-f]{64}", record["weights"]), file
        assert all(re.fullmatch(r"[0-9a-f]+", s["digest"]) for s in record["scores"].values())
        if record["model"] == "merge":
            assert record["recipe"]["experts"].keys() == set(record["constituents"])
            assert record["chosen"]["lambda"] == record["recipe"]["lambda"]
    for file in (results / "models").rglob("training.json"):
        record = json.loads(file.read_text(encoding="utf-8"))
        assert {"code", "versions", "inputs", "settings", "weights"} <= record.keys(), file
    assert "provenance" in json.loads((results / "study.json").read_text(encoding="utf-8"))


def test_records_have_no_paths_and_no_times(results, smoke_study):
    """So two runs, on any machine, write the same bytes."""
    records = [*results.glob("*.csv"), *(results / "tasks").rglob("*.json")]
    records += [*results.glob("*.json"), *(results / "models").rglob("*.json")]
    records += [*(results / "scores").rglob("*.json"), *(results / "tables").iterdir()]
    records += (results / "figures").glob("*.svg")
    for file in records:
        text = file.read_text(encoding="utf-8")
        assert str(smoke_study) not in text, file
        assert not re.search(r'"(/|[A-Z]:\\)\w', text), f"{file} has an absolute path"
        assert not re.search(r"\b20\d\d-[01]\d-[0-3]\d\b", text), f"{file} has a date"


def test_a_merged_model_on_demand_scores_as_recorded(smoke_study, results, config, tmp_path):
    from transformers import AutoModelForCausalLM, AutoTokenizer

    folder = results / "merges" / SIZE / BASE / DRAW / METHOD
    succeeded(snakemake(smoke_study, str(folder.relative_to(smoke_study)), *SMOKE))
    model = AutoModelForCausalLM.from_pretrained(folder, local_files_only=True)
    tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    assert model.get_input_embeddings().num_embeddings >= len(tokenizer)

    recorded = json.loads(
        (results / f"scores/{SIZE}/{BASE}/merges/{DRAW}/{METHOD}.json").read_text()
    )
    categories = config["tasks"]["held_in"]
    held_in = [f"{name}={','.join(categories[name])}" for name in drawn(config)[DRAW]]
    held_out = [f"{k}={','.join(tasks)}" for k, tasks in config["tasks"]["held_out"].items()]
    how = config["evaluation"]
    command = [sys.executable, "-m", "mergescale", "evaluate", str(folder)]
    command += ["--tasks", str(results / "tasks"), "--held-in", *held_in, "--held-out", *held_out]
    for key in ("test_rows", "batch_tokens", "max_new_tokens"):
        command += [f"--{key.replace('_', '-')}", str(how[key])]
    command += ["--end-token"] if how["end_token"] else []
    command += ["--max-length", str(config["models"]["max_length"])]
    command += ["--threads", str(config["compute"]["threads"])]
    command += ["--device", config["compute"]["device"], "--out", str(tmp_path / "scores.json")]
    run = subprocess.run(command, env=environment(smoke_study), capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    assert json.loads((tmp_path / "scores.json").read_text())["scores"] == recorded["scores"]


def test_a_second_clean_run_gives_the_same_bytes(results, tmp_path):
    folder = project_copy(tmp_path / "project")
    succeeded(snakemake(folder, *SMOKE))
    first, second = reproducible(results), reproducible(folder / "results" / "smoke")
    assert first.keys() == second.keys()
    assert [name for name in first if first[name] != second[name]] == []


def reproducible(results: Path) -> dict[str, bytes]:
    """All files that are the same in every run; the report and timing.csv have times."""
    folders = ("tasks", "models", "scores", "predictions", "tables", "figures")
    found = [path for name in folders for path in (results / name).rglob("*") if path.is_file()]
    found += [path for path in results.iterdir() if path.is_file()]
    names = {path.relative_to(results).as_posix(): path for path in found}
    return {
        name: path.read_bytes()
        for name, path in names.items()
        if name not in ("timing.csv", "report.html")
    }
