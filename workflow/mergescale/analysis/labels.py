"""Labels of methods, bases, roles, categories and metrics in figures, tables and the report."""

from __future__ import annotations

from mergescale.analysis.tidy_tables import MULTITASK
from mergescale.merging.registry import all_methods

BASES = {"pt": "PT", "it": "IT"}
ROLES = {"held_in": "held-in", "held_out": "held-out"}
METRICS = {
    "accuracy": "Accuracy",
    "exact_match": "Exact match",
    "squad_f1": "SQuAD F1",
    "rouge_l": "ROUGE-L",
    "bleu": "BLEU",
}
CATEGORIES = {
    "multiple_choice_qa": "Multiple-choice QA",
    "extractive_qa": "Extractive QA",
    "closed_book_qa": "Closed-book QA",
    "structure_to_text": "Structure-to-text",
}


def method_label(name: str) -> str:
    """The title that a merging method declares; "Multitask"; else the name itself."""
    if name == MULTITASK:
        return "Multitask"
    methods = all_methods()
    return methods[name].title if name in methods else name


def base_label(name: str) -> str:
    """PT, IT, or the name of another kind of base."""
    return BASES.get(name, name)


def role_label(name: str) -> str:
    """held-in or held-out."""
    return ROLES.get(name, name)


def metric_label(name: str) -> str:
    """The usual name of a metric, such as ROUGE-L."""
    return METRICS.get(name, name)


def category_label(name: str) -> str:
    """A category in words: "topic_classification" becomes "Topic classification"."""
    words = name.replace("_", " ")
    return CATEGORIES.get(name, words[:1].upper() + words[1:])
