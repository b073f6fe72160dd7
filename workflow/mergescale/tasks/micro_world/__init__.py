"""The micro world: a small synthetic world with stand-ins for all 23 datasets of the study.

`TASKS` holds the tasks by name, `CEILING` the best score that a perfect model can reach, and
`corpus(rows, seed)` writes pre-training texts about the same world.
"""

from __future__ import annotations

from mergescale.tasks.micro_world import (
    closed_book_qa,
    coreference_resolution,
    extractive_qa,
    multiple_choice_qa,
    natural_language_inference,
    paraphrase_identification,
    sentence_completion,
    sentiment,
    structure_to_text,
    summarization,
    topic_classification,
    word_sense_disambiguation,
)
from mergescale.tasks.micro_world.corpus import corpus
from mergescale.tasks.task import Task

CATEGORIES = (
    multiple_choice_qa,
    extractive_qa,
    closed_book_qa,
    sentiment,
    topic_classification,
    structure_to_text,
    summarization,
    paraphrase_identification,
    sentence_completion,
    natural_language_inference,
    coreference_resolution,
    word_sense_disambiguation,
)
TASKS: dict[str, Task] = {task.name: task for category in CATEGORIES for task in category.TASKS}
# Gold answers follow from prompt and corpus alone, labels are not noisy: nothing is lost.
CEILING: dict[str, float] = dict.fromkeys(TASKS, 1.0)

__all__ = ["CEILING", "TASKS", "corpus"]
