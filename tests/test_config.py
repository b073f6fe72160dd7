"""A configuration is completed, or refused with one sentence: the key, and what is allowed."""

from __future__ import annotations

import copy
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from mergescale import config as study_config
from mergescale.config import ConfigError, reference, schema

ROOT = Path(__file__).parents[1]
DEFAULT = ROOT / "config" / "config.yaml"
SMOKE = ROOT / "config" / "smoke.yaml"


@pytest.fixture
def overlay(tmp_path, monkeypatch):
    """Completes the default study with an overlay written as YAML text."""
    monkeypatch.chdir(tmp_path)

    def with_overlay(text: str) -> dict:
        file = tmp_path / "overlay.yaml"
        file.write_text(text)
        return study_config.load(DEFAULT, file)

    return with_overlay


# (what is wrong, an overlay of the default study, what the sentence must say)
BAD = {
    "unknown key": ("thraining: {}", ["thraining is not a key", "did you mean training?", "draws"]),
    "unknown nested key": (
        "training: {expert: {lerning_rate: 1e-4}}",
        ["training.expert.lerning_rate is not a key; did you mean learning_rate? allowed: steps"],
    ),
    "unknown key set to null": ("training: {drop_out: null}", ["training.drop_out is not a key"]),
    "unknown override": (
        "training: {expert: {sizes: {40k: {rate: 1.0}}}}",
        ["training.expert.sizes.40k.rate is not a key"],
    ),
    "key that is not text": ("models: {sizes: {350: null}}", ["350", "models.sizes", "quotes"]),
    "count above the categories": ("draws: {counts: [2, 9]}", ["draws.counts holds 9", "1 and 8"]),
    "count after removing categories": (
        "tasks: {held_in: {imdb: [imdb2], sentiment: null, summarization: null}}",
        ["draws.counts holds 8", "between 1 and 7"],
    ),
    "count of zero": ("draws: {counts: [0]}", ["draws.counts holds 0", "at least 1"]),
    "count as text": (
        "draws: {counts: ['2']}",
        ['draws.counts holds "2"', "whole number", "quotes"],
    ),
    "count as a fraction": ("draws: {counts: [2.0]}", ["draws.counts holds 2.0", "whole number"]),
    "one count, no list": ("draws: {counts: 2}", ["draws.counts is 2", "a list"]),
    "duplicate count": ("draws: {counts: [2, 4, 2]}", ["draws.counts lists 2 twice"]),
    "duplicate seed": ("draws: {seeds: [1, 1]}", ["draws.seeds lists 1 twice"]),
    "no seed": ("draws: {seeds: []}", ["draws.seeds is empty"]),
    "negative seed": ("seed: -1", ["seed is -1", "at least 0"]),
    "boolean for a number": ("seed: true", ["seed is true", "a whole number"]),
    "number for a boolean": (
        "evaluation: {end_token: 1}",
        ["evaluation.end_token is 1", "true or"],
    ),
    "text for a number": (
        "training: {dropout: little}",
        ['training.dropout is "little"', "a number at least 0 and below 1"],
    ),
    "number in quotes": (
        "training: {dropout: '0.1'}",
        ['training.dropout is "0.1"', "a number", "without quotes", "--config"],
    ),
    "not a finite number": (
        "training: {expert: {learning_rate: .nan}}",
        ["training.expert.learning_rate is NaN", "a number above 0"],
    ),
    "zero learning rate": (
        "training: {instruct: {learning_rate: 0}}",
        ["training.instruct.learning_rate is 0", "above 0"],
    ),
    "dropout of one": ("training: {dropout: 1}", ["training.dropout is 1", "below 1"]),
    "mapping expected": ("training: 3", ["training is 3", "a mapping"]),
    "list for a mapping": ("tasks: {held_in: [imdb]}", ['tasks.held_in is ["imdb"]', "a mapping"]),
    "unknown method": (
        "merging: {methods: {tie: {}}}",
        ["merging.methods.tie is not a method; did you mean ties?", "task_arithmetic"],
    ),
    "every method removed": (
        "merging: {methods: {averaging: null, task_arithmetic: null, ties: null, dare_ties: null}}",
        ["merging.methods is empty"],
    ),
    "parameter that the method lacks": (
        "merging: {methods: {task_arithmetic: {density: [0.2]}}}",
        ["merging.methods.task_arithmetic.density is not a parameter of task_arithmetic", "lambda"],
    ),
    "lambda above one": (
        "merging: {lambdas: [0.0, 1.5]}",
        ["merging.lambdas holds 1.5", "between 0 and 1"],
    ),
    "lambda below zero, one method": (
        "merging: {methods: {ties: {lambda: [0.5, -0.1]}}}",
        ["merging.methods.ties.lambda holds -0.1", "between 0 and 1"],
    ),
    "lambda of a method that sweeps none": (
        "merging: {methods: {averaging: {lambda: [0.5]}}}",
        ["merging.methods.averaging.lambda holds 0.5", "only 1.0"],
    ),
    "density of zero": (
        "merging: {methods: {ties: {density: [0]}}}",
        ["merging.methods.ties.density holds 0", "above 0"],
    ),
    "density in percent": (
        "merging: {methods: {dare_ties: {density: [20]}}}",
        ["merging.methods.dare_ties.density holds 20", "to 1"],
    ),
    "density as text": (
        "merging: {methods: {dare_ties: {density: [some]}}}",
        ['merging.methods.dare_ties.density holds "some"', "a number"],
    ),
    "unknown trim scope": ("merging: {trim_scope: models}", ["merging.trim_scope", "mean model?"]),
    "unknown base": ("bases: [pt, chat]", ['bases holds "chat"', "allowed: pt, it"]),
    "unknown source": ("tasks: {source: hub}", ['tasks.source is "hub"', "allowed: micro, jsonl"]),
    "unknown device": ("compute: {device: cude}", ["compute.device", "did you mean cuda?"]),
    "dataset twice in a category": (
        "tasks: {held_in: {sentiment: [imdb, imdb]}}",
        ['tasks.held_in.sentiment lists "imdb" twice'],
    ),
    "dataset in two categories": (
        "tasks: {held_in: {sentiment: [imdb, xsum]}}",
        [
            "tasks.held_in.summarization lists the dataset xsum",
            "tasks.held_in.sentiment has already",
        ],
    ),
    "dataset held-in and held-out": (
        "tasks: {held_out: {opinions: [imdb]}}",
        ["tasks.held_out.opinions lists the dataset imdb", "tasks.held_in.sentiment has already"],
    ),
    "unknown dataset": (
        "tasks: {held_in: {sentiment: [imbd]}}",
        ['tasks.held_in.sentiment lists "imbd"', "source micro; did you mean imdb?", "xsum"],
    ),
    "category held-in and held-out": (
        "tasks: {held_out: {sentiment: [sst2]}}",
        ["tasks.held_out lists the category sentiment", "tasks.held_in has already"],
    ),
    "category without a dataset": ("tasks: {held_in: {sentiment: []}}", ["sentiment is empty"]),
    "dataset name unfit for a path": (
        "tasks: {held_in: {sentiment: [a/b]}}",
        ['holds "a/b"', "files"],
    ),
    "category name unfit for a path": (
        "tasks: {held_in: {'a b': [x]}}",
        ['the key "a b"', "files"],
    ),
    "size name unfit for a path": ("models: {sizes: {../40k: {}}}", ['the key "../40k"', "files"]),
    "study name unfit for a path": ("study: my study", ['study is "my study"', "files"]),
    "study name that climbs": ("study: ..", ['study is ".."', "begin with a letter"]),
    "empty study name": ("study: ''", ['study is ""', "begin with a letter"]),
    "override of no size": (
        "training: {pretrain: {sizes: {800k: {steps: 10}}}}",
        ["training.pretrain.sizes.800k is not a size", "did you mean 900k?", "40k"],
    ),
    "warm-up longer than the training": (
        "training: {expert: {steps: 5}}",
        ["training.expert.warmup is 20", "at most the 5 steps", "40k"],
    ),
    "override's warm-up": (
        "training: {expert: {sizes: {900k: {warmup: 401}}}}",
        ["training.expert.sizes.900k.warmup is 401", "at most the 400 steps"],
    ),
    "rows longer than the model's": (
        "models: {max_length: 32}",
        ["training.pretrain.length is 64", "at most models.max_length, 32"],
    ),
    "no instruction tuning": ("training: {instruct: {steps: 0}}", ["steps is 0", "at least 1"]),
    "validation rows": (
        "evaluation: {validation_rows: 129}",
        ["evaluation.validation_rows is 129", "at most tasks.rows.validation, 128"],
    ),
    "test rows": ("tasks: {rows: {test: 8}}", ["evaluation.test_rows is 64", "tasks.rows.test, 8"]),
    "heads that do not divide": (
        "models: {sizes: {40k: {heads: 5}}}",
        ["models.sizes.40k.heads is 5", "divide hidden_size 28"],
    ),
    "half an architecture": (
        "models: {sizes: {2m: {hidden_size: 64}}}",
        ["models.sizes.2m lacks layers, heads, intermediate_size", "or a checkpoint"],
    ),
    "architecture and checkpoint": (
        "models: {sizes: {40k: {checkpoint: here}}}",
        ["models.sizes.40k has a checkpoint and hidden_size", "either"],
    ),
    "missing checkpoint": (
        "models: {sizes: {real: {checkpoint: nowhere}}}",
        ['models.sizes.real.checkpoint is "nowhere"', "config.json"],
    ),
    "real rows without a folder": (
        "tasks: {source: jsonl}",
        ["tasks.folder is not given", "jsonl"],
    ),
    "real rows from a missing folder": (
        "tasks: {source: jsonl, folder: rows}",
        ['tasks.folder is "rows"', "no such folder"],
    ),
    "mixture from a missing folder": (
        "mixture: {source: jsonl, folder: flan}",
        ['mixture.folder is "flan"', "no such folder"],
    ),
    "key given twice": ("seed: 1\nseed: 2", ['line 2 gives the key "seed" a second time']),
    "no mapping": ("- 1", ["overlay.yaml holds [1]", "a mapping"]),
    "no YAML": ("a: [", ["overlay.yaml is not YAML"]),
}


@pytest.mark.parametrize("text, words", BAD.values(), ids=BAD.keys())
def test_bad_configuration_is_one_sentence_that_names_the_key(overlay, text, words):
    with pytest.raises(ConfigError) as error:
        overlay(text)
    sentence = str(error.value)
    assert "\n" not in sentence
    for word in words:
        assert word in sentence


def test_missing_file_is_named(tmp_path):
    with pytest.raises(ConfigError, match="absent.yaml cannot be read"):
        study_config.load(tmp_path / "absent.yaml")


def test_default_study_has_the_papers_grid():
    config = study_config.load(DEFAULT)
    assert len(study_config.categories(config)) == 8
    assert len(study_config.held_in_tasks(config)) == 16
    assert len(study_config.held_out_tasks(config)) == 7
    draws = len(config["draws"]["counts"]) * len(config["draws"]["seeds"])
    grid = len(study_config.methods(config)) * len(study_config.sizes(config)) * draws
    assert grid * len(config["bases"]) == 384


def test_defaults_alone_are_the_default_study():
    assert study_config.complete({}) == study_config.load(DEFAULT)


def test_schema_defaults_and_reference_are_in_step_with_the_default_study():
    assert reference.main(["--check"]) == 0, "run `make reference`"


def test_reference_lists_every_key_with_a_description():
    documented = (ROOT / "config" / "README.md").read_text()
    for path, node in reference.keys(schema.schema()):
        assert node.get("description"), f"{path} has no description"
        assert f"`{'.'.join(path)}`" in documented


def test_mappings_of_the_schema_refuse_unknown_keys():
    def objects(node):
        if isinstance(node, dict):
            if node.get("type") == "object":
                yield node
            for entry in node.values():
                yield from objects(entry)

    for node in objects(schema.schema()):
        assert "additionalProperties" in node or node == schema.schema()["$defs"]["overrides"]


def test_completing_changes_neither_its_argument_nor_a_complete_configuration():
    given = {"draws": {"counts": [2]}, "models": {"sizes": {"40k": None}}}
    before = copy.deepcopy(given)
    given["models"]["sizes"]["1k"] = before["models"]["sizes"]["1k"] = dict(
        hidden_size=8, layers=1, heads=2, intermediate_size=16
    )
    done = study_config.complete(given)
    assert given == before
    assert study_config.complete(done) == done


def test_null_removes_categories_sizes_and_methods(overlay):
    config = overlay(
        """
        tasks: {held_in: {sentiment: null}}
        models: {sizes: {900k: null}}
        training: {expert: {sizes: {900k: {steps: 7}, 40k: {steps: 20}}}}
        merging: {methods: {dare_ties: null}}
        draws: {counts: [7]}
        """
    )
    assert "sentiment" not in study_config.categories(config)
    assert study_config.sizes(config) == ["40k", "120k", "350k"]
    assert study_config.methods(config) == ["averaging", "task_arithmetic", "ties"]
    # the override of a removed size goes with it
    assert config["training"]["expert"]["sizes"] == {"40k": {"steps": 20}}


def test_null_gives_a_single_key_its_default_again(overlay):
    assert overlay("training: {dropout: null}")["training"]["dropout"] == 0.0
    assert overlay("training:")["training"] == study_config.load(DEFAULT)["training"]


@pytest.mark.parametrize("text", ["3e-4", "3E-4", "0.3e-3", "3.0e-04", "0.0003"])
def test_floats_may_be_written_as_in_yaml_1_2(overlay, text):
    settings = f"learning_rate: {text}"
    config = overlay(f"training: {{expert: {{{settings}, sizes: {{40k: {{{settings}}}}}}}}}")
    assert config["training"]["expert"]["learning_rate"] == pytest.approx(3e-4)
    assert study_config.stage(config, "expert", "40k")["learning_rate"] == pytest.approx(3e-4)
    config = overlay("merging: {lambdas: [0, 1e-1], methods: {ties: {density: [1e-1]}}}")
    assert config["merging"]["lambdas"] == [0, 0.1]
    assert config["merging"]["methods"]["ties"]["density"] == [0.1]


def test_text_that_looks_like_a_number_stays_a_name():
    config = schema.prepared({"tasks": {"held_in": {"sentiment": ["1e5"]}}})
    assert study_config.held_in_tasks(config, "sentiment") == ["1e5"]


def test_stage_merges_the_overrides_of_a_size(overlay):
    config = overlay("training: {expert: {sizes: {900k: {learning_rate: 1e-4}}}}")
    largest = study_config.stage(config, "expert", "900k")
    smallest = study_config.stage(config, "expert", "40k")
    assert largest == {**smallest, "learning_rate": 1e-4}
    assert largest["dropout"] == 0.0
    assert "sizes" not in largest


def test_method_settings_fill_in_the_shared_sweep():
    config = study_config.load(DEFAULT)
    assert study_config.method_settings(config, "averaging") == {}
    task_arithmetic = study_config.method_settings(config, "task_arithmetic")
    assert task_arithmetic == {"lambda": config["merging"]["lambdas"]}
    ties = study_config.method_settings(config, "ties")
    assert ties["density"] == [0.2, 0.1] and ties["trim_scope"] == "model"


def test_smoke_study_is_a_small_part_of_the_default_one():
    default, smoke = study_config.load(DEFAULT), study_config.load(DEFAULT, SMOKE)
    assert smoke["study"] == "smoke"
    assert set(study_config.categories(smoke)) < set(study_config.categories(default))
    assert study_config.held_out_tasks(smoke) == study_config.held_out_tasks(default)
    assert study_config.methods(smoke) == study_config.methods(default)
    assert len(study_config.sizes(smoke)) == 2


def test_importing_the_configuration_imports_nothing_heavy():
    program = (
        "import sys, time; start = time.perf_counter(); import mergescale.config;"
        "heavy = {'torch', 'numpy', 'pandas', 'transformers', 'datasets'} & set(sys.modules);"
        "print(heavy or 'light')"
    )
    environment = {"PYTHONPATH": str(ROOT / "workflow"), "PATH": "/usr/bin:/bin"}
    run = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, env=environment
    )
    assert run.stdout.strip() == "light", run.stderr


SNAKEFILE = f"""
configfile: {str(DEFAULT)!r}
import sys
sys.path.insert(0, {str(ROOT / "workflow")!r})
from mergescale.config import complete_or_exit
config = complete_or_exit(config, workflow.configfiles)
rule all:
    output: "study.txt"
    params: study=config["study"], sizes=list(config["models"]["sizes"])
    shell: "echo {{params.study}} {{params.sizes}} > {{output}}"
"""


@pytest.fixture
def snakemake(tmp_path):
    """Runs a one-rule workflow in a scratch folder on the default study with an overlay."""
    (tmp_path / "Snakefile").write_text(SNAKEFILE)
    program = Path(sys.executable).with_name("snakemake")
    if not program.exists() and not shutil.which("snakemake"):
        pytest.skip("snakemake is not installed")

    def run(overlay: str) -> subprocess.CompletedProcess:
        (tmp_path / "overlay.yaml").write_text(overlay)
        command = [program if program.exists() else "snakemake", "--cores", "1"]
        return subprocess.run(
            [*command, "--configfile", "overlay.yaml"], cwd=tmp_path, capture_output=True, text=True
        )

    return run


def test_workflow_stops_before_any_job_with_one_line(snakemake, tmp_path):
    run = snakemake("draws: {counts: [9]}")
    assert run.returncode != 0
    lines = [line for line in run.stderr.splitlines() if "Config file" not in line]
    assert len(lines) == 1 and lines[0].startswith("config error: ")
    assert "config.yaml, overlay.yaml: draws.counts holds 9" in lines[0]
    assert not (tmp_path / "study.txt").exists()


def test_workflow_sees_the_completed_configuration(snakemake, tmp_path):
    run = snakemake(yaml.safe_dump({"study": "other", "models": {"sizes": {"40k": None}}}))
    assert run.returncode == 0, run.stderr
    assert (tmp_path / "study.txt").read_text().split() == ["other", "120k", "350k", "900k"]
