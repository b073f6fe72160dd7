"""BLEU by the sacrebleu package, with its default tokenizer (13a) and smoothing."""

from collections.abc import Sequence
from itertools import zip_longest

import sacrebleu

from mergescale.evaluation.metrics.base import TextMetric


class Bleu(TextMetric):
    """BLEU of answers, each against all of its references; and `corpus_bleu`, of all together."""

    source = (
        'Papineni et al., 2002, "BLEU: a Method for Automatic Evaluation of Machine Translation"; '
        'Post, 2018, "A Call for Clarity in Reporting BLEU Scores"'
    )

    def score_one(self, prediction: str, references: Sequence[str]) -> float:
        return _share(sacrebleu.sentence_bleu(prediction, list(references)).score)

    def score_corpus(
        self, predictions: Sequence[str], references: Sequence[Sequence[str]]
    ) -> dict[str, float]:
        # sacrebleu takes the first references of all predictions, then the second ones, ...
        streams = [list(stream) for stream in zip_longest(*references)]
        return {"corpus_bleu": _share(sacrebleu.corpus_bleu(list(predictions), streams).score)}


def _share(score: float) -> float:
    """A score from 0 to 100 as one from 0 to 1; sacrebleu's may exceed 100 by a rounding error."""
    return min(1.0, score / 100)


Metric = Bleu
