"""Task vectors and the last step W0 + lambda * tau."""

import pytest
import torch

from mergescale.merging.ops.cast import apply_task_vector, apply_task_vector_
from mergescale.merging.ops.task_vector import task_vector


def model(**changes):
    torch.manual_seed(0)
    weights = {"a": torch.randn(3, 4), "b": torch.randn(5), "steps": torch.tensor([7])}
    return weights | changes


def test_task_vector_is_the_difference_in_fp32():
    base = model(a=torch.ones(2, dtype=torch.bfloat16))
    expert = model(a=torch.tensor([1.5, 1.0], dtype=torch.float16))
    delta = task_vector(expert, base)
    assert delta["a"].dtype == torch.float32
    assert delta["a"].tolist() == [0.5, 0.0]


def test_integer_tensors_stay_the_base_s():
    delta = task_vector(model(steps=torch.tensor([99])), model())
    assert "steps" not in delta
    assert apply_task_vector(model(), delta, 1.0)["steps"].tolist() == [7]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"a": torch.randn(3, 5)}, r"math \(x\): tensor a has shape \(3, 5\), but \(3, 4\) in pt"),
        ({"a": torch.randn(12)}, r"tensor a has shape \(12,\), but \(3, 4\) in pt"),
        ({"a": torch.full((3, 4), float("nan"))}, r"math \(x\): tensor a has NaN or infinity"),
        ({"b": torch.full((5,), float("inf"))}, r"math \(x\): tensor b has NaN or infinity"),
        ({"c": torch.ones(1)}, r"math \(x\) has tensor c, which pt lacks"),
        ({"b": torch.ones(5, dtype=torch.int64)}, "tensor b is torch.int64, but torch.float32"),
    ],
)
def test_bad_expert_is_named_with_its_tensor(changes, message):
    with pytest.raises(ValueError, match=message):
        task_vector(model(**changes), model(), label="math (x)", base_label="pt")


def test_missing_tensors_are_named():
    expert = model()
    del expert["b"]
    with pytest.raises(ValueError, match="math lacks tensor b, which pt has"):
        task_vector(expert, model(), label="math", base_label="pt")
    with pytest.raises(ValueError, match="math lacks tensors a, b, steps, which the base has"):
        task_vector({}, model(), label="math")


def test_nan_in_the_base_is_the_base_s_fault():
    with pytest.raises(ValueError, match="^the base: tensor b has NaN"):
        task_vector(model(), model(b=torch.full((5,), float("nan"))))


def test_overflow_is_an_error():
    huge = torch.full((5,), 3e38)
    with pytest.raises(ValueError, match="overflows"):
        task_vector(model(b=huge), model(b=-huge))


def tau_for(base):
    return {name: torch.randn_like(w) for name, w in base.items() if w.is_floating_point()}


def test_lambda_zero_gives_the_bytes_of_the_base():
    base = model(b=torch.tensor([-0.0, 0.0, 1e-45, -1.0, 2.0]))
    merged = apply_task_vector(base, tau_for(base), 0.0)
    parameters = {name: torch.full_like(weight, 9) for name, weight in base.items()}
    apply_task_vector_(parameters, base, tau_for(base), 0)
    for name, weight in base.items():
        assert merged[name].numpy().tobytes() == weight.numpy().tobytes()
        assert parameters[name].numpy().tobytes() == weight.numpy().tobytes()


@pytest.mark.parametrize("lam", [0.1, 0.3, 0.7, 1.0])
def test_resident_and_new_weights_are_bit_equal(lam):
    base = {"w": torch.randn(257, 33), "n": torch.randn(7), "s": torch.randn(())}
    tau = tau_for(base) | {"w": torch.randn(33, 257).T}  # another memory layout too
    parameters = {n: torch.nn.Parameter(torch.full_like(w, float("nan"))) for n, w in base.items()}
    apply_task_vector_(parameters, base, tau, lam)
    merged = apply_task_vector(base, tau, lam)
    for name in base:
        assert torch.equal(parameters[name].data, merged[name])
        assert parameters[name].requires_grad


def test_result_does_not_depend_on_where_a_tensor_is_cut():
    base, tau = torch.randn(1001), torch.randn(1001)
    whole = apply_task_vector({"w": base}, {"w": tau}, 0.3)["w"]
    cuts = [slice(start, start + 13) for start in range(0, 1001, 13)]
    parts = [apply_task_vector({"w": base[cut]}, {"w": tau[cut]}, 0.3)["w"] for cut in cuts]
    assert torch.equal(torch.cat(parts), whole)


def test_merge_leaves_base_and_tau_alone():
    base = model()
    tau = tau_for(base)
    inputs = [*base.values(), *tau.values()]
    before = [tensor.clone() for tensor in inputs]
    for weight in apply_task_vector(base, tau, 0.5).values():
        weight.zero_()
    assert all(torch.equal(a, b) for a, b in zip(before, inputs, strict=True))


def test_a_16_bit_model_receives_the_rounded_merge():
    base, tau = {"w": torch.randn(64)}, {"w": torch.randn(64)}
    parameters = {"w": torch.empty(64, dtype=torch.bfloat16)}
    apply_task_vector_(parameters, base, tau, 0.3)
    assert torch.equal(parameters["w"], apply_task_vector(base, tau, 0.3)["w"].bfloat16())


def test_tensors_without_a_counterpart_are_errors():
    base = {"w": torch.ones(2)}
    with pytest.raises(ValueError, match="the base has no tensor v"):
        apply_task_vector(base, {"v": torch.ones(2)}, 1.0)
    with pytest.raises(ValueError, match="the model has no tensor w"):
        apply_task_vector_({}, base, {"w": torch.ones(2)}, 1.0)
    with pytest.raises(ValueError, match="the base has no tensor head"):
        apply_task_vector_({"w": torch.ones(2), "head": torch.ones(2)}, base, {}, 1.0)
