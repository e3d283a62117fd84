"""A model's weights in its folder, and how large a model they can belong to."""

import math
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from torch import nn
from torch.nn.modules import module as registration

from detox import parsing
from detox.errors import InputError
from detox.sources import local

INDEX = f"{local.MODEL}.index.json"
# What the library registers while it builds a model, in multiples of what the file holds, and beside them. A weight
# that is missing or of another shape is within, and is named later.
PIECES, PIECES_BESIDE = 10, 1_000
NUMBERS, NUMBERS_BESIDE = 4, 10_000_000

Weights = Mapping[str, Any]  # tensors, or slices of a file that become tensors when they are read


@contextmanager
def opened(folder: Path, remedy: str) -> Iterator[Weights]:
    """The weights of a model by their names: safetensors, whole or in parts, or else a file that torch saved.

    Raises InputError, which ends in the remedy, if there are none.
    """
    if not (paths := _safetensors(folder, remedy)):
        yield local.tensors(path := _saved_by_torch(folder, remedy), str(path))
        return
    with ExitStack() as stack:
        held: dict[str, Any] = {}
        for path in paths:
            try:
                part = stack.enter_context(safe_open(path, framework="pt"))
                held |= {name: part.get_slice(name) for name in part.keys()}  # noqa: SIM118
            except (SafetensorError, OSError) as error:
                raise InputError(f"{path} is not a safetensors file ({error}): {remedy}") from error
        yield held


def _safetensors(folder: Path, remedy: str) -> list[Path]:
    """The files of the weights. The index of a model in parts names files beside it: the library would open any."""
    if (whole := folder / local.MODEL).is_file():
        return [whole]
    if not (index := folder / INDEX).is_file():
        return []
    parts = parsing.read_json(index, remedy).get("weight_map")
    if not isinstance(parts, dict) or not parts or not all(map(_beside, parts.values())):
        raise InputError(f"{index}: weight_map does not name files beside it: {remedy}")
    return [folder / name for name in sorted(set(parts.values()))]


def _beside(name: object) -> bool:
    """Whether it names a file in the folder itself that the folder's pin covers: a hidden one it does not."""
    return isinstance(name, str) and name == Path(name).name and name.endswith(".safetensors") and name[0] != "."


def _saved_by_torch(folder: Path, remedy: str) -> Path:
    for name, new in local.LEGACY.items():
        if new == local.MODEL and (folder / name).is_file():
            return folder / name
    raise InputError(f"{folder} has no weights ({local.MODEL}, {INDEX} or pytorch_model.bin): {remedy}")


def shape(weight: Any) -> tuple[int, ...]:
    """The shape of a weight, which is not read for it."""
    return tuple(weight.get_shape() if hasattr(weight, "get_shape") else weight.shape)


def misshapen(held: Weights, model: nn.Module) -> dict[str, str]:
    """The weights of a model that have another shape in the file, and what is wrong with them."""
    wanted = {name: tuple(weight.shape) for name, weight in model.named_parameters() if name in held}
    return {name: other(shape(held[name]), size) for name, size in wanted.items() if shape(held[name]) != size}


def other(found: Iterable[int], wanted: Iterable[int]) -> str:
    """What is wrong with a weight of another shape."""
    return f"is {' x '.join(map(str, found))}, not {' x '.join(map(str, wanted))}"


@contextmanager
def bound(held: Weights) -> Iterator[None]:
    """Within the block a model is built. Raises ValueError as soon as it is much larger than these weights.

    A configuration may ask for any number of layers of any width, or for a table of all pairs of positions.
    """
    pieces = PIECES * len(held) + PIECES_BESIDE
    numbers = NUMBERS * sum(math.prod(shape(weight)) for weight in held.values()) + NUMBERS_BESIDE

    def count(parent: Any, name: str, new: Any) -> None:
        nonlocal pieces, numbers
        pieces -= 1
        numbers -= new.numel() if hasattr(new, "numel") else 0
        if min(pieces, numbers) < 0:
            raise ValueError("it describes a far larger model than the weights beside it are of")

    with ExitStack() as stack:
        for kind in ("module", "parameter", "buffer"):
            hook = getattr(registration, f"register_module_{kind}_registration_hook")
            stack.callback(hook(count).remove)
        yield
