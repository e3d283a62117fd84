"""LoRA adapters on disk: adapter_config.json and adapter_model.safetensors, checked against the base they belong to.

peft is given what was read here, and never the folder, of which it would read more.
"""

import copy as copying
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple, cast

import torch
from peft import LoraConfig, PeftModel, set_peft_model_state_dict
from peft.tuners.lora import LoraLayer
from safetensors import SafetensorError
from safetensors.torch import load_file
from safetensors.torch import save as as_bytes
from torch import Tensor, nn
from transformers import PreTrainedModel

from detox.errors import InputError
from detox.model import fitting, lora
from detox.sources import local

CONFIG, WEIGHTS, LEGACY = lora.CONFIG, local.ADAPTER, "adapter_model.bin"
FLOATS = (torch.float32, torch.float16, torch.bfloat16)


class Adapter(NamedTuple):
    """An adapter in memory, as its two files were when they were read."""

    path: Path  # of its weights
    config: LoraConfig
    weights: dict[str, Tensor]


def check(adapter: Path, base: Path) -> None:
    """Raises InputError unless the adapter fits this base, of which names and shapes alone are read."""
    _fitted(fitting.skeleton(base), load(adapter, base), "checked")


def load(adapter: Path, base: Path) -> Adapter:
    """The adapter, read once. Raises InputError unless it is a plain LoRA of finite weights that has nothing else of
    the base than what is there, and stays what it is meanwhile.
    """
    with still(adapter):
        path = _weights_of(adapter)
        found = Adapter(path, lora.config(adapter), fitting.without_own(_read(path), base, path))
    _check_numbers(path, found.weights)
    return found


def _fitted(model: PreTrainedModel | PeftModel, adapter: Adapter, name: str, trainable: bool = False) -> PeftModel:
    """The model with room for one more adapter. Raises InputError if its weights are not what peft saves there."""
    config = copying.deepcopy(adapter.config)
    config.inference_mode = not trainable
    both, expected = fitting.fitted(model, config, name, str(adapter.path.parent / CONFIG), "fetch another adapter")
    fitting.check_shapes(adapter.path, adapter.weights, expected, str(both.get_base_model().name_or_path))
    return both


@contextmanager
def still(adapter: Path) -> Iterator[None]:
    """Raises InputError if the adapter was replaced within the block: what was read might be of two."""
    before = _marks(adapter)
    try:
        yield
    except (InputError, OSError) as error:
        if _marks(adapter) == before:
            raise
        raise InputError(f"{adapter} was replaced while it was read: run this again") from error
    if _marks(adapter) != before:
        raise InputError(f"{adapter} was replaced while it was read: run this again")


def _marks(adapter: Path) -> list[tuple[int, int, int]]:
    """What tells whether its files are the same ones."""
    found = []
    for name in (CONFIG, WEIGHTS, LEGACY):
        with suppress(OSError):
            stat = (adapter / name).stat()
            found.append((stat.st_ino, stat.st_size, stat.st_mtime_ns))
    return found


def attached(model: PreTrainedModel | PeftModel, adapter: Adapter, name: str, trainable: bool = False) -> PeftModel:
    """The model with one more adapter, in float32, of which the first is active. Raises InputError as `check` does."""
    both = _fitted(model, adapter, name, trainable)
    _untie(both)
    for key, module in both.named_modules():
        if key.endswith((f".lora_A.{name}", f".lora_B.{name}")):
            module.to_empty(device=both.device).float()  # or it would be in the base's type of numbers
    set_peft_model_state_dict(both, adapter.weights, adapter_name=name)
    return both.eval()


def _untie(model: PeftModel) -> None:
    """Gives a head with LoRA a parameter of its own: of a tied base, merging into that would change the embeddings."""
    if isinstance(head := model.get_output_embeddings(), LoraLayer):
        own = cast(nn.Linear, head.get_base_layer())
        own.weight = nn.Parameter(own.weight.data, requires_grad=False)


def tensors(adapter: Path) -> dict[str, Tensor]:
    """Its weights as they lie there. Raises InputError if there are none, or they are damaged."""
    return _read(_weights_of(adapter))


def describe(adapter: Path) -> dict[str, int]:
    """Rank and number of weights of an adapter that has been checked."""
    sizes = (weight.numel() for name, weight in tensors(adapter).items() if fitting.LORA in name)
    return {"rank": lora.config(adapter).r, "parameters": sum(sizes)}


def copy(adapter: Path, folder: Path) -> None:
    """The two files of an adapter that has been checked, and nothing else that lies beside them, into a new folder:
    LoRA's weights alone, as safetensors.
    """
    folder.mkdir()
    weights = _read(path := _weights_of(adapter))
    plain = {name: weight.contiguous() for name, weight in weights.items() if fitting.LORA in name}
    if path.name == WEIGHTS and plain.keys() == weights.keys():
        lora.copy(adapter, folder)
        shutil.copyfile(path, folder / WEIGHTS)
    else:
        write(plain, adapter, folder)


def save(model: PeftModel, adapter_name: str, config_from: Path, folder: Path) -> None:
    """The weights of one of the model's adapters, under the configuration of the adapter it started from."""
    write(weights(model, adapter_name), config_from, folder)


def weights(model: PeftModel, adapter_name: str) -> dict[str, Tensor]:
    """A copy of one of the model's adapters, by the names that peft gives its weights in a file."""
    return {name: weight.detach().clone().contiguous() for name, weight in fitting.weights(model, adapter_name).items()}


def write(tensors: dict[str, Tensor], config_from: Path, folder: Path) -> None:
    """An adapter's two files: these weights, and the configuration of another adapter."""
    folder.mkdir(exist_ok=True)
    lora.copy(config_from, folder)
    (folder / WEIGHTS).write_bytes(as_bytes(tensors))


@contextmanager
def merged(model: nn.Module) -> Iterator[None]:
    """Within the block the active adapter is added into the base's weights, which saves LoRA's own products.

    The base's tensors are put aside and come back themselves: subtracting would leave them a little different.
    """
    layers = [module for module in model.modules() if isinstance(module, LoraLayer)]
    weights = [layer.get_base_layer().weight.data for layer in layers]
    try:
        try:
            for layer in layers:
                layer.merge(safe_merge=True)  # safe: into a new tensor
        except ValueError as error:
            raise InputError(f"the adapter cannot be added to the base ({error}): fetch another adapter") from error
        yield
    finally:
        for layer, weight in zip(layers, weights, strict=True):
            layer.get_base_layer().weight.data = weight
            layer.merged_adapters.clear()


def _weights_of(adapter: Path) -> Path:
    """The file of its weights: safetensors, or what torch saved if there is nothing else."""
    if not (adapter / CONFIG).is_file():
        raise InputError(f"{adapter / CONFIG} does not exist: check the source's path in params.yaml")
    for name in (WEIGHTS, LEGACY):
        if (adapter / name).is_file():
            return adapter / name
    raise InputError(f"{adapter / WEIGHTS} does not exist: check the source's path in params.yaml")


def _read(path: Path) -> dict[str, Tensor]:
    if path.name == LEGACY:
        return local.tensors(path, str(path))
    try:
        return load_file(path)
    except SafetensorError as error:
        raise InputError(f"{path} is not a safetensors file ({error}): fetch the adapter again") from error


def _check_numbers(path: Path, weights: dict[str, Tensor]) -> None:
    for name, weight in sorted(weights.items()):
        if weight.dtype not in FLOATS:
            known = ", ".join(map(_kind, FLOATS))
            raise InputError(f"{path}: {name} is {_kind(weight.dtype)}, not one of {known}: fetch another adapter")
        if not weight.isfinite().all():
            raise InputError(f"{path}: {name} holds a number that is not finite: fetch another adapter")


def _kind(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")
