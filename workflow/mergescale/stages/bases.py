"""Base models: the tokenizer, a model from scratch or from a checkpoint, pre-training."""

from __future__ import annotations

import json
from pathlib import Path

from mergescale.checkpoints.adopt import adopt_weights, count_if_compatible
from mergescale.checkpoints.hub_download import RECORD
from mergescale.models.loading import (
    initialize,
    load,
    load_on_meta,
    load_tokenizer,
    parameter_count,
    save,
)
from mergescale.models.tokenizers import Encoder, train_word_tokenizer
from mergescale.provenance.atomic import write_json
from mergescale.provenance.digests import code_digest, file_digest, record_digest
from mergescale.provenance.versions import versions
from mergescale.tasks.example_files import read_documents, read_examples
from mergescale.timing import timed
from mergescale.training.batches import answer_stream, document_stream
from mergescale.training.compute_plan import Placement
from mergescale.training.distributed import is_main
from mergescale.training.trainer import TrainConfig, settings_record, train
from mergescale.training.training_checkpoint import forget


def make_tokenizer(out: Path) -> None:
    """Train the word-level tokenizer of the micro world into the folder `out`.

    Its words are those of the whole world, not of the tasks that a configuration chooses: adding a
    task must not change the models that are there.
    """
    from mergescale.tasks.micro_world.corpus import tokenizer_texts

    train_word_tokenizer(tokenizer_texts()).save_pretrained(out)


def pretrain(
    out: Path,
    *,
    tokenizer: Path,
    corpus: Path,
    architecture: dict[str, int],
    length: int,
    max_length: int,
    settings: TrainConfig,
    state: Path,
    label: str,
    place: Placement,
) -> None:
    """Make a model from scratch and train it on the corpus."""
    words = load_tokenizer(tokenizer)
    keys = {"hidden_size", "layers", "heads", "intermediate_size"}
    if architecture.keys() != keys:
        raise ValueError(f"the architecture needs {sorted(keys)}, not {sorted(architecture)}")
    model = initialize(words, max_length=max_length, seed=settings.seed, **architecture)
    encoder = Encoder(words, max_length)
    record = {
        "stage": "pretrain",
        "architecture": architecture,
        "length": length,
        "settings": settings_record(settings),
        "inputs": {
            "corpus": file_digest(corpus),
            "tokenizer": file_digest(tokenizer / "tokenizer.json"),
        },
    }
    stream = document_stream(
        encoder,
        read_documents(corpus),
        length=length,
        batch_size=settings.batch_size,
        seed=settings.seed,
    )
    _train_and_save(out, model, words, stream, settings, record, state, label, place)


def adopt_checkpoint(out: Path, *, checkpoint: Path) -> None:
    """Use a model of a local folder as the pre-trained base, as it is.

    Weights that fit the architecture keep their type and are never read into memory.
    """
    tokenizer = load_tokenizer(checkpoint)
    fetched = (checkpoint / RECORD).is_file()
    record = {"stage": "checkpoint", "inputs": {"weights": _weights_digest(checkpoint)}}
    if fetched:
        hub = json.loads((checkpoint / RECORD).read_text(encoding="utf-8"))
        record["hub"] = {key: hub[key] for key in ("repo", "commit")}
    parameters = count_if_compatible(checkpoint)
    if parameters is None:
        model, tokenizer = load(checkpoint)
        save(out, model, tokenizer)
        parameters = parameter_count(model)
    else:
        if not (checkpoint / "tokenizer.json").is_file():
            tokenizer.save_pretrained(out)
        adopt_weights(checkpoint, out, link=fetched)
    _write_record(out, record, parameters, loss=None)


def finetune(
    out: Path,
    *,
    base: Path,
    data: list[Path],
    stage: str,
    max_length: int,
    settings: TrainConfig,
    state: Path,
    label: str,
    place: Placement,
) -> None:
    """Fine-tune all weights of `base` on the examples of the files `data`, mixed.

    Serves instruction tuning, experts and multitask models alike.
    """
    model, tokenizer = _load(base, place)
    encoder = Encoder(tokenizer, max_length)
    record = {
        "stage": stage,
        "settings": settings_record(settings),
        "max_length": max_length,
        "inputs": {
            "base": _weights_digest(base),
            "data": [file_digest(path) for path in data],
        },
    }
    examples = [example for path in data for example in read_examples(path)]
    stream = answer_stream(encoder, examples, batch_size=settings.batch_size, seed=settings.seed)
    _train_and_save(out, model, tokenizer, stream, settings, record, state, label, place)


def _load(base: Path, place: Placement):
    """Model and tokenizer; where it will be sharded, the main process alone reads the weights."""
    if not is_main() and place.shards(parameter_count(model := load_on_meta(base))):
        return model, load_tokenizer(base)
    return load(base)


def _train_and_save(out, model, tokenizer, stream, settings, record, state, label, place) -> None:
    parameters = parameter_count(model)
    if place.bf16(parameters):
        record = {**record, "precision": "bf16"}
    fingerprint = record_digest(
        {
            **record,
            "code": code_digest("training"),
            "versions": versions(),
            "device": place.device,
        }
    )
    with timed("training"):
        loss = train(
            model,
            stream,
            settings,
            state=state,
            fingerprint=fingerprint,
            label=label,
            place=place,
        )
    if loss is not None and place.shards(parameters):
        from mergescale.training.sharding import whole

        model = whole(model)
    if not is_main():
        return
    save(out, model, tokenizer)
    _write_record(out, record, parameters, loss)
    forget(state)


def _write_record(out: Path, record: dict, parameters: int, loss: float | None) -> None:
    """training.json: how the model came to be, and the digest of its weights."""
    write_json(
        out / "training.json",
        {
            **record,
            "code": code_digest("training"),
            "versions": versions(),
            "parameters": parameters,
            "final_loss": None if loss is None else round(loss, 6),
            "weights": _weights_digest(out),
        },
    )


def _weights_digest(folder: Path) -> str:
    from mergescale.merging.recipe import weights_digest

    return weights_digest(folder)
