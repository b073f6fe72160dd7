"""Statistics files: the empirical Fisher information of a model, and a merge that takes it."""

import json

import pytest
import tiny_models
import tiny_study
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from mergescale.checkpoints.folder import read_weights
from mergescale.cli.main import main
from mergescale.merging.in_memory import read_task_vectors
from mergescale.merging.merge_identity import weights_digest
from mergescale.merging.registry import get_method
from mergescale.models.loading import load, save
from mergescale.stages.expert_statistics import diagonal_fisher
from mergescale.stages.merged_model import write_merged_model
from mergescale.tasks.example_files import write_examples
from mergescale.training.batches import example_stream
from mergescale.training.objectives.answer_loss import label_tokens

pytest_plugins = "stage_study"
EXAMPLES = tiny_study.written("copies", "train", 6)


def batches(model, examples=EXAMPLES, batch_size=1):
    stream = example_stream(
        tiny_models.encoder(model),
        examples,
        label_tokens=label_tokens,
        batch_size=batch_size,
        seed=0,
    )
    rows = range(0, len(examples), batch_size)
    return [stream.collate(range(at, at + batch_size)) for at in rows]


def squared_gradient(model, example):
    """The square of an answer's gradient by a second way: log-probabilities token by token."""
    encoder = tiny_models.encoder(model)
    (prompt,), (answer,) = encoder.prompts([example.input]), encoder.answers([example.target])
    answer = [*answer, encoder.end]
    prompt = encoder.cut(prompt, len(answer))
    logits = model(input_ids=torch.tensor([prompt + answer])).logits[0, len(prompt) - 1 : -1]
    log_p = logits.log_softmax(-1)[torch.arange(len(answer)), torch.tensor(answer)].sum()
    model.zero_grad()
    log_p.backward()
    return {name: p.grad.square() for name, p in model.named_parameters()}


@pytest.mark.parametrize("family", ["llama", "gpt_neox"])
def test_it_is_the_mean_of_squared_gradients_of_single_examples(family):
    model = tiny_models.make(family)
    found = diagonal_fisher(model, batches(model))
    each = [squared_gradient(model, example) for example in EXAMPLES]
    for name, values in found.items():
        mean = torch.stack([one[name] for one in each]).mean(0)
        torch.testing.assert_close(values, mean, rtol=1e-3, atol=1e-7)
        assert (values >= 0).all()


def test_it_is_not_the_square_of_a_mean_gradient():
    """The mistake of several public implementations: cross terms between examples."""
    model = tiny_models.make("llama")
    each = [squared_gradient(model, example) for example in EXAMPLES[:2]]
    (together,) = batches(model, EXAMPLES[:2], batch_size=2)
    with pytest.raises(ValueError, match="must have 1 example, not 2"):
        diagonal_fisher(model, [together])
    found = diagonal_fisher(model, batches(model, EXAMPLES[:2]))
    name = "model.norm.weight"
    torch.testing.assert_close(found[name], (each[0][name] + each[1][name]) / 2)


def test_no_example_is_an_error():
    with pytest.raises(ValueError, match="at least one example"):
        diagonal_fisher(tiny_models.make("llama"), [])


@pytest.fixture
def expert(tmp_path):
    save(tmp_path / "expert", tiny_models.make("llama"), tiny_study.tokenizer())
    write_examples(tmp_path / "train.parquet", EXAMPLES)
    return tmp_path / "expert"


def statistics(expert, out, **flags):
    more = [part for name, value in flags.items() for part in (f"--{name}", str(value))]
    data = ["--data", str(expert.parent / "train.parquet")]
    arguments = ["--model", str(expert), *data, "--max-length", "48", "--device", "cpu", *more]
    return main(["expert-statistics", *arguments, "--out", str(out)])


def test_the_file_has_the_model_s_tensors_and_says_what_it_is(expert, tmp_path):
    out = tmp_path / "statistics" / "fisher.safetensors"
    assert statistics(expert, out) == 0
    weights, found = read_weights(expert), load_file(out)
    assert {n: t.shape for n, t in found.items()} == {n: w.shape for n, w in weights.items()}
    assert all(t.dtype == torch.float32 for t in found.values())
    model, _ = load(expert)
    expected = diagonal_fisher(model, batches(model))
    # The same rows in another order.
    assert all(torch.allclose(found[n], expected[n], rtol=1e-4, atol=1e-9) for n in expected)
    with safe_open(out, "pt") as file:
        record = json.loads(file.metadata()["mergescale"])
    assert (record["kind"], record["examples"]) == ("fisher", 6)
    assert record["estimator"].startswith("empirical Fisher information: gold answers")
    assert record["model"] == weights_digest(expert)


def test_it_is_the_same_file_each_time(expert, tmp_path):
    outs = [tmp_path / "one.safetensors", tmp_path / "two.safetensors"]
    for out in outs:
        assert statistics(expert, out, rows=3) == 0
    assert outs[0].read_bytes() == outs[1].read_bytes()
    with safe_open(outs[0], "pt") as file:
        assert json.loads(file.metadata()["mergescale"])["examples"] == 3


def test_an_encoder_decoder_is_refused(tmp_path, capsys):
    save(tmp_path / "expert", tiny_models.make("t5"), tiny_study.tokenizer())
    write_examples(tmp_path / "train.parquet", EXAMPLES)
    assert statistics(tmp_path / "expert", tmp_path / "f.safetensors") == 1
    assert "is an encoder-decoder model; Fisher information is" in capsys.readouterr().err


def test_a_merge_takes_the_files(expert, tmp_path):
    torch.manual_seed(0)
    model, tokenizer = load(expert)
    for parameter in model.parameters():
        parameter.data += 0.01 * torch.randn_like(parameter)
    save(tmp_path / "other", model, tokenizer)
    for parameter in model.parameters():
        parameter.data += 0.01 * torch.randn_like(parameter)
    save(tmp_path / "base", model, tokenizer)
    fisher = {}
    for name in ("expert", "other"):
        assert statistics(tmp_path / name, tmp_path / f"{name}.safetensors") == 0
        fisher[name] = load_file(tmp_path / f"{name}.safetensors")
    folders = {name: tmp_path / name for name in fisher}
    vectors = read_task_vectors(read_weights(tmp_path / "base"), folders)
    tau = get_method("fisher").tau(vectors, statistics={"fisher": fisher}, floor=1e-12)
    name = "model.norm.weight"
    one, other = fisher["expert"][name], fisher["other"][name]
    expected = (one * vectors["expert"][name] + other * vectors["other"][name]) / (one + other)
    torch.testing.assert_close(tau[name], expected, rtol=1e-5, atol=1e-6)


def test_a_study_scores_a_method_with_its_statistics_files(study, tmp_path):
    """`merge-scores` reads the files, and their content is part of the merge's identity."""
    digests = []
    for scale in (1.0, 2.0):
        files = {}
        for number, (expert, folder) in enumerate(study.experts.items(), 1):
            values = {n: torch.full_like(w, scale**number) for n, w in read_weights(folder).items()}
            file = tmp_path / f"{scale}" / expert / "fisher.safetensors"
            file.parent.mkdir(parents=True)
            save_file(values, file)
            files[f"fisher/{expert}"] = file
        where = f"scale{scale}"
        study.merges({"fisher": {}, "averaging": {}}, where=where, statistics=files)
        records = [study.record(name, where) for name in ("fisher", "averaging")]
        assert set(records[0]["recipe"]["statistics"]["fisher"]) == set(study.experts)
        assert "statistics" not in records[1]["recipe"]
        digests.append([record["weights"] for record in records])
    # A merged folder takes the files that were scored, and no others.
    folders = {
        "scores": study.out / "scale2.0" / "fisher.json",
        "base": study.inputs / "base",
        "experts": study.experts,
    }
    write_merged_model(study.out / "merged", **folders, statistics=files)
    assert (study.out / "merged" / "model.safetensors").is_file()
    with pytest.raises(ValueError, match="recorded with other fisher statistics of .* than none"):
        write_merged_model(study.out / "other", **folders)
    assert digests[0][0] != digests[1][0] and digests[0][1] == digests[1][1]


def test_a_study_without_the_files_names_what_is_missing(study):
    with pytest.raises(ValueError, match="fisher needs fisher statistics of"):
        study.merges({"fisher": {}})
