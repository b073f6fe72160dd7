"""T0's datasets, and their names in collections of instructions.

An instruction mixture must have none of them: held-out scores of the base that is tuned on it are
zero-shot scores.
The datasets are those of T0, T0+ and T0++, for training and evaluation (Sanh et al., 2022, arXiv
2110.08207, appendix); the names are those of the hub, of FLAN 2021 (`glue/mrpc:2.0.0`), of FLAN v2
and P3 (`super_glue_copa_C1_or_C2_premise_so_because_`) and of Super-NaturalInstructions
(`task1393_superglue_copa_text_completion`).
"""

from __future__ import annotations

import re
from functools import cache

# The study's 23 datasets, by their names here. An alias is a run of words of a task's name; with ^
# it must begin the name, because elsewhere it is a common word.
STUDY_DATASETS: dict[str, tuple[str, ...]] = {
    "dream": ("dream",),
    "cosmos_qa": ("cosmos qa", "cosmosqa", "cosmos"),
    "adversarial_qa": ("adversarial qa", "adversarialqa", "aqa1", "dbidaf", "dbert", "droberta"),
    "ropes": ("ropes",),
    "hotpot_qa": ("hotpot qa", "hotpotqa", "hotpot"),
    "wiki_qa": ("wiki qa", "wikiqa"),
    "app_reviews": ("app reviews", "app review", "appreviews"),
    "imdb": ("imdb",),
    "ag_news": ("ag news", "agnews"),
    "dbpedia": ("dbpedia", "dbpedia14"),
    "common_gen": ("common gen", "commongen"),
    "wiki_bio": ("wiki bio", "wikibio"),
    "cnn_dailymail": ("cnn dailymail", "cnn dm", "cnndm", "dailymail", "daily mail"),
    "xsum": ("xsum",),
    "mrpc": ("mrpc", "msr paraphrase", "microsoft research paraphrase"),
    "qqp": ("qqp", "quora"),
    "copa": ("copa", "xcopa", "balancedcopa"),
    "hellaswag": ("hellaswag", "hella swag"),
    "anli": ("anli", "adversarial nli"),
    # Super-NaturalInstructions' task1344 is RTE in the form of GLUE.
    "rte": ("rte", "glue entailment", "recognizing textual entailment"),
    # WNLI and WinoWhy are made of the same sentences.
    "wsc": ("wsc", "wscfixed", "wsc273", "winograd", "wnli", "winowhy"),
    "winogrande": ("winogrande",),
    "wic": ("wic", "xlwic", "word in context", "words in context"),
}
# The rest of T0, by the names of the hub.
OTHER_DATASETS: dict[str, tuple[str, ...]] = {
    "ai2_arc": ("ai2 arc", "^arc", "arc easy", "arc challenge"),
    "amazon_polarity": ("amazon polarity", "amazonreview polarity", "amazon review polarity"),
    "cos_e": ("cos e", "^cose", "ecqa", "commonsense qa", "commonsenseqa"),
    "crows_pairs": ("crows pairs", "crowspairs"),
    "duorc": ("duorc",),
    "gigaword": ("gigaword",),
    "jigsaw_toxicity_pred": ("jigsaw",),
    "multi_news": ("multi news", "multinews"),
    "openbookqa": ("openbookqa", "openbook qa", "open book qa", "obqa"),
    "paws": ("paws",),
    "piqa": ("piqa",),
    "qasc": ("qasc",),
    "quail": ("quail",),
    "quarel": ("quarel",),
    "quartz": ("quartz",),
    "quoref": ("quoref",),
    "race": ("^race", "race high", "race middle"),
    "rotten_tomatoes": ("rotten tomatoes", "rottentomatoes"),
    "samsum": ("samsum",),
    "sciq": ("sciq",),
    "social_i_qa": ("social i qa", "social iqa", "socialiqa", "siqa"),
    "squad_v2": ("squad", "squad1", "squad2"),
    "story_cloze": ("story cloze", "storycloze"),
    "super_glue/axg": ("axg",),
    # task1661 of Super-NaturalInstructions, called by the collection alone, is BoolQ.
    "super_glue/boolq": ("boolq", "bool q", "super glue classification"),
    "super_glue/cb": ("^cb", "glue cb", "superglue cb", "commitmentbank", "commitment bank"),
    "super_glue/multirc": ("multirc", "multi rc"),
    "super_glue/record": ("^record", "glue record", "superglue record"),
    "trec": ("trec",),
    "trivia_qa": ("trivia qa", "triviaqa"),
    "web_questions": ("web questions", "webquestions"),
    "wiki_hop": ("wiki hop", "wikihop"),
    "wino_bias": ("wino bias", "winobias"),
    "wiqa": ("wiqa",),
    "yelp_review_full": ("yelp",),
}

# Prefixes that collections add to names.
_PREFIX = re.compile(r"^(t0_task_adaptation:|task\d+_|cot_)")


@cache
def t0_dataset(task: str) -> str | None:
    """The T0 dataset that a task's name stands for; None if there is none.

    Whole words count: `anli` is found in `anli/r1:0.1.0`, not in `manlike`.
    """
    words = re.findall(r"[a-z0-9]+", _PREFIX.sub("", task.lower()))
    name = f" {' '.join(words)} "
    for dataset, aliases in {**STUDY_DATASETS, **OTHER_DATASETS}.items():
        for alias in aliases:
            if alias.startswith("^"):
                if name.startswith(f" {alias[1:]} "):
                    return dataset
            elif f" {alias} " in name:
                return dataset
    return None
