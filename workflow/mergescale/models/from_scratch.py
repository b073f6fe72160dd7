"""What the study makes itself: a Llama-type model with random weights, and a word tokenizer."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

import torch
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast
from transformers.tokenization_utils_base import PreTrainedTokenizerBase

UNKNOWN, BEGIN, END, PAD = "<unk>", "<s>", "</s>", "<pad>"


def initialize(
    tokenizer: PreTrainedTokenizerBase,
    *,
    hidden_size: int,
    layers: int,
    heads: int,
    intermediate_size: int,
    max_length: int,
    seed: int,
) -> LlamaForCausalLM:
    """Make a Llama-type model with tied embeddings and random fp32 weights.

    Args:
        tokenizer: the model gets its vocabulary and special tokens.
        hidden_size: width of the residual stream.
        layers: transformer blocks.
        heads: attention heads, each with keys and values of its own.
        intermediate_size: width of the feed-forward layers.
        max_length: most tokens in a row.
        seed: of the weights.

    Raises:
        ValueError: the heads do not divide the hidden size into even parts.
    """
    if hidden_size % (2 * heads):
        raise ValueError(
            f"hidden_size must be a multiple of twice the heads ({2 * heads}), as rotary position "
            f"embeddings require, not {hidden_size}"
        )
    torch.manual_seed(seed)
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=hidden_size,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        num_key_value_heads=heads,
        intermediate_size=intermediate_size,
        max_position_embeddings=max_length,
        tie_word_embeddings=True,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        # Residual streams this narrow learn faster from larger weights than Llama's 0.02.
        initializer_range=hidden_size**-0.5 / 2,
    )
    return LlamaForCausalLM(config)


def train_word_tokenizer(texts: Iterable[str]) -> PreTrainedTokenizerFast:
    """Make a lower-casing tokenizer with one token for every word and punctuation mark.

    Words are ordered by falling frequency, then by spelling, so equal texts give equal bytes.

    Args:
        texts: which words the vocabulary has; others become the unknown token.
    """
    normalizer = normalizers.Lowercase()
    splitter = pre_tokenizers.Sequence(
        [pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Punctuation("isolated")]
    )
    counts: Counter[str] = Counter()
    for text in texts:
        spans = splitter.pre_tokenize_str(normalizer.normalize_str(text))
        counts.update(word for word, _ in spans)
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
