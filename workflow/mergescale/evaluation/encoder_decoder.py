"""Prompts of encoder-decoder models: the encoder reads each prompt once, the decoder answers."""

from __future__ import annotations

import torch
from transformers import DynamicCache, EncoderDecoderCache
from transformers.modeling_outputs import BaseModelOutput
from transformers.modeling_utils import PreTrainedModel

from mergescale.evaluation.requests import PromptBatch


class EncoderDecoderPrompts:
    """A batch of prompts that the encoder has read, and the decoder's start token after them.

    All answers to a prompt begin with the same start token: one decoder step gives the scores of
    their first tokens, and the keys and values of cross-attention, which later steps share.

    Attributes:
        logits: of each answer's first token, (rows, vocabulary).
    """

    def __init__(self, model: PreTrainedModel, batch: PromptBatch, *, goes_on: bool) -> None:
        """Run the encoder and the first step; `goes_on` says that `advance` will be called."""
        device = next(model.parameters()).device
        self._model = model
        self._mask = batch.attention_mask.to(device)
        self._encoded = model.get_encoder()(
            input_ids=batch.input_ids.to(device), attention_mask=self._mask
        ).last_hidden_state
        # Without a configuration: by that of an encoder-decoder a cache has the encoder's layers.
        self._cache = EncoderDecoderCache(DynamicCache(), DynamicCache()) if goes_on else None
        start = torch.full((len(batch.items), 1), _start_token(model), device=device)
        self.logits = self._decode(start)[:, -1]

    def select(self, rows: torch.Tensor) -> None:
        """Go on with these rows of the batch, each as often as it is named; int64, (rows,)."""
        self._cache.batch_select_indices(rows)
        self._mask, self._encoded = self._mask[rows], self._encoded[rows]

    def advance(self, ids: torch.Tensor, inside: torch.Tensor) -> torch.Tensor:
        """Read further tokens of the answers: the logits after each of them, row by row.

        Args:
            ids: int64, (rows, tokens), padded on the right.
            inside: which of them are tokens, bool, (rows, tokens).

        Returns:
            (tokens inside, vocabulary).
        """
        return self._decode(ids)[inside]

    def _decode(self, ids: torch.Tensor) -> torch.Tensor:
        # Padding stands on the right of the decoder's rows, where causal attention hides it.
        return self._model(
            encoder_outputs=BaseModelOutput(last_hidden_state=self._encoded),
            attention_mask=self._mask,
            decoder_input_ids=ids,
            past_key_values=self._cache,
            use_cache=self._cache is not None,
        ).logits


def _start_token(model: PreTrainedModel) -> int:
    for config in (model.generation_config, model.config):
        start = getattr(config, "decoder_start_token_id", None)
        if start is not None:
            return start
    raise ValueError(
        "the model is an encoder-decoder, but neither config.json nor generation_config.json has "
        "decoder_start_token_id, which its answers begin with"
    )
