"""Stand-ins for the 23 datasets on the hub: parquet files in exactly its columns and types.

The rows are invented; the schemas are those that the hub lists (`tests/tasks/public/test_rows.py`
compares them where the list is at hand).
"""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

TEXT, INT, LABEL = pa.string(), pa.int32(), pa.int64()
COMMIT = "0123456789abcdef0123456789abcdef01234567"
ANSWERS = pa.struct([("text", pa.list_(TEXT)), ("answer_start", pa.list_(INT))])
TABLE = pa.struct(
    [
        ("column_header", pa.list_(TEXT)),
        ("row_number", pa.list_(pa.int16())),
        ("content", pa.list_(TEXT)),
    ]
)
EVIDENCE = pa.struct(
    [
        ("start_paragraph_id", INT),
        ("end_paragraph_id", INT),
        ("title", TEXT),
        ("section", TEXT),
        ("wikipedia_id", TEXT),
        ("meta", pa.struct([("evidence_span", pa.list_(TEXT))])),
    ]
)
PROVENANCE = pa.struct(
    [
        ("bleu_score", pa.float32()),
        ("start_character", INT),
        ("start_paragraph_id", INT),
        ("end_character", INT),
        ("end_paragraph_id", INT),
        (
            "meta",
            pa.struct(
                [
                    ("fever_page_id", TEXT),
                    ("fever_sentence_id", INT),
                    ("annotation_id", TEXT),
                    ("yes_no_answer", TEXT),
                    ("evidence_span", pa.list_(TEXT)),
                ]
            ),
        ),
        ("section", TEXT),
        ("title", TEXT),
        ("wikipedia_id", TEXT),
    ]
)
KILT_META = pa.struct(
    [
        ("left_context", TEXT),
        ("mention", TEXT),
        ("right_context", TEXT),
        ("partial_evidence", pa.list_(EVIDENCE)),
        *((name, pa.list_(TEXT)) for name in ("obj_surface", "sub_surface", "subj_aliases")),
        ("template_questions", pa.list_(TEXT)),
    ]
)
KILT_OUTPUT = pa.struct(
    [
        ("answer", TEXT),
        ("meta", pa.struct([("score", INT)])),
        ("provenance", pa.list_(PROVENANCE)),
    ]
)


def _texts(*names: str) -> dict[str, pa.DataType]:
    return dict.fromkeys(names, TEXT)


SCHEMAS: dict[str, dict[str, pa.DataType]] = {
    "dream": {
        "id": INT,
        "dialogue_id": TEXT,
        "dialogue": pa.list_(TEXT),
        "question": TEXT,
        "choice": pa.list_(TEXT),
        "answer": TEXT,
    },
    "cosmos_qa": {
        **_texts("id", "context", "question", "answer0", "answer1", "answer2", "answer3"),
        "label": INT,
    },
    "adversarial_qa": {
        **_texts("id", "title", "context", "question"),
        "answers": ANSWERS,
        "metadata": pa.struct([("split", TEXT), ("model_in_the_loop", TEXT)]),
    },
    "ropes": {
        **_texts("id", "background", "situation", "question"),
        "answers": pa.struct([("text", pa.list_(TEXT))]),
    },
    "hotpot_qa": {
        **_texts("id", "input"),
        "meta": KILT_META,
        "output": pa.list_(KILT_OUTPUT),
    },
    "wiki_qa": {**_texts("question_id", "question", "document_title", "answer"), "label": LABEL},
    "app_reviews": {**_texts("package_name", "review", "date"), "star": pa.int8()},
    "imdb": {"text": TEXT, "label": LABEL},
    "ag_news": {"text": TEXT, "label": LABEL},
    "dbpedia": {"label": LABEL, **_texts("title", "content")},
    "common_gen": {"concept_set_idx": INT, "concepts": pa.list_(TEXT), "target": TEXT},
    "wiki_bio": {
        "input_text": pa.struct([("table", TABLE), ("context", TEXT)]),
        "target_text": TEXT,
    },
    "cnn_dailymail": _texts("article", "highlights", "id"),
    "xsum": _texts("document", "summary", "id"),
    "mrpc": {**_texts("sentence1", "sentence2"), "label": LABEL, "idx": INT},
    "qqp": {**_texts("question1", "question2"), "label": LABEL, "idx": INT},
    "copa": {**_texts("premise", "choice1", "choice2", "question"), "idx": INT, "label": LABEL},
    "hellaswag": {
        "ind": INT,
        **_texts("activity_label", "ctx_a", "ctx_b", "ctx"),
        "endings": pa.list_(TEXT),
        **_texts("source_id", "split", "split_type", "label"),
    },
    "anli": {**_texts("uid", "premise", "hypothesis"), "label": LABEL, "reason": TEXT},
    "rte": {**_texts("premise", "hypothesis"), "idx": INT, "label": LABEL},
    "wsc": {
        "text": TEXT,
        "span1_index": INT,
        "span2_index": INT,
        **_texts("span1_text", "span2_text"),
        "idx": INT,
        "label": LABEL,
    },
    "winogrande": _texts("sentence", "option1", "option2", "answer"),
    "wic": {
        **_texts("word", "sentence1", "sentence2"),
        **dict.fromkeys(("start1", "start2", "end1", "end2", "idx"), INT),
        "label": LABEL,
    },
}
# Test answers are hidden there.
HIDDEN = frozenset(
    "cosmos_qa adversarial_qa ropes hotpot_qa common_gen qqp".split()
    + "copa hellaswag rte wsc winogrande wic".split()
)
LABELS = {"ag_news": 4, "dbpedia": 14, "cosmos_qa": 4, "anli": 3}


def row(name: str, number: int, split: str = "train", *, hidden: bool = False) -> dict:
    """A row of a dataset in the hub's columns; `number` and `split` make its texts its own."""
    tag = f"{split}{number}"
    found = {column: _value(kind, column, tag) for column, kind in SCHEMAS[name].items()}
    if "label" in found and name != "hellaswag":
        found["label"] = -1 if hidden else number % LABELS.get(name, 2)
    found |= _own(name, number, tag, hidden)
    return found


def _own(name: str, number: int, tag: str, hidden: bool) -> dict:
    """The columns of a dataset that are neither arbitrary texts nor a label."""
    gold = [] if hidden else [f"gold {tag}", f"also {tag}"]
    match name:
        case "dream":
            choices = [f"{word} {tag}" for word in ("left", "right", "straight")]
            return {"choice": choices, "answer": choices[number % 3]}
        case "adversarial_qa":
            return {"answers": {"text": gold, "answer_start": [0] * len(gold)}}
        case "ropes":
            return {"answers": {"text": gold}}
        case "hotpot_qa":
            given = [{"answer": text, "meta": {"score": 1}, "provenance": []} for text in gold]
            # Evidence alone, without an answer.
            return {"output": [*given, {"answer": None, "meta": None, "provenance": []}]}
        case "app_reviews":
            return {"star": number % 5 + 1}
        case "common_gen":
            # Two rows, two sentences, one set of words.
            words = [f"{word}{tag[:-1]}{number // 2}" for word in ("dog", "run", "park")]
            return {"concepts": words, "target": "" if hidden else f"A sentence {tag}."}
        case "wiki_bio":
            table = {
                "column_header": ["birth_date", "image"],
                "row_number": [1, 1],
                "content": [f"1 may 19{number % 90 + 10} -lrb- {tag} -rrb-", "<none>"],
            }
            return {"input_text": {"table": table, "context": f"person {tag}"}}
        case "copa":
            return {"question": ("cause", "effect")[number % 2]}
        case "hellaswag":
            return {
                "endings": [f"ending {place} of {tag}" for place in range(4)],
                "label": "" if hidden else str(number % 4),
            }
        case "winogrande":
            return {"sentence": f"The _ in {tag}.", "answer": "" if hidden else "12"[number % 2]}
    return {}


def _value(kind: pa.DataType, column: str, tag: str):
    if kind == TEXT:
        return f"{column} {tag}"
    if pa.types.is_list(kind):
        return [_value(kind.value_type, column, f"{tag}-{place}") for place in range(2)]
    if pa.types.is_struct(kind):
        return {field.name: _value(field.type, field.name, tag) for field in kind}
    return 0


def write_parquet(path: Path, name: str, rows: list[dict]) -> None:
    """Write rows in the hub's columns and types."""
    path.parent.mkdir(parents=True, exist_ok=True)
    schema = pa.schema(list(SCHEMAS[name].items()))
    pq.write_table(pa.Table.from_pylist(rows, schema=schema), path)


def snapshot(root: Path, name: str, hub, rows: int = 60) -> Path:
    """The folder of a dataset as the hub's client returns it, named after the commit."""
    folder = root / name / "snapshots" / COMMIT
    for role, splits in hub.splits.items():
        for split in splits:
            hidden = role == "test" and name in HIDDEN
            made = [row(name, number, split, hidden=hidden) for number in range(rows)]
            write_parquet(folder / hub.config / split / "0000.parquet", name, made)
    return folder
