"""Contents that the evaluation tests: the mixture must never show them, in whatever words.

Most mixture tasks differ from evaluation rows in what they are about (other things, other deeds,
other numbers of options). Where a task has to speak of the same few sentences, draws are checked
here.
"""

from __future__ import annotations

from collections.abc import Iterable

from mergescale.tasks.task import split_of


def tested(task: str, keys: Iterable[str]) -> bool:
    """Whether a content of an evaluation task, named by its key, is not in its training split."""
    return any(split_of(f"{task}/{key}") != "train" for key in keys)


def tested_in_copa(premise: str, first: str, second: str) -> bool:
    """Whether COPA tests the premise with these two alternatives; clauses without full stops."""
    orders = ((first, second), (second, first))
    return tested("copa", [f"{premise} {choices}" for choices in orders])


def tested_in_wic(word: str, first: str, second: str) -> bool:
    """Whether WiC tests the word with these two sentences, in either order."""
    return tested("wic", [f"{word}: {first} {second}", f"{word}: {second} {first}"])
