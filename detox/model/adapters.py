"""LoRA adapters on disk: adapter_config.json and adapter_model.safetensors, checked against the base they belong to."""

import math
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from peft import LoraConfig, PeftModel, get_peft_model, get_peft_model_state_dict
from peft.tuners.lora import LoraLayer
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as as_bytes
from torch import Tensor, nn
from transformers import AutoModelForSeq2SeqLM

from detox import files
from detox.errors import InputError, brief
from detox.model import bases, pretrained
from detox.params import Tuning

CONFIG, WEIGHTS = "adapter_config.json", "adapter_model.safetensors"
# What a configuration may say; all else has to be as peft has it by default, or what is loaded is no plain LoRA: some
# options make peft change the base's weights.
PLAIN = set(
    """peft_type peft_version task_type auto_mapping inference_mode base_model_name_or_path revision
    r lora_alpha lora_dropout use_rslora rank_pattern alpha_pattern
    target_modules exclude_modules layers_to_transform layers_pattern""".split()
)
FLOATS = ("F32", "F16", "BF16")  # types of weights, in safetensors' words
Shapes = dict[str, tuple[int, ...]]


def check(adapter: Path, base: Path) -> None:
    """Raises InputError unless the adapter is a plain LoRA for this base, of finite weights of the right shapes."""
    for path in (adapter / CONFIG, adapter / WEIGHTS):
        if not path.is_file():
            raise InputError(f"{path} does not exist: check the source's path in params.yaml")
    _check_plain(adapter / CONFIG)
    expected, found = _expected_shapes(adapter, base), _shapes(adapter / WEIGHTS)
    for name in sorted(expected.keys() | found.keys()):
        if expected.get(name) != found.get(name):
            wanted, given = (_describe(shapes.get(name)) for shapes in (expected, found))
            raise InputError(
                f"{adapter / WEIGHTS} does not fit the base {base}: {name} should be {wanted}, is {given}: "
                "fetch the adapter that was trained on this base"
            )
    _check_numbers(adapter / WEIGHTS)


def fresh(p: Tuning, base: Path) -> LoraConfig:
    """The configuration of a LoRA adapter that is made here, for this base."""
    config = LoraConfig(
        r=p.rank,
        lora_alpha=p.alpha,
        lora_dropout=p.dropout,
        target_modules=list(p.targets),
        task_type="SEQ_2_SEQ_LM",
        base_model_name_or_path=base.as_posix(),
    )
    config.target_modules = sorted(p.targets)  # peft has made a set of them, and would save it in an order by chance
    return config


def check_fresh(p: Tuning, base: Path) -> None:
    """Raises InputError unless a LoRA adapter can be made so for this base."""
    _on(fresh(p, base), base, "params.yaml: adapter.tuning", "correct its targets")


def describe(adapter: Path) -> dict[str, int]:
    """Rank and number of weights of an adapter that has been checked."""
    rank = LoraConfig.from_pretrained(str(adapter)).r
    return {"rank": rank, "parameters": sum(math.prod(shape) for shape in _shapes(adapter / WEIGHTS).values())}


def copy(adapter: Path, folder: Path) -> None:
    """The adapter's two files, and nothing else that lies beside them, into a new folder."""
    folder.mkdir()
    for name in (CONFIG, WEIGHTS):
        shutil.copyfile(adapter / name, folder / name)


def save(model: PeftModel, adapter_name: str, config_from: Path, folder: Path) -> None:
    """The weights of one of the model's adapters, under the configuration of the adapter it started from."""
    write(weights(model, adapter_name), config_from, folder)


def weights(model: PeftModel, adapter_name: str) -> dict[str, Tensor]:
    """A copy of one of the model's adapters, by the names that peft gives its weights in a file."""
    return {name: weight.detach().clone().contiguous() for name, weight in _weights(model, adapter_name).items()}


def write(tensors: dict[str, Tensor], config_from: Path, folder: Path) -> None:
    """An adapter's two files: these weights, and the configuration of another adapter."""
    folder.mkdir(exist_ok=True)
    shutil.copyfile(config_from / CONFIG, folder / CONFIG)
    (folder / WEIGHTS).write_bytes(as_bytes(tensors))


@contextmanager
def merged(model: nn.Module) -> Iterator[None]:
    """Within the block the active adapter is added into the base's weights, which saves LoRA's own products.

    The base's tensors are put aside and come back themselves: subtracting would leave them a little different.
    """
    layers = [module for module in model.modules() if isinstance(module, LoraLayer)]
    weights = [layer.get_base_layer().weight.data for layer in layers]
    try:
        for layer in layers:
            layer.merge(safe_merge=True)  # safe: into a new tensor
        yield
    finally:
        for layer, weight in zip(layers, weights, strict=True):
            layer.get_base_layer().weight.data = weight
            layer.merged_adapters.clear()


def _check_plain(path: Path) -> None:
    config, usual = files.read_json(path, "fetch the adapter again"), LoraConfig().to_dict()
    if config.get("peft_type") != "LORA":
        raise InputError(f"{path}: peft_type is {config.get('peft_type')!r}: fetch a LoRA adapter")
    if not isinstance(name := config.get("base_model_name_or_path"), str | None):
        raise InputError(f"{path}: base_model_name_or_path is {brief(name)}, not text: write there what the base is")
    for key, kind in (("r", int), ("lora_alpha", int | float)):
        if not isinstance(value := config.get(key, usual[key]), kind) or not 0 < value < math.inf:
            raise InputError(f"{path}: {key} is {brief(value)}, but must be a number above 0: fetch another adapter")
    for key in sorted(config.keys() - PLAIN):
        if config[key] and config[key] != usual.get(key):
            value = brief(config[key])
            raise InputError(f"{path}: {key} is {value}, which is no plain LoRA: convert the adapter, or fetch another")


def _expected_shapes(adapter: Path, base: Path) -> Shapes:
    """What peft itself would save for this configuration on this base; nothing is allocated."""
    try:
        config = LoraConfig.from_pretrained(str(adapter))
    except Exception as error:  # whatever a damaged or hostile configuration makes of it
        raise _unfitting(error, str(adapter / CONFIG), base, "fetch another adapter") from error
    model = _on(config, base, str(adapter / CONFIG), "fetch another adapter")
    return {name: tuple(weight.shape) for name, weight in _weights(model, "default").items()}


def _on(config: LoraConfig, base: Path, where: str, remedy: str) -> PeftModel:
    """The base with such an adapter, neither with weights. Raises InputError, which ends in the remedy."""
    bases.check_family(base)
    skeleton = pretrained.skeleton(AutoModelForSeq2SeqLM, base)
    config.base_model_name_or_path = None  # peft warns where it is not the path at hand
    try:
        with torch.device("meta"):
            return get_peft_model(skeleton, config)
    except Exception as error:  # as above
        raise _unfitting(error, where, base, remedy) from error


def _unfitting(error: Exception, where: str, base: Path, remedy: str) -> InputError:
    return InputError(f"{where} does not fit the base {base}: {pretrained.first_sentence(error)}: {remedy}")


def _weights(model: PeftModel, adapter_name: str) -> dict[str, Tensor]:
    # peft would ask the hub whether the base's vocabulary was resized; ours never is.
    return get_peft_model_state_dict(model, adapter_name=adapter_name, save_embedding_layers=False)


def _shapes(path: Path) -> Shapes:
    try:
        with safe_open(path, framework="pt") as file:
            return {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118
    except SafetensorError as error:
        raise InputError(f"{path} is not a safetensors file ({error}): fetch the adapter again") from error


def _check_numbers(path: Path) -> None:
    with safe_open(path, framework="pt") as file:
        for name in sorted(file.keys()):
            if (kind := file.get_slice(name).get_dtype()) not in FLOATS:
                raise InputError(f"{path}: {name} is {kind}, not one of {', '.join(FLOATS)}: fetch another adapter")
            if not file.get_tensor(name).isfinite().all():
                raise InputError(f"{path}: {name} holds a number that is not finite: fetch another adapter")


def _describe(shape: tuple[int, ...] | None) -> str:
    return "absent" if shape is None else " x ".join(map(str, shape)) or "a number"
