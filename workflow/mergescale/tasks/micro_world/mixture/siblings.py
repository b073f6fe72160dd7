"""Which mixture tasks are siblings of an evaluation category, and why they are not its tasks.

FLAN without T0's datasets still teaches sentiment, topics, summaries, paraphrases and questions on
texts, in other datasets and other words. The micro world's mixture does the same: each category of
evaluation has several siblings, with other labels, other wordings, other contents or the other
direction. docs/micro_world.md prints this table.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Siblings:
    """The siblings of a category.

    Attributes:
        tasks: names of mixture tasks.
        difference: why they are not the category's tasks.
    """

    tasks: tuple[str, ...]
    difference: str


SIBLINGS: dict[str, Siblings] = {
    "multiple_choice_qa": Siblings(
        ("who_said", "talk_options", "scene_options", "feeling_reason", "tool_use", "animal",
         "compare"),
        "DREAM asks what a speaker has, wants or feels, and where he is; these ask for the "
        "speaker, or for what other sentences say. Cosmos QA goes from events to feelings and from "
        "plans to tools; these go from feelings to events and from tools to uses.",
    ),
    "extractive_qa": Siblings(
        ("find", "find_in_talk", "find_on_days", "rule_outcome", "rule_owner", "check"),
        "Other questions (days, colors, speakers) on other sentences; the rules are others than "
        "those of ROPES, and they are asked for an outcome or a person, not for a span that names "
        "the thing.",
    ),
    "closed_book_qa": Siblings(
        ("recall", "complete_fact", "two_facts", "fact_check", "home_of", "answered"),
        "HotpotQA's questions follow other pairs of facts (a friend's home, a mother's job); these "
        "have single facts, pairs that it does not ask for, and the way back from a fact to a "
        "person. WikiQA's candidates are facts of the world, those of `answered` invented events.",
    ),
    "sentiment": Siblings(
        ("likes", "grade", "points", "better", "pleased", "in_the_end", "opinion_word", "number"),
        "Opinions on food, songs and parties, not on apps and films, told by what people do; the "
        "labels are grades, points, names and words of praise, not stars and verdicts.",
    ),
    "topic_classification": Siblings(
        ("subject", "two_subjects", "same_subject", "subject_word", "entry_kind", "which_job",
         "kind_of"),
        "Letters, not news, with other names for their subjects (politics, games, trade, "
        "research); entries in five coarse kinds, not in DBPedia's 14 classes, in other sentences.",
    ),
    "structure_to_text": Siblings(
        ("card", "to_card", "town_card", "deed_list", "unscramble", "with_words"),
        "Cards have other fields than WikiBio's tables and become other sentences, also the other "
        "way round; CommonGen's concepts become a plain sentence, these words a question, a plan, "
        "or the sentence whose words they all are.",
    ),
    "summarization": Siblings(
        ("title", "gist", "main_points", "shorten", "talk", "subject_line", "copy_sentence"),
        "Other events than those of the newspapers, letters, and talks.",
    ),
    "paraphrase_identification": Siblings(
        ("same_event", "same_request", "alike", "which_same", "in_other_words", "same_story"),
        "Other ways to say the same (it was Anna who ...) than MRPC's order and synonyms; "
        "questions about invented events, not QQP's questions about people and how to do things; "
        "the labels are others, and some tasks ask for the paraphrase itself.",
    ),
    "sentence_completion": Siblings(
        ("reason", "result", "reason_options", "result_options", "linked", "next_step",
         "next_step_options", "step_fits"),
        "The same causes and scripts of the world, as yes-no questions, to be completed freely, or "
        "among other alternatives; no premise with the alternatives of an evaluated row.",
    ),
    "natural_language_inference": Siblings(
        ("three_way", "kind_claim", "state_claim", "agree", "which_follows"),
        "Claims about people, things and places, not about pets with two traits, in other words; "
        "no premise with the hypothesis of an evaluated row.",
    ),
    "coreference_resolution": Siblings(
        ("pronoun_fits", "pronoun_choice", "pronoun_check", "who_has_trait", "gap"),
        "Other sentences and other pairs of things; names among two options or a claim to check.",
    ),
    "word_sense_disambiguation": Siblings(
        ("sense_choice", "sense_check", "sense_both", "sense_match", "sense_glosses"),
        "The senses are named, or the sentence is asked for; WiC compares two other sentences.",
    ),
}  # fmt: skip
"""{category of evaluation: its siblings}"""
