"""The micro world: splits, balance, lengths, determinism, language, and its page in the docs."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections import Counter
from functools import cache
from pathlib import Path

import pytest

from mergescale.tasks.micro_world.corpus import corpus
from mergescale.tasks.micro_world.evaluation import TASKS
from mergescale.tasks.micro_world.evaluation.closed_book_qa import ALL_HOPS
from mergescale.tasks.micro_world.facts import PERSON_RELATIONS, PLACE_RELATIONS, relations_of
from mergescale.tasks.micro_world.mixture import MIXTURE
from mergescale.tasks.micro_world.showcase import page
from mergescale.tasks.micro_world.world import (
    WORLD,
    a,
    build_world,
    knowledge,
    lexicon,
    plural,
    sentence,
)
from mergescale.tasks.task import SPLITS, Example

ROOT = Path(__file__).resolve().parents[3]
GENERATED = {
    "adversarial_qa": "squad_f1",
    "ropes": "squad_f1",
    "hotpot_qa": "exact_match",
    "common_gen": "rouge_l",
    "wiki_bio": "rouge_l",
    "cnn_dailymail": "rouge_l",
    "xsum": "rouge_l",
}
# Names of the classes are listed in one fixed order here; elsewhere choices are shuffled.
FIXED_LABELS = {
    "wiki_qa": 2, "app_reviews": 5, "imdb": 2, "ag_news": 4, "dbpedia": 14, "mrpc": 2, "qqp": 2,
    "anli": 3, "rte": 2, "wsc": 2, "wic": 2,
}  # fmt: skip


def tokens(text: str) -> list[str]:
    """Words and punctuation marks, as the study's tokenizer cuts them."""
    return re.findall(r"\w+|[^\w\s]", text.lower())


@cache
def rows(name: str, split: str, count: int = 400) -> tuple[Example, ...]:
    return tuple(TASKS[name].examples(split, count, 0))


@cache
def documents() -> tuple[str, ...]:
    return tuple(corpus(2500, 0))


def test_all_23_datasets_have_a_stand_in_with_its_metric():
    assert len(TASKS) == 23
    for name, task in TASKS.items():
        assert task.name == name and task.resembles
        assert task.metric == GENERATED.get(name, "accuracy")
        assert task.kind == ("generate" if name in GENERATED else "rank")


@pytest.mark.parametrize("name", TASKS)
def test_rows_are_well_formed(name):
    for split in SPLITS:
        for example in rows(name, split):
            assert len(tokens(example.input)) + len(tokens(example.target)) < 64
            assert len(tokens(example.target)) <= 14
            assert "{" not in example.input and "  " not in example.input
            assert re.search(r"[.?!:_]$|\b(so|because|he|she|is|wrote)$", example.input, re.I)
            if TASKS[name].kind == "rank":
                assert example.target in example.choices
                assert len(set(example.choices)) == len(example.choices) >= 2
                assert example.references == ()
            else:
                assert example.choices == () and example.references == (example.target,)


@pytest.mark.parametrize("name", TASKS)
def test_splits_are_filled_and_share_neither_ids_nor_prompts(name):
    wanted = {"train": 1500, "validation": 150, "test": 150}
    if name == "hotpot_qa":  # a small world has only so many questions over two hops
        wanted = {"train": 600, "validation": 60, "test": 100}
    found = {split: rows(name, split, wanted[split]) for split in SPLITS}
    for split in SPLITS:
        assert len(found[split]) == wanted[split]
    ids = [example.id for examples in found.values() for example in examples]
    assert len(set(ids)) == len(ids)
    prompts = {split: {(e.input, e.choices) for e in found[split]} for split in SPLITS}
    assert not prompts["train"] & (prompts["validation"] | prompts["test"])
    assert not prompts["validation"] & prompts["test"]


@pytest.mark.parametrize("name", TASKS)
def test_three_templates_or_more_take_turns(name):
    uses = Counter(example.template for example in rows(name, "train"))
    assert len(uses) >= 3
    assert min(uses.values()) > 0.15 * len(rows(name, "train"))


@pytest.mark.parametrize("name", [name for name in TASKS if name not in GENERATED])
def test_labels_come_equally_often(name):
    if name in FIXED_LABELS:
        labels = [example.target for example in rows(name, "test")]
        expected = FIXED_LABELS[name]
    else:  # the position of the right choice tells nothing
        labels = [example.choices.index(example.target) for example in rows(name, "test")]
        expected = len(rows(name, "test")[0].choices)
    counts = Counter(labels)
    assert len(counts) == expected
    # All but Winogrande's positions are balanced by construction; its names are shuffled.
    slack = 0.25 if name == "winogrande" else 0.05
    assert max(counts.values()) - min(counts.values()) <= max(1, slack * len(labels))


@pytest.mark.parametrize("name", ["dream", "cosmos_qa", "copa", "hellaswag"])
def test_the_longest_choice_is_no_giveaway(name):
    lucky = sum(
        max(e.choices, key=lambda c: len(tokens(c))) == e.target for e in rows(name, "test")
    )
    chance = 1 / len(rows(name, "test")[0].choices)
    assert abs(lucky / len(rows(name, "test")) - chance) < 0.15


def test_fewer_rows_are_a_prefix_of_more_rows():
    for task in TASKS.values():
        assert task.examples("test", 20, 3) == task.examples("test", 40, 3)[:20]
        assert task.examples("test", 20, 3) != task.examples("test", 20, 4)
    assert corpus(5, 1) == corpus(9, 1)[:5]


def test_every_process_makes_the_same_texts():
    code = (
        "from hashlib import sha256; from mergescale.tasks.micro_world.corpus import corpus;"
        "from mergescale.tasks.micro_world.evaluation import TASKS;"
        "text = repr([t.examples('train', 10, 0) for t in TASKS.values()]) + repr(corpus(20, 0));"
        "print(sha256(text.encode()).hexdigest())"
    )
    digests = {
        subprocess.run(
            [sys.executable, "-c", code],
            env=os.environ | {"PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(digests) == 1


def test_vocabulary_is_small():
    words = {token for text in documents() for token in tokens(text)}
    for task in (*TASKS.values(), *MIXTURE.values()):
        for example in task.examples("train", 300, 0):
            for text in (example.input, example.target, *example.choices):
                words.update(tokens(text))
    assert len(words) <= 920


def test_documents_are_short_and_teach_every_fact():
    lengths = [len(tokens(text)) for text in documents()]
    assert 60 <= sum(lengths) / len(lengths) <= 80 and max(lengths) < 128
    text = " ".join(documents())
    for subject in (*WORLD.people, *WORLD.places):
        told = [
            any(
                sentence(s.format(s=subject, v=getattr(entity, relation.name))) in text
                for s in relation.statements
            )
            for entity in (WORLD.people.get(subject) or WORLD.places[subject],)
            for relation in relations_of(subject)
        ]
        assert all(told), subject


def test_no_prompt_stands_in_the_corpus():
    text = " ".join(documents()).lower()
    assert not [question for question, *_ in ALL_HOPS if question in text]
    for relation in PERSON_RELATIONS + PLACE_RELATIONS:
        for question in relation.questions:
            assert not any(question.format(s=s).lower() in text for s in WORLD.people)
    for name in TASKS:
        for example in rows(name, "test"):
            assert example.input.lower() not in text


@pytest.mark.parametrize(
    "texts",
    [
        pytest.param(lambda n=name: [f"{e.input} {e.target}" for e in rows(n, "train")], id=name)
        for name in TASKS
    ]
    + [pytest.param(documents, id="corpus")],
)
def test_the_english_is_plain_and_correct(texts):
    for text in texts():
        assert not re.search(r"\ba [aeio]|\ban [^aeiou]", text), text
        assert not re.search(r"\b(\w{2,}) \1\b", text.replace("that that", "")), text
        assert not re.search(r"\s[.,?:!]|[.?!][.?!]|\.[A-Za-z]", text), text
        for name in (*WORLD.people, *WORLD.places, *lexicon.RIVERS, *lexicon.DAYS):
            assert not re.search(rf"\b{name.lower()}\b", text), text
    for text in texts() if texts is documents else ():
        assert all(part[0].isupper() for part in re.split(r"(?<=[.?]) ", text)), text


def test_the_little_grammar():
    assert [a(noun) for noun in ("owl", "useful toy", "dog", "milk")] == [
        "an owl", "a useful toy", "a dog", "milk",
    ]  # fmt: skip
    assert [plural(noun) for noun in ("dog", "sheep", "cherry")] == ["dogs", "sheep", "cherries"]


def test_knowledge_contradicts_itself_nowhere():
    effects = [effect for _, effect in knowledge.CAUSES]
    assert len(set(effects)) == len(effects)
    steps = [step for steps in knowledge.SCRIPTS.values() for step in steps]
    assert len(set(steps)) > 0.9 * len(steps)
    members = [m for group in lexicon.CATEGORIES.values() for m in group]
    assert len(set(members)) == len(members)
    assert build_world() == WORLD and build_world(1) != WORLD


def test_the_page_is_in_step():
    assert (ROOT / "docs" / "micro_world.md").read_text() == page()
