"""Products with frozen weights, on whole numbers, which float32 adds without rounding."""

import pytest
import torch
from torch import Tensor, nn

from detox.model import linear

WEIGHT = torch.tensor([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])
BIAS = torch.tensor([100.0, 200.0, 300.0])


def frozen(bias: bool) -> nn.Module:
    layer = nn.Linear(2, 3, bias=bias)
    layer.weight.data = WEIGHT.clone()
    if bias:
        layer.bias.data = BIAS.clone()
    model = nn.Sequential(layer)
    linear.freeze(model)
    return model


@pytest.mark.parametrize(
    ("bias", "expected"),
    [(False, [[50.0, 110.0, 170.0], [-1.0, -1.0, -1.0]]), (True, [[150.0, 310.0, 470.0], [99.0, 199.0, 299.0]])],
)
def test_outputs_by_hand(bias: bool, expected: list[list[float]]) -> None:
    x = torch.tensor([[10.0, 20.0], [1.0, -1.0]])
    assert frozen(bias)(x).tolist() == expected
    assert frozen(bias)(x[None, None]).tolist() == [[expected]]


def test_the_gradient_of_the_input_by_hand_and_none_of_the_weights() -> None:
    model, x = frozen(True), torch.tensor([[10.0, 20.0]], requires_grad=True)
    (model(x) * torch.tensor([1.0, 10.0, 100.0])).sum().backward()
    assert x.grad is not None
    assert x.grad.tolist() == [[531.0, 642.0]]
    assert [(weight.requires_grad, weight.grad) for weight in model.parameters()] == [(False, None)] * 2


def whole(*shape: int) -> Tensor:
    return torch.randint(-8, 9, shape, generator=torch.Generator().manual_seed(sum(shape))).float()


@pytest.mark.parametrize("rows", [1, 16, 700])
def test_of_any_size_it_is_the_matrix_product_both_ways(rows: int) -> None:
    model = nn.Sequential(nn.Linear(96, 160, bias=False))
    model[0].weight.data = whole(160, 96)
    linear.freeze(model)
    x, gradient = whole(rows, 96).requires_grad_(), whole(rows, 160)
    y = model(x)
    y.backward(gradient)
    assert y.equal((x.detach().double() @ whole(160, 96).double().t()).float())
    assert x.grad is not None
    assert x.grad.equal((gradient.double() @ whole(160, 96).double()).float())


def test_a_transposed_input_and_another_type_are_as_good() -> None:
    model, x = frozen(True), whole(2, 5).t()
    assert model(x).equal(model(x.contiguous()))
    assert model.double()(x.double()).equal(frozen(True)(x).double())


def test_layers_keep_their_very_weights_and_their_places() -> None:
    model = nn.ModuleDict({"inner": nn.Sequential(nn.Linear(2, 3), nn.LayerNorm(3)), "head": nn.Linear(3, 2)})
    weights = dict(model.named_parameters())
    linear.freeze(model)
    assert {name: id(weight) for name, weight in model.named_parameters()} == {
        name: id(weight) for name, weight in weights.items()
    }
    assert isinstance(model["head"], linear.FrozenLinear)
