"""Names of T0's tasks in instruction mixtures: what is taken for one, and what is not."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from mergescale.tasks.mixtures.t0_datasets import OTHER_DATASETS, STUDY_DATASETS, t0_dataset

DATA = Path(__file__).parents[3] / ".." / "shared" / "data"
FLAN = DATA / "flan"
needs_flan = pytest.mark.skipif(not FLAN.is_dir(), reason="no mixture in ../shared/data here")

# Tasks of T0 as collections call them: the study's dataset, or T0's own name of another one.
NAMES = {
    "anli/r1:0.1.0": "anli",
    "anli_r3_10templates": "anli",
    "task1387_anli_r3_entailment": "anli",
    "t0_task_adaptation:anli_GPT_3_style_r1_score_eval": "anli",
    "task1393_superglue_copa_text_completion": "copa",
    "super_glue_copa_C1_or_C2_premise_so_because_": "copa",
    "task828_copa_commonsense_cause_effect": "copa",
    "super_glue/rte:1.0.2": "rte",
    "task1344_glue_entailment_classification": "rte",
    "super_glue_wsc.fixed_GPT_3_Style": "wsc",
    "task1390_wscfixed_coreference": "wsc",
    "wsc273:1.0.0": "wsc",
    "glue/wnli:2.0.0": "wsc",
    "task133_winowhy_reason_plausibility_detection": "wsc",
    "winogrande:1.2.0": "winogrande",
    "task029_winogrande_full_object": "winogrande",
    "super_glue/wic:1.0.2": "wic",
    "task625_xlwic_true_or_false_answer_generation": "wic",
    "hellaswag:1.1.0": "hellaswag",
    "task1389_hellaswag_completion": "hellaswag",
    "glue/mrpc:2.0.0": "mrpc",
    "task1288_glue_mrpc_paraphrasing": "mrpc",
    "glue_qqp_10templates": "qqp",
    "task1287_glue_qqp_paraphrasing": "qqp",
    "ag_news_subset:1.0.0": "ag_news",
    "task1541_agnews_classification": "ag_news",
    "task629_dbpedia_14_answer_generation": "dbpedia",
    "imdb_reviews/plain_text:1.0.0": "imdb",
    "task284_imdb_classification": "imdb",
    "task761_app_review_classification": "app_reviews",
    "app_reviews_convert_to_star_rating": "app_reviews",
    "gem/common_gen:1.1.0": "common_gen",
    "task102_commongen_sentence_generation": "common_gen",
    "wiki_bio_what_content": "wiki_bio",
    "cnn_dailymail:3.4.0": "cnn_dailymail",
    "task1553_cnn_dailymail_summarization": "cnn_dailymail",
    "huggingface:xsum": "xsum",
    "task1290_xsum_summarization": "xsum",
    "cosmos_qa:1.0.0": "cosmos_qa",
    "task024_cosmosqa_answer_generation": "cosmos_qa",
    "task247_dream_answer_generation": "dream",
    "task1640_aqa1.0_answerable_unanswerable_question_classification": "adversarial_qa",
    "adversarial_qa_dbidaf_answer_the_following_q": "adversarial_qa",
    "task061_ropes_answer_generation": "ropes",
    "kilt_tasks_hotpotqa_combining_facts": "hotpot_qa",
    "task1293_kilt_tasks_hotpotqa_question_answering": "hotpot_qa",
    "task1294_wiki_qa_answer_verification": "wiki_qa",
    "bool_q:1.0.0": "super_glue/boolq",
    "task1661_super_glue_classification": "super_glue/boolq",
    "task1388_cb_entailment": "super_glue/cb",
    "task339_record_answer_generation": "super_glue/record",
    "task309_race_answer_generation": "race",
    "ai2_arc/ARC-Challenge:1.0.0": "ai2_arc",
    "cot_qasc": "qasc",
}
KEPT = (
    "task1146_country_capital",
    "task067_abductivenli_answer_generation",
    "manlike",
    "organlist",
    "sports_record",
    "human_race_history",
    "copacabana",
    "rotunda",
    "critical_wicket",
    "task1711_poki_text_generation",
    "glue/cola:2.0.0",
    "snli:1.1.0",
)


@pytest.mark.parametrize("name, dataset", NAMES.items())
def test_tasks_of_t0_are_known_by_name(name, dataset):
    assert t0_dataset(name) == dataset


@pytest.mark.parametrize("name", KEPT)
def test_other_tasks_are_not_taken_for_them(name):
    assert t0_dataset(name) is None


def test_every_dataset_of_the_study_is_known_by_its_own_name():
    from mergescale.tasks.micro_world.evaluation import TASKS

    assert set(STUDY_DATASETS) == set(TASKS)
    assert not set(STUDY_DATASETS) & set(OTHER_DATASETS)
    assert {name: t0_dataset(name) for name in (*STUDY_DATASETS, *OTHER_DATASETS)} == {
        name: name for name in (*STUDY_DATASETS, *OTHER_DATASETS)
    }


@needs_flan
def test_names_of_a_cleaned_collection_stay_and_those_of_t0_go():
    with open(FLAN / "INDEX.tsv", newline="") as stream:
        names = [row["task"] for row in csv.DictReader(stream, delimiter="\t")]
    assert len(names) > 150
    assert [name for name in names if t0_dataset(name)] == []
    with open(DATA / "t0" / "datasets.csv", newline="") as stream:
        names = [
            "_".join(filter(None, [r["HF_name"], r["subset"]])) for r in csv.DictReader(stream)
        ]
    assert len(names) > 50
    assert [name for name in names if not t0_dataset(name)] == []
