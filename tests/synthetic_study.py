"""Synthetic studies for the tests: seeded scores as tidy tables, and the published numbers."""

import csv
import io
import random
from pathlib import Path

from mergescale.stages import performance

PAPER_TABLES = Path(__file__).parents[1] / "config" / "paper_tables.csv"
HELD_IN = {
    "multiple_choice_qa": ["dream", "cosmos_qa"],
    "extractive_qa": ["adversarial_qa", "ropes"],
    "closed_book_qa": ["hotpot_qa", "wiki_qa"],
    "sentiment": ["app_reviews", "imdb"],
    "topic_classification": ["ag_news", "dbpedia"],
    "structure_to_text": ["common_gen", "wiki_bio"],
    "summarization": ["cnn_dailymail", "xsum"],
    "paraphrase_identification": ["mrpc", "qqp"],
}
HELD_OUT = {
    "sentence_completion": ["copa", "hellaswag"],
    "natural_language_inference": ["anli", "rte"],
    "coreference_resolution": ["wsc", "winogrande"],
    "word_sense_disambiguation": ["wic"],
}
METHODS = ("averaging", "task_arithmetic", "ties", "dare_ties")
SIZES = ("38k", "130k", "394k", "860k")
COLUMNS = (
    "size,base,model,expert,method,count,seed,role,category,task,metric,rows,score,density,lambda"
).split(",")


def to_csv(rows, columns) -> str:
    """Dictionaries as CSV text; a missing key is an empty cell."""
    stream = io.StringIO()
    writer = csv.DictWriter(stream, columns, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return stream.getvalue()


def read_rows(path) -> list[dict]:
    """The rows of a CSV file as dictionaries of text."""
    return list(csv.DictReader(io.StringIO(path.read_text())))


def cell(rows, **where) -> dict:
    """The only row with these values."""
    (row,) = [row for row in rows if all(row[key] == str(value) for key, value in where.items())]
    return row


def run_performance_stage(folder) -> None:
    """Write normalized.csv and performance.csv from scores.csv and draws.csv in `folder`."""
    names = ("scores", "draws", "normalized", "performance")
    files = {name: Path(folder) / f"{name}.csv" for name in names}
    performance.run(performance.Arguments(**files))


def finish_study(folder, **choices) -> Path:
    """Write a synthetic study up to performance.csv into `folder`; `choices` as `write_study`."""
    study = write_study(folder, **choices)
    run_performance_stage(study)
    return study


def _draws(counts, seeds):
    for count in counts:
        for seed in seeds:
            names = sorted(random.Random(f"{seed}/{count}").sample(sorted(HELD_IN), count))
            yield {"count": count, "seed": seed, "categories": ";".join(names)}


def _tasks():
    for role, categories in (("held_in", HELD_IN), ("held_out", HELD_OUT)):
        for category, tasks in categories.items():
            for task in tasks:
                yield {"role": role, "category": category, "task": task}


def write_study(
    folder,
    *,
    sizes=SIZES,
    bases=("pt", "it"),
    methods=METHODS,
    counts=(2, 4, 6, 8),
    seeds=(0, 1, 2),
    multitask=True,
    zero_task="",
    identical_draws=False,
):
    """Write scores.csv, draws.csv and tasks.csv of a synthetic study into `folder`.

    Bigger sizes, better bases and fewer constituents score higher. `zero_task` names a dataset
    on which every reference scores 0. With `identical_draws`, a merge's scores depend on its
    constituents alone, as those of a deterministic method do.
    """
    noise = random.Random(7)
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    draws = list(_draws(counts, seeds))
    tasks = list(_tasks())
    scores = []
    merged = {}

    def score(level):
        return f"{min(max(level + noise.gauss(0, 0.03), 0.01), 0.99):.6f}"

    for s, size in enumerate(sizes):
        for base in bases:
            lift = 0.05 * s + (0.1 if base == "it" else 0)
            common = {"size": size, "base": base, "metric": "accuracy", "rows": 200}
            for task in tasks:
                value = "0" if task["task"] == zero_task else score(0.3 + lift)
                scores.append({**common, **task, "model": "base", "score": value})
            for expert in HELD_IN:
                for task in tasks:
                    if task["role"] == "held_in" and task["category"] != expert:
                        continue
                    value = score(0.7 + 0.05 * s if task["role"] == "held_in" else 0.3 + lift)
                    value = "0" if task["task"] == zero_task else value
                    scores.append(
                        {**common, **task, "model": "expert", "expert": expert, "score": value}
                    )
            for task in tasks if multitask else ():
                value = score(0.75 + 0.05 * s if task["role"] == "held_in" else 0.35 + lift)
                scores.append({**common, **task, "model": "multitask", "score": value})
            for draw in draws:
                chosen = draw["categories"].split(";")
                for m, method in enumerate(methods):
                    merge = {
                        **common,
                        "model": "merge",
                        "method": method,
                        "count": draw["count"],
                        "seed": draw["seed"],
                        "density": "" if m == 0 else 0.2,
                        "lambda": "" if m == 0 else 0.4,
                    }
                    loss = 0.03 * draw["count"] * (2 - 0.3 * s if base == "pt" else 1 - 0.2 * s)
                    for task in tasks:
                        if task["role"] == "held_in" and task["category"] not in chosen:
                            continue
                        level = 0.7 + 0.05 * s - loss if task["role"] == "held_in" else 0.32 + lift
                        value = score(level + 0.01 * m)
                        if identical_draws:
                            value = merged.setdefault(
                                (size, base, method, *chosen, task["task"]), value
                            )
                        scores.append({**merge, **task, "score": value})
    (folder / "scores.csv").write_text(to_csv(scores, COLUMNS))
    (folder / "draws.csv").write_text(to_csv(draws, ["count", "seed", "categories"]))
    described = [
        {
            **task,
            "title": task["task"].replace("_", " ").title(),
            "kind": "rank",
            "metric": "accuracy",
            "chance": 0.25,
            "ceiling": 1.0,
            "rows": 200,
        }
        for task in tasks
    ]
    columns = "task,title,category,role,kind,metric,chance,ceiling,rows".split(",")
    (folder / "tasks.csv").write_text(to_csv(described, columns))
    return folder


def paper_performance() -> str:
    """The published Tables 1-4 as the text of a performance.csv (one draw: no spread is given)."""
    names = {
        "Average": "averaging",
        "Task Arithmetic": "task_arithmetic",
        "TIES": "ties",
        "Dare-TIES": "dare_ties",
        "Multitask": "multitask",
    }
    bases = {"PaLM-2": "pt", "PaLM-2-IT": "it"}
    rows = []
    with PAPER_TABLES.open(newline="") as stream:
        for row in csv.DictReader(stream):
            value = f"{float(row['normalized_performance']):.6f}"
            rows.append(
                {
                    "size": row["model_size"],
                    "base": bases[row["base_model"]],
                    "role": row["evaluation"].replace("-", "_"),
                    "method": names[row["method"]],
                    "count": row["num_experts"],
                    "mean": value,
                    "spread_low": value,
                    "spread_high": value,
                    "std": "",
                    "draws": 1,
                }
            )
    columns = "size,base,role,method,count,mean,spread_low,spread_high,std,draws".split(",")
    return to_csv(rows, columns)
