"""Cross-entropy on every token: pre-training; on examples, the loss of prompt and answer.

Whether fine-tuning gains from a loss on the prompt depends on how short answers are beside prompts
(Shi et al., 2024, "Instruction Tuning With Loss Over Instructions", arXiv 2405.14394).
"""

from __future__ import annotations

from mergescale.training.objectives.answer_loss import compute_loss

__all__ = ["compute_loss", "label_tokens"]


def label_tokens(prompt: list[int], answer: list[int]) -> list[int]:
    """Label every token but the first, which nothing predicts."""
    return (prompt + answer)[1:]
