"""A second device made of the first: where there is no GPU it still shows what would be on the wrong side.

Tensors that are sent to it stay where they are and compute as ever, but say that they are elsewhere. What torch would
refuse on a GPU is refused: an operation on tensors of both sides, and numbers that numpy would have to read there.
Backward passes are torch's own and not watched.

`python -m simulated MODULE` runs a module with it.
"""

import runpy
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_leaves

ELSEWHERE = torch.device("cuda")
HERE = torch.device("cpu")
# What may read the other side. An item may be set to what is there only if it is a slice.
SET_DATA = Tensor.data.__set__  # type: ignore[attr-defined]
MOVES = {Tensor.copy_, SET_DATA, torch._has_compatible_shallow_copy_type}
INDEXING = {Tensor.__getitem__, Tensor.__setitem__}


class WrongDevice(RuntimeError):
    """What torch calls "Expected all tensors to be on the same device"."""


def side_of(device: Any) -> torch.device:
    """The device, by whichever of its names that one is called."""
    return ELSEWHERE if torch.device(device).type == ELSEWHERE.type else torch.device(device)


def where(tensor: Any) -> torch.device | None:
    """Of a tensor that an unwatched operation has made nothing is known."""
    return getattr(tensor, "simulated", None)


def by_numbers(index: Any) -> bool:
    """Whether it picks what it picks one by one."""
    return any(isinstance(part, Tensor | list) for part in (index if isinstance(index, tuple) else (index,)))


def put(tensors: Any, device: torch.device | None) -> Any:
    """The same, now there; or where torch has made them."""
    for tensor in tree_leaves(tensors):
        if isinstance(tensor, Tensor):
            tensor.simulated = device or Tensor.device.__get__(tensor)  # type: ignore[attr-defined]
    return tensors


class SecondDevice(TorchFunctionMode):
    """Within the block there are two devices."""

    def __torch_function__(
        self, function: Callable[..., Any], types: Any, args: Sequence[Any] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = dict(kwargs or {})
        if function == Tensor.device.__get__:
            return where(args[0]) or function(*args)
        if function == Tensor.numpy and where(args[0]) == ELSEWHERE:
            raise WrongDevice("numpy cannot read what is elsewhere")
        if function in (Tensor.to, Tensor.cpu, Tensor.cuda):
            return self.moved(function, args, kwargs)
        wanted = side_of(kwargs["device"]) if kwargs.get("device") else None
        if wanted == ELSEWHERE:
            kwargs["device"] = HERE
        found = self.side(function, args, kwargs)
        result = function(*args, **kwargs)
        if function == SET_DATA:
            return put(args[0], where(args[1]) or HERE)
        if function in MOVES:
            return result
        return put(result, wanted or found)

    def side(self, function: Callable[..., Any], args: Sequence[Any], kwargs: dict[str, Any]) -> torch.device | None:
        """On which the operands are. Raises WrongDevice unless that is one device.

        Tensors of no dimension may be anywhere, and indices of what is elsewhere may be here.
        """
        tensors = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)]
        own = where(tensors[0]) if tensors else None
        sides = {where(tensor) for tensor in tensors if tensor.dim()} - {None}
        if function in INDEXING:
            indices, values = tree_leaves(args[1]), args[2:] if by_numbers(args[1]) else ()
            both = own == HERE and any(where(leaf) == ELSEWHERE for leaf in (*indices, *values))
        else:
            both = function not in MOVES and len(sides) > 1
        if both:
            raise WrongDevice(f"{function.__name__} of tensors on both devices")
        return own or next(iter(sides), None)

    def moved(self, function: Callable[..., Any], args: Sequence[Any], kwargs: dict[str, Any]) -> Tensor:
        """The tensor on the device that is asked for, or of another type on its own."""
        tensor, *rest = (*args, *([kwargs.pop("device")] if "device" in kwargs else []))
        start = where(tensor) or HERE
        target = next((side_of(each) for each in rest if isinstance(each, str | torch.device)), start)
        if function is Tensor.cpu:
            target = HERE
        others = [HERE if isinstance(each, str | torch.device) else each for each in rest]
        result = tensor.to(*others, **kwargs) if others or kwargs else tensor
        return put(tensor.clone() if result is tensor and target != start else result, target)


@contextmanager
def one_gpu() -> Iterator[torch.device]:
    """Within the block torch finds a GPU, which is the second device."""
    known: dict[str, Any] = {
        "is_available": lambda: True,
        "device_count": lambda: 1,
        "set_device": lambda device: None,
        "get_device_name": lambda device: "simulated",
        "synchronize": lambda: None,
        "max_memory_allocated": lambda: 0,
    }
    state = patch.object(torch.cuda.random, "get_rng_state", torch.get_rng_state)
    # A torch that was built for GPUs would ask the driver, which is not there.
    unasked = patch.object(torch.accelerator, "current_accelerator", lambda check_available=False: None)
    with patch.multiple(torch.cuda, **known), state, unasked, SecondDevice():
        yield ELSEWHERE


if __name__ == "__main__":
    from simulated import one_gpu as simulation  # of this module's own name, which others import, too

    with simulation():
        del sys.argv[0]
        runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
