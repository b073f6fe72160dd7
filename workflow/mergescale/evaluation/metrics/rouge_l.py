"""ROUGE-L by the rouge-score package."""

from collections.abc import Sequence

from rouge_score.rouge_scorer import RougeScorer
from rouge_score.tokenize import tokenize

from mergescale.evaluation.metrics.base import TextMetric

_SCORER = RougeScorer(["rougeL"], use_stemmer=False)


def rouge_l(prediction: str, reference: str) -> float:
    """F-measure of the longest common subsequence of words, without stemming.

    It is computed from the number of matching words, 2 * matches / (words of both texts), as
    2 * precision * recall / (precision + recall) is rounded more often and differs in its last bit.
    """
    words = [len(tokenize(text, None)) for text in (prediction, reference)]
    recall = _SCORER.score(target=reference, prediction=prediction)["rougeL"].recall
    matches = round(recall * words[1])
    return 2 * matches / sum(words) if matches else 0.0


class RougeL(TextMetric):
    """F-measure of the longest common subsequence of words; the best reference counts."""

    source = 'Lin, 2004, "ROUGE: A Package for Automatic Evaluation of Summaries"'

    def score_one(self, prediction: str, references: Sequence[str]) -> float:
        return max(rouge_l(prediction, reference) for reference in references)


Metric = RougeL
