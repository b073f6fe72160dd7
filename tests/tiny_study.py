"""A study small enough for a test: a word tokenizer, random models, two held-in categories."""

import json
import random
from pathlib import Path

import torch
from transformers import GPTNeoXConfig, GPTNeoXForCausalLM, Qwen2Config, Qwen2ForCausalLM

from mergescale.models.from_scratch import initialize, train_word_tokenizer
from mergescale.models.loading import save
from mergescale.tasks.example_files import write_examples
from mergescale.tasks.task import Example

torch.set_num_threads(1)

SENTENCES = [
    "The cat sleeps in the red house .",
    "A dog runs to the big garden , and a bird sings .",
    "What is the color of the fish ? It is blue .",
    "yes no good bad very happy maybe sad",
]
WORDS = " ".join(SENTENCES).lower().split()
LABELS = {
    "reviews": ("good", "bad"),  # one token each
    "moods": ("very happy", "sad", "maybe very sad"),  # ragged
    "endings": ("the cat sleeps", "a dog runs to the garden"),
}
HELD_IN = {"sentiment": ("reviews", "moods"), "questions": ("colors", "copies")}
HELD_OUT = {"completion": ("endings",)}


def tokenizer():
    return train_word_tokenizer(SENTENCES)


def llama(seed=0, *, hidden_size=16, layers=2, max_length=64, words=None):
    return initialize(
        words or tokenizer(),
        hidden_size=hidden_size,
        layers=layers,
        heads=2,
        intermediate_size=2 * hidden_size,
        max_length=max_length,
        seed=seed,
    ).eval()


def gpt_neox():
    torch.manual_seed(1)
    return GPTNeoXForCausalLM(GPTNeoXConfig(**_sizes(), rotary_pct=0.5)).eval()


def qwen2():
    torch.manual_seed(2)
    return Qwen2ForCausalLM(Qwen2Config(**_sizes(), num_key_value_heads=1)).eval()


def _sizes():
    return {
        "vocab_size": len(tokenizer()),
        "hidden_size": 16,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "intermediate_size": 32,
        "max_position_embeddings": 64,
        "initializer_range": 0.3,  # decided predictions, so that errors show
        "bos_token_id": 1,
        "eos_token_id": 2,
        "pad_token_id": 3,
    }


def sentence(rng, length):
    return " ".join(rng.choice(WORDS) for _ in range(length))


def ranked(task, split, rows, choices):
    rng = random.Random(f"{task}/{split}")
    return [
        Example(
            f"{task}/{split}/{i}",
            f"template {i % 2}",
            sentence(rng, rng.randint(1, 12)) + " ?",
            rng.choice(choices),
            tuple(choices),
        )
        for i in range(rows)
    ]


def written(task, split, rows):
    rng = random.Random(f"{task}/{split}")
    examples = []
    for i in range(rows):
        target = sentence(rng, rng.randint(1, 3))
        prompt = sentence(rng, rng.randint(1, 6)) + " : " + target
        examples.append(Example(f"{task}/{split}/{i}", "only", prompt, target, (), (target,)))
    return examples


def write_task(folder, task, *, rows=(24, 6, 10), **changes):
    """Write the files of one task, as the stage `task` would."""
    choices = LABELS.get(task)
    for split, count in zip(("train", "validation", "test"), rows, strict=True):
        examples = ranked(task, split, count, choices) if choices else written(task, split, count)
        write_examples(folder / task / f"{split}.parquet", examples)
    metric = {"colors": "squad_f1", "copies": "rouge_l"}.get(task, "accuracy")
    about = {"name": task, "kind": "rank" if choices else "generate", "metric": metric}
    (folder / task / "task.json").write_text(json.dumps(about | changes))


def write_tasks(folder):
    for group in (HELD_IN, HELD_OUT):
        for tasks in group.values():
            for task in tasks:
                write_task(folder, task)


def write_models(folder: Path, experts=tuple(HELD_IN)):
    """A base, and beside it an expert for each category and a multitask model."""
    words = tokenizer()
    base = llama(words=words)
    save(folder, base, words)
    for number, name in enumerate((*(f"experts/{e}" for e in experts), "multitask"), 1):
        model = llama(words=words)
        generator = torch.Generator().manual_seed(number)
        with torch.no_grad():
            for parameter in model.parameters():
                noise = torch.randn(parameter.shape, generator=generator)
                parameter.add_(noise * 0.3 * parameter.std(correction=0))
        save(folder / name, model, words)


def category_arguments(held_in=HELD_IN, held_out=HELD_OUT):
    arguments = []
    for flag, group in (("--held-in", held_in), ("--held-out", held_out)):
        arguments += [flag, *(f"{name}={','.join(tasks)}" for name, tasks in group.items())]
    return arguments
