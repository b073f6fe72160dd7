"""The metrics as modules of Hugging Face's `evaluate` library, which would fetch them from the hub.

    load_metric("rouge_l").compute(predictions=["a cat"], references=[["the cat", "a cat"]])

A reference is a text or a list of texts. Values are in 0..1, means over the examples.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from statistics import fmean
from typing import TYPE_CHECKING

from mergescale.evaluation.bleu import corpus_bleu
from mergescale.evaluation.metrics import GENERATION_METRICS

if TYPE_CHECKING:
    import evaluate

Texts = Sequence[str]
References = Sequence[Sequence[str]]


def _mean(metric: str) -> Callable[[Texts, References], float]:
    score = GENERATION_METRICS[metric]
    return lambda predictions, references: fmean(map(score, predictions, references))


def _accuracy(predictions: Texts, references: References) -> float:
    return fmean(map(lambda text, accepted: text in accepted, predictions, references))


# By name of the module: the values that it gives, by their names.
_VALUES: dict[str, dict[str, Callable[[Texts, References], float]]] = {
    "accuracy": {"accuracy": _accuracy},
    "exact_match": {"exact_match": _mean("exact_match")},
    "squad": {"exact_match": _mean("exact_match"), "f1": _mean("squad_f1")},
    "rouge_l": {"rouge_l": _mean("rouge_l")},
    "bleu": {"bleu": _mean("bleu"), "corpus_bleu": corpus_bleu},
}
_ABOUT = {
    "accuracy": ("Share of predicted labels that are right.", ""),
    "exact_match": ("Share of answers that have a reference's words.", "Rajpurkar et al., 2016"),
    "squad": ("Exact match and word F1 of answers to questions.", "Rajpurkar et al., 2016"),
    "rouge_l": ("F-measure of the longest common subsequence of words.", "Lin, 2004"),
    "bleu": ("BLEU, as a mean over answers and of all together.", "Papineni et al., 2002"),
}
MODULES = tuple(_VALUES)


def load_metric(name: str) -> evaluate.Metric:
    """A metric with the interface of `evaluate`; nothing is fetched.

    Raises:
        ValueError: there is no such module; the message lists those there are.
    """
    if name not in _VALUES:
        raise ValueError(f"{name!r} is not a metric; there are: {', '.join(MODULES)}")
    # Slow to import.
    import datasets
    import evaluate

    text = datasets.Value("string")
    description, citation = _ABOUT[name]

    class Module(evaluate.Metric):
        def _info(self) -> evaluate.MetricInfo:
            return evaluate.MetricInfo(
                description=description,
                citation=citation,
                inputs_description="predictions: texts; references: a text or several for each.",
                features=[
                    datasets.Features({"predictions": text, "references": datasets.Sequence(text)}),
                    datasets.Features({"predictions": text, "references": text}),
                ],
            )

        def _compute(self, *, predictions: Texts, references: Sequence) -> dict[str, float]:
            lists = [[r] if isinstance(r, str) else list(r) for r in references]
            return {key: value(predictions, lists) for key, value in _VALUES[name].items()}

    Module.__name__ = name
    return Module(keep_in_memory=True)
