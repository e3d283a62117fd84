"""Dropout drawn four numbers at a time: its share, its mean, its gradient, and that torch's seed gives it again."""

import pytest
import torch
from torch import nn

from detox.model import dropout

RATES = [1 / 2**16, 0.05, 0.1, 0.5, 1 - 1 / 2**16, 1 - 1e-9]


@pytest.mark.parametrize("rate", RATES)
def test_its_share_is_0_and_the_rest_makes_up_for_it(rate: float) -> None:
    """Of a million, six standard errors either way."""
    torch.manual_seed(7)
    y = dropout.dropout(torch.ones(1000, 1000), rate)
    error = (rate * (1 - rate) / y.numel()) ** 0.5 + 1 / 2**16
    assert (y == 0).double().mean().item() == pytest.approx(rate, abs=6 * error)
    assert y[y != 0].unique().tolist() == pytest.approx([1 / (1 - rate)])


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5, 4097])
def test_every_place_has_a_chance_of_its_own(count: int) -> None:
    """Each of some places falls with a chance of 1/2, and none with its neighbour more often than by chance."""
    torch.manual_seed(7)
    fell = torch.stack([dropout.dropout(torch.ones(count), 0.5) == 0 for _ in range(1000)]).double()
    assert (fell.mean(0) - 0.5).abs().max() < 6 * (0.25 / 1000) ** 0.5
    both = (fell[:, 1:] * fell[:, :-1]).mean(0)
    assert (both - 0.25).abs().lt(6 * (0.1875 / 1000) ** 0.5).all()


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_the_gradient_is_dropped_where_the_number_was(dtype: torch.dtype) -> None:
    x = torch.full((64, 64), 3.0, dtype=dtype, requires_grad=True)
    y = dropout.dropout(x, 0.5)
    y.sum().backward()
    assert x.grad is not None
    assert y.dtype == dtype
    assert {(out, grad) for out, grad in zip(y.flatten().tolist(), x.grad.flatten().tolist(), strict=True)} == {
        (0.0, 0.0),
        (6.0, 2.0),
    }


def test_torchs_seed_gives_it_again_and_eval_mode_leaves_all_as_it_is() -> None:
    model = nn.Sequential(nn.Dropout(0.5), nn.Dropout(0.0))
    dropout.install(model)
    x = torch.ones(256)
    drawn = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        drawn.append(model(x))
    assert drawn[0].equal(drawn[1])
    assert not drawn[0].equal(drawn[2])
    assert model.eval()(x).equal(x)


def test_all_of_torchs_are_replaced_and_keep_their_rates() -> None:
    model = nn.ModuleList([nn.Dropout(0.25), nn.Sequential(nn.Dropout(0.5), nn.Linear(2, 2)), nn.Dropout1d(0.5)])
    dropout.install(model)
    kinds = [(type(module), module.p) for module in model.modules() if isinstance(module, nn.Dropout | nn.Dropout1d)]
    assert kinds == [(dropout.Dropout, 0.25), (dropout.Dropout, 0.5), (nn.Dropout1d, 0.5)]
