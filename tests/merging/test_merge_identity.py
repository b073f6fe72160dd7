"""Digests of merges: equal exactly when the merged weights are."""

import hashlib
import json
import re

import pytest
import torch
from safetensors.torch import save_file

from mergescale.merging.merge_identity import MergeIdentity, weights_digest

EXPERTS = {"sentiment": "5" * 64, "coref": "6" * 64}


def identity(method="ties", **changes):
    fields = {"base": "b" * 64, "experts": EXPERTS, "lam": 0.3, "parameters": {}}
    if method in ("ties", "dare_ties"):
        fields["parameters"] = {"density": 0.2}
    return MergeIdentity(method=method, **(fields | changes))


def test_digest_does_not_depend_on_the_order_of_experts():
    turned = dict(reversed(EXPERTS.items()))
    assert identity().digest() == identity(experts=turned).digest()
    assert list(identity(experts=turned).experts) == ["coref", "sentiment"]


def test_lambda_zero_is_the_base_whatever_else():
    assert identity(lam=0).digest() == "b" * 64
    assert identity("dare_ties", lam=-0.0, seed=3).digest() == "b" * 64


def test_only_stochastic_methods_have_a_seed():
    for method in ("ties", "task_arithmetic"):
        assert identity(method, seed=1).digest() == identity(method, seed=2).digest()
        assert identity(method, seed=1).digest() == identity(method).digest()
        assert "seed" not in identity(method, seed=1).as_dict()
    assert identity("dare_ties", seed=1).digest() != identity("dare_ties", seed=2).digest()


def test_numbers_written_differently_are_equal():
    assert identity(lam=0.1 * 3).digest() == identity(lam=0.3).digest()
    assert identity(lam=0.1 * 3).lam == 0.3
    assert identity(lam=1).digest() == identity(lam=1.0).digest()
    assert identity(parameters={"density": 1 - 0.8}).digest() == identity().digest()
    assert (
        identity(parameters={"density": 0.2, "trim_scope": "model"}).digest() == identity().digest()
    )


def test_everything_that_decides_the_weights_changes_the_digest():
    others = [
        identity("task_arithmetic"),
        identity("dare_ties", seed=1),
        identity(lam=0.4),
        identity(base="c" * 64),
        identity(experts={"sentiment": "5" * 64}),
        identity(experts=EXPERTS | {"coref": "7" * 64}),
        identity(parameters={"density": 0.1}),
        identity(parameters={"density": 0.2, "trim_scope": "tensor"}),
        identity(parameters={"density": 0.2, "ties": "first"}),
    ]
    digests = {r.digest() for r in others} | {identity().digest()}
    assert len(digests) == len(others) + 1
    assert all(re.fullmatch("[0-9a-f]{64}", digest) for digest in digests)


def test_a_parameter_that_came_later_changes_no_digest_by_its_default():
    digest = "7916686bbf5151eec21327df4e348b9a986fd41453284c34df0aad23bfb098e4"
    assert identity().digest() == digest
    assert identity(parameters={"density": 0.2, "ties": "all"}).digest() == digest


def test_dict_is_plain_json():
    content = identity("dare_ties", seed=4).as_dict()
    assert json.loads(json.dumps(content)) == content
    assert content["seed"] == 4


@pytest.mark.parametrize(
    ("method", "changes", "message"),
    [
        ("tie", {}, "did you mean ties"),
        ("ties", {"lam": 2}, "lambda is 2, must be in \\[0, 1\\]"),
        ("averaging", {"lam": 0.5}, "lambda is 0.5, must be 1.0"),
        ("ties", {"parameters": {"p": 0.2}}, "no parameter 'p'"),
        ("ties", {"parameters": {}}, "ties needs density"),
        ("ties", {"experts": {}}, "no expert"),
        ("dare_ties", {}, "needs a seed"),
    ],
)
def test_bad_recipe_is_refused(method, changes, message):
    with pytest.raises(ValueError, match=message):
        identity(method, **changes)


def test_weights_digest_is_that_of_the_file(tmp_path):
    path = tmp_path / "model.safetensors"
    save_file({"w": torch.arange(5.0)}, path)
    assert weights_digest(tmp_path) == hashlib.sha256(path.read_bytes()).hexdigest()
    save_file({"w": torch.arange(1, 6.0)}, tmp_path / "unrelated.safetensors")
    assert weights_digest(tmp_path) == hashlib.sha256(path.read_bytes()).hexdigest()


def test_weights_digest_covers_every_shard(tmp_path):
    names = ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"]
    for i, name in enumerate(names):
        save_file({f"w{i}": torch.ones(2)}, tmp_path / name)
    index = {"weight_map": {"w0": names[0], "w1": names[1]}}
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps(index))
    first = weights_digest(tmp_path)
    joined = b"".join((tmp_path / name).read_bytes() for name in names)
    assert first == hashlib.sha256(joined).hexdigest()
    save_file({"w1": torch.zeros(2)}, tmp_path / names[1])
    assert weights_digest(tmp_path) != first


def test_statistics_files_decide_the_weights_too():
    files = {"fisher": {"sentiment": "7" * 64, "coref": "8" * 64, "unused": "9" * 64}}
    one = identity("fisher", lam=1, statistics=files)
    assert one.as_dict()["statistics"] == {"fisher": {"coref": "8" * 64, "sentiment": "7" * 64}}
    other = files["fisher"] | {"coref": "a" * 64}
    assert identity("fisher", lam=1, statistics={"fisher": other}).digest() != one.digest()
    # Methods that need none do not depend on them.
    assert identity(statistics=files).digest() == identity().digest()
    with pytest.raises(ValueError, match="fisher needs fisher statistics of coref, sentiment"):
        identity("fisher", lam=1)
