"""Linear layers whose weights stay as they are, through oneDNN's matrix products.

PyTorch hands float32 products to the BLAS it was built with, MKL on x86, and keeps oneDNN, which it brings too, for
convolutions and for compiled models. On the CPUs tried oneDNN is faster: 1.1 times on hundreds of rows, 1.5 to 2 times
on the few rows of a decoding step. Results differ by rounding alone.
"""

from typing import Any

import torch
from torch import Tensor, nn

# Other processors have a BLAS of their makers, and oneDNN no code of its own for some of them.
FASTER = torch.backends.mkldnn.is_available() and torch.backends.cpu.get_cpu_capability().startswith("AVX")
TYPES = {torch.float32, torch.bfloat16} if FASTER and torch.ops.mkldnn._is_mkldnn_bf16_supported() else {torch.float32}


class FrozenProduct(torch.autograd.Function):
    """x · weightᵀ (+ bias), of which only x has a gradient: gradient · weight."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        """`[… in]`, `[out in]`, `[out]` → `[… out]`, of one of the TYPES, on a CPU."""
        ctx.save_for_backward(weight)
        return product(x, weight, bias)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        """`[… out]` → `[… in]`."""
        (weight,) = ctx.saved_tensors
        return product(gradients[0], weight.t(), None), None, None


def product(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """x · weightᵀ (+ bias): the operator that PyTorch's compiler puts in the place of a linear layer."""
    result: Tensor = torch.ops.mkldnn._linear_pointwise(x, weight, bias, "none", [], "")
    return result


class FrozenLinear(nn.Linear):
    """A linear layer whose weights get no gradient."""

    def forward(self, x: Tensor) -> Tensor:
        """`[… in]` → `[… out]`, in the type of the weights."""
        x = x.to(self.weight.dtype)
        if FASTER and x.device.type == "cpu" and x.dtype in TYPES:
            y: Tensor = (FrozenProduct.apply if x.requires_grad else product)(x, self.weight, self.bias)
            return y
        return super().forward(x)


def freeze(model: nn.Module) -> None:
    """Puts a FrozenLinear, with the same weights, in the place of every linear layer; no weight asks for gradients."""
    model.requires_grad_(False)
    for parent in list(model.modules()):
        for name, layer in parent.named_children():
            if type(layer) is nn.Linear:
                frozen = FrozenLinear(layer.in_features, layer.out_features, layer.bias is not None, device="meta")
                frozen.weight, frozen.bias = layer.weight, layer.bias
                setattr(parent, name, frozen.train(layer.training))
