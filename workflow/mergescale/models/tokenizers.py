"""Tokenizers: a word-level one trained on the micro world, and how prompts become token ids."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors
from transformers import PreTrainedTokenizerFast
from transformers.tokenization_utils_base import PreTrainedTokenizerBase

from mergescale.provenance.digests import text_digest

UNKNOWN, BEGIN, END, PAD = "<unk>", "<s>", "</s>", "<pad>"


def train_word_tokenizer(texts: Iterable[str]) -> PreTrainedTokenizerFast:
    """A lower-casing tokenizer with one token for every word and punctuation mark in `texts`.

    Words are ordered by falling frequency, then by spelling, so equal texts give equal bytes.
    """
    normalizer = normalizers.Lowercase()
    splitter = pre_tokenizers.Sequence(
        [pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Punctuation("isolated")]
    )
    counts: Counter[str] = Counter()
    for text in texts:
        pieces = splitter.pre_tokenize_str(normalizer.normalize_str(text))
        counts.update(piece for piece, _ in pieces)
    words = [word for word, _ in sorted(counts.items(), key=lambda item: (-item[1], item[0]))]
    vocabulary = {word: i for i, word in enumerate([UNKNOWN, BEGIN, END, PAD, *words])}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token=UNKNOWN))
    tokenizer.normalizer = normalizer
    tokenizer.pre_tokenizer = splitter
    # No word begins with this prefix (it is punctuation), so words are joined by blanks.
    tokenizer.decoder = decoders.WordPiece(prefix="##", cleanup=True)
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{BEGIN} $A", special_tokens=[(BEGIN, vocabulary[BEGIN])]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        unk_token=UNKNOWN,
        bos_token=BEGIN,
        eos_token=END,
        pad_token=PAD,
    )


@dataclass(frozen=True)
class Encoder:
    """Turns prompts and answers into token ids, alike for every model of a study.

    A prompt is `<begin> input`, an answer the answer's own tokens; the end token is added where
    asked for. Prompt and answer are encoded apart, so a prompt's ids do not depend on its answers.
    Prompts longer than `max_length` less the answer lose tokens from their left.

    Attributes:
        max_length: most tokens in a row: of prompt and answer together.
        encoder_decoder: prompts are the encoder's: they are closed by the end token, as the model's
            own tokenizer would, and prompt and answer may each have `max_length` tokens.
    """

    tokenizer: PreTrainedTokenizerBase
    max_length: int
    encoder_decoder: bool = False

    @property
    def end(self) -> int:
        return self.tokenizer.eos_token_id

    @property
    def pad(self) -> int:
        """Id that fills batches; padded places are masked, so any id serves."""
        pad = self.tokenizer.pad_token_id
        return self.end if pad is None else pad

    @property
    def longest_answer(self) -> int:
        """Most tokens of an answer: one place is that of what it follows."""
        return self.max_length - 1

    def prompts(self, texts: list[str]) -> list[list[int]]:
        """Token ids of prompts, the begin token first where the tokenizer has one.

        No prompt is without tokens: an empty one is the end token where there is no begin token.
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
        """Token ids of whole documents: begin, text, end."""
        return [ids + [self.end] for ids in self.prompts(texts)]

    def cut(self, prompt: list[int], answer_length: int) -> list[int]:
        """Drop tokens from the left of `prompt` (after its begin token) until the answer fits."""
        room = self.max_length - (0 if self.encoder_decoder else answer_length)
        if len(prompt) <= room:
            return prompt
        head = 1 if prompt and prompt[0] == self.tokenizer.bos_token_id else 0
        tail = max(room, 1) - head  # one token stays: something must come before the answer
        return prompt[:head] + prompt[len(prompt) - tail :]

    def digest(self) -> str:
        """SHA-256 of how the tokenizer turns text into ids and back."""
        return text_digest(self.tokenizer.backend_tokenizer.to_str())

    def text(self, ids: list[int]) -> str:
        """Readable text of generated ids."""
        return self.tokenizer.decode(ids, skip_special_tokens=True).strip()
