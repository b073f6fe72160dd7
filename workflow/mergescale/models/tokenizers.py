"""How prompts and answers become token ids, the same way for every model of a study."""

from __future__ import annotations

from dataclasses import dataclass

from transformers.tokenization_utils_base import PreTrainedTokenizerBase

from mergescale.provenance.digests import text_digest


@dataclass(frozen=True)
class Encoder:
    """Turns prompts and answers into token ids.

    A prompt is the begin token and the input, an answer the answer's own tokens. Both are encoded
    apart, so a prompt's ids do not depend on its answers. A prompt longer than `max_length` less
    the answer is truncated on the left.

    Attributes:
        tokenizer: of the model.
        max_length: most tokens of prompt and answer together.
        encoder_decoder: prompts go to an encoder: the end token closes them, as the model's own
            tokenizer does, and prompt and answer may have `max_length` tokens each.
    """

    tokenizer: PreTrainedTokenizerBase
    max_length: int
    encoder_decoder: bool = False

    @property
    def end(self) -> int:
        """Id of the end token."""
        return self.tokenizer.eos_token_id

    @property
    def pad(self) -> int:
        """Id that fills batches; padding is masked, so any id will do."""
        pad = self.tokenizer.pad_token_id
        return self.end if pad is None else pad

    @property
    def longest_answer(self) -> int:
        """Most tokens of an answer: one position is left for the token before it."""
        return self.max_length - 1

    def prompts(self, texts: list[str]) -> list[list[int]]:
        """Token ids of prompts, after the begin token if the tokenizer has one.

        Every prompt has a token: without a begin token, an empty prompt is the end token.
        """
        if not texts:
            return []
        begin = [] if self.tokenizer.bos_token_id is None else [self.tokenizer.bos_token_id]
        encoded = self.tokenizer(texts, add_special_tokens=False)["input_ids"]
        if self.encoder_decoder:
            return [begin + ids + [self.end] for ids in encoded]
        return [begin + ids or [self.end] for ids in encoded]

    def answers(self, texts: list[str]) -> list[list[int]]:
        """Token ids of answers, without an end token."""
        if not texts:
            return []
        return self.tokenizer(texts, add_special_tokens=False)["input_ids"]

    def documents(self, texts: list[str]) -> list[list[int]]:
        """Token ids of documents: begin token, text, end token."""
        return [ids + [self.end] for ids in self.prompts(texts)]

    def cut(self, prompt: list[int], answer_length: int) -> list[int]:
        """Truncate a prompt on the left, after its begin token, so that the answer fits."""
        room = self.max_length - (0 if self.encoder_decoder else answer_length)
        if len(prompt) <= room:
            return prompt
        head = 1 if prompt and prompt[0] == self.tokenizer.bos_token_id else 0
        tail = max(room, 1) - head  # an answer needs a token before it
        return prompt[:head] + prompt[len(prompt) - tail :]

    def digest(self) -> str:
        """SHA-256 of the tokenizer: its vocabulary, normalization and decoding."""
        return text_digest(self.tokenizer.backend_tokenizer.to_str())

    def text(self, ids: list[int]) -> str:
        """Decode generated ids, without special tokens."""
        return self.tokenizer.decode(ids, skip_special_tokens=True).strip()
