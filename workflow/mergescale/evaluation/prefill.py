"""Families of models by how they read a prompt and go on with answers."""

from __future__ import annotations

from typing import Protocol

import torch
from transformers.modeling_utils import PreTrainedModel

from mergescale.evaluation.causal import CausalPrompts
from mergescale.evaluation.encoder_decoder import EncoderDecoderPrompts
from mergescale.evaluation.requests import PromptBatch


class Prompts(Protocol):
    """Prompts that a model has read; both kinds of evaluation are written in its terms."""

    logits: torch.Tensor

    def select(self, rows: torch.Tensor) -> None: ...

    def advance(self, ids: torch.Tensor, inside: torch.Tensor) -> torch.Tensor: ...


def read_prompts(model: PreTrainedModel, batch: PromptBatch, *, goes_on: bool) -> Prompts:
    """Let the model read a batch of prompts; `goes_on` says that more tokens follow the first.

    Raises:
        ValueError: the model is an encoder-decoder without a start token.
    """
    if model.config.is_encoder_decoder:
        return EncoderDecoderPrompts(model, batch, goes_on=goes_on)
    return CausalPrompts(model, batch, goes_on=goes_on)
