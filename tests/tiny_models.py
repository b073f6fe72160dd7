"""Random models of several families with the tiny study's vocabulary, by name."""

import tiny_study
import torch
from transformers import (
    GPT2Config,
    GPT2LMHeadModel,
    Qwen3Config,
    Qwen3ForCausalLM,
    T5Config,
    T5ForConditionalGeneration,
)

from mergescale.models.tokenizers import Encoder

MAX_LENGTH = 48
CAUSAL = ("llama", "gpt_neox", "qwen2", "qwen3", "gpt2")
FAMILIES = (*CAUSAL, "t5")


def make(family):
    if family == "llama":
        return tiny_study.llama()
    if family in ("gpt_neox", "qwen2"):
        return getattr(tiny_study, family)()
    torch.manual_seed(3)
    tokens = {"bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 3}
    sizes = {"vocab_size": len(tiny_study.tokenizer()), **tokens}
    if family == "qwen3":
        sizes |= {"hidden_size": 16, "num_hidden_layers": 2, "intermediate_size": 32}
        heads = {"num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 8}
        return Qwen3ForCausalLM(Qwen3Config(**sizes, **heads, initializer_range=0.3)).eval()
    if family == "gpt2":
        # As many positions as the tests' prompts with answers are long, and not one more.
        config = GPT2Config(**sizes, n_positions=MAX_LENGTH, n_embd=16, n_layer=2, n_head=2)
        config.initializer_range = 0.3
        return GPT2LMHeadModel(config).eval()
    config = T5Config(
        **sizes,
        d_model=16,
        d_kv=8,
        d_ff=32,
        num_layers=2,
        num_decoder_layers=3,
        num_heads=2,
        relative_attention_num_buckets=8,
        decoder_start_token_id=3,
        initializer_factor=1.0,
    )
    return T5ForConditionalGeneration(config).eval()


def encoder(model, max_length=MAX_LENGTH):
    encoder_decoder = model.config.is_encoder_decoder
    return Encoder(tiny_study.tokenizer(), max_length, encoder_decoder=encoder_decoder)
