"""Bad configurations: each is one sentence that names the key and what is allowed."""

from __future__ import annotations

from pathlib import Path

import pytest

from mergescale.config import ConfigError
from mergescale.tasks.public.datasets import DATASETS

DEFAULT = Path(__file__).parents[2] / "config" / "config.yaml"


HELD_IN = (
    "multiple_choice_qa",
    "extractive_qa",
    "closed_book_qa",
    "topic_classification",
    "structure_to_text",
    "summarization",
    "paraphrase_identification",
)

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
    "sizes that differ in capitals": (
        "models: {sizes: {40K: {hidden_size: 8, layers: 1, heads: 1, intermediate_size: 8}}}",
        ["models.sizes has 40k and 40K", "more than capital letters"],
    ),
    "categories that differ in capitals": (
        "tasks: {held_in: {Sentiment: [another]}}",
        ["tasks.held_in has sentiment and Sentiment"],
    ),
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
        ["merging.methods.ties.lambda holds -0.1", "must be in [0, 1]"],
    ),
    "lambda of a method that sweeps none": (
        "merging: {methods: {averaging: {lambda: [0.5]}}}",
        ["merging.methods.averaging.lambda holds 0.5", "must be 1.0"],
    ),
    "density of zero": (
        "merging: {methods: {ties: {density: [0]}}}",
        ["merging.methods.ties.density holds 0", "must be in (0, 1]"],
    ),
    "density in percent": (
        "merging: {methods: {dare_ties: {density: [20]}}}",
        ["merging.methods.dare_ties.density holds 20", "must be in (0, 1]"],
    ),
    "density as text": (
        "merging: {methods: {dare_ties: {density: [some]}}}",
        ['merging.methods.dare_ties.density holds "some"', "must be in (0, 1]"],
    ),
    "unknown trim scope": ("merging: {trim_scope: models}", ["merging.trim_scope", "mean model?"]),
    "unknown base": ("bases: [pt, chat]", ['bases holds "chat"', "allowed: pt, it"]),
    "unknown source": ("tasks: {source: web}", ['tasks.source is "web"', "micro, folder, hub"]),
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
        ["training.pretrain.sizes.800k is not a size", "did you mean 500k?", "40k"],
    ),
    "warm-up longer than the training": (
        "training: {expert: {steps: 5}}",
        ["training.expert.warmup is 20", "at most the 5 steps", "40k"],
    ),
    "override's warm-up": (
        "training: {expert: {sizes: {500k: {warmup: 801}}}}",
        ["training.expert.sizes.500k.warmup is 801", "at most the 800 steps"],
    ),
    "processes that nodes cannot share": (
        "compute: {processes: 3, nodes: 2}",
        ["compute.processes is 3", "a multiple of compute.nodes, 2"],
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
    "checkpoint and hub": (
        "models: {sizes: {real: {checkpoint: here, hub: a/b}}}",
        ["models.sizes.real has a checkpoint and hub", "either"],
    ),
    "hub that is no repository": (
        "models: {sizes: {real: {hub: qwen, revision: abc, parameters: 1e9}}}",
        ['models.sizes.real.hub is "qwen"', "owner/name"],
    ),
    "hub without a commit": (
        "models: {sizes: {real: {hub: a/b, parameters: 1e9}}}",
        ["models.sizes.real.revision is not given", "the commit of a/b"],
    ),
    "hub without its number of parameters": (
        "models: {sizes: {real: {hub: a/b, revision: abc}}}",
        ["models.sizes.real.parameters is not given", "the number of parameters of a/b"],
    ),
    "parameters of a model from scratch": (
        "models: {sizes: {40k: {parameters: 4e4}}}",
        ["models.sizes.40k.parameters is given for a model from scratch", "remove it"],
    ),
    "revision without a hub": (
        "models: {sizes: {40k: {revision: abc}}}",
        ["models.sizes.40k.revision is given without hub"],
    ),
    "public datasets without a folder": (
        "tasks: {source: folder}",
        ["tasks.folder is not given", "tasks.source is folder"],
    ),
    "public datasets from a missing folder": (
        "tasks: {source: folder, folder: rows}",
        ['tasks.folder is "rows"', "no such folder"],
    ),
    "promptsource without a folder": (
        "tasks: {source: hub, templates: {source: promptsource}}",
        ["tasks.templates.folder is not given", "tasks.templates.source is promptsource"],
    ),
    "promptsource from a missing folder": (
        "tasks: {source: hub, templates: {source: promptsource, folder: prompts}}",
        ['tasks.templates.folder is "prompts"', "no such folder"],
    ),
    "unknown template mode": (
        "tasks: {templates: {mode: every}}",
        ['tasks.templates.mode is "every"', "allowed: sample, all"],
    ),
    "revision of an unknown dataset": (
        "tasks: {source: hub, revisions: {rde: 0123abc}}",
        ["tasks.revisions.rde is not a dataset of the study", "did you mean rte?"],
    ),
    "mixture from a missing folder": (
        "mixture: {source: folder, folder: flan}",
        ['mixture.folder is "flan"', "no such folder"],
    ),
    "mixture from an unknown source": (
        "mixture: {source: jsonl}",
        ['mixture.source is "jsonl"', "allowed: micro, folder, hub"],
    ),
    "mixture of the hub without a commit": (
        "mixture: {source: hub, repo: a/b}",
        ["mixture.revision is not given", "a commit"],
    ),
    "renamed key": (
        "tasks: {templates: {asked: all}}",
        ["tasks.templates.asked was renamed to tasks.templates.mode"],
    ),
    "renamed key of the cluster": (
        "compute: {cluster: {longest_hours: 24}}",
        ["compute.cluster.longest_hours was renamed to compute.cluster.max_hours"],
    ),
    "renamed parameter of a method": (
        "merging: {methods: {ties: {at_threshold: exact}}}",
        ["merging.methods.ties.at_threshold was renamed to merging.methods.ties.ties"],
    ),
    "a whole number with an exponent": (
        "training: {expert: {steps: 1e3}}",
        ['training.expert.steps is "1e3"', "a whole number at least 1 (written out: 1000)"],
    ),
    "density twice": (
        "merging: {methods: {ties: {density: [0.2, 0.2]}}}",
        ["merging.methods.ties.density lists 0.2 twice"],
    ),
    "settings of a method that are not a mapping": (
        "merging: {methods: {ties: [0.2]}}",
        ["merging.methods.ties is [0.2]", "a mapping"],
    ),
    "unknown optimizer": (
        "training: {optimizer: adam}",
        ['training.optimizer is "adam"; did you mean adamw? allowed: adafactor, adamw'],
    ),
    "unknown objective": (
        "training: {expert: {objective: answer_los}}",
        ['training.expert.objective is "answer_los"; did you mean answer_loss?'],
    ),
    "unknown objective of a size": (
        "training: {expert: {sizes: {40k: {objective: loss}}}}",
        ['training.expert.sizes.40k.objective is "loss"; '],
    ),
    "key given twice": (
        "seed: 1\nseed: 2",
        ["overlay.yaml: line 2 gives the key seed a second time"],
    ),
    "method for other counts": (
        "merging: {methods: {slerp: {}}}",
        ["merging.methods.slerp", "slerp merges", "draws.counts holds 4"],
    ),
    "not a mapping": ("- 1", ["overlay.yaml must be a mapping of keys"]),
    "no YAML": ("a: [", ["overlay.yaml is not YAML"]),
}


def test_a_folder_without_a_dataset_of_the_study_is_named(overlay, tmp_path):
    """Before any job starts: jobs would fail one after another."""
    for name in ("imdb", "copa"):
        (tmp_path / DATASETS[name].folder).mkdir(parents=True)
    text = f"""
        tasks:
          source: folder
          folder: {tmp_path}
          held_in: {{{", ".join(f"{name}: null" for name in HELD_IN)}, sentiment: [imdb]}}
          held_out: {{sentence_completion: [copa, hellaswag]}}
        draws: {{counts: [1]}}
    """
    with pytest.raises(ConfigError) as error:
        overlay(text)
    rte = DATASETS["rte"].folder
    assert f"which has no folder for hellaswag, anli, rte ({rte}), wsc" in str(error.value)
    assert "set their categories to null" in str(error.value)
    assert "copa" not in str(error.value)


@pytest.mark.parametrize("text, words", BAD.values(), ids=BAD.keys())
def test_bad_configuration_is_one_sentence_that_names_the_key(overlay, text, words):
    with pytest.raises(ConfigError) as error:
        overlay(text)
    sentence = str(error.value)
    assert "\n" not in sentence
    for word in words:
        assert word in sentence
