"""What an adapter's configuration may say: a plain LoRA, whose layers are named, and nothing that peft would import.

What counts is whether the weights are plain LoRA on this base, so how they began does not matter, unless that has
changed the base. All else has to be as peft has it by default. A pattern would be a regular expression, which may take
for ever; names are enough.
"""

import json
import re
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, TaskType

from detox.errors import InputError, brief
from detox.model import configurations
from detox.params.training import Tuning

CONFIG = "adapter_config.json"
NAME = re.compile(r"[\w.-]{1,200}")  # q, encoder.block.0.layer.0.SelfAttention.q; all-linear, peft's word for all
USUAL = LoraConfig().to_dict()
LIBRARY = re.compile(r"transformers\.models\.\w+\.modeling_\w+")


def config(folder: Path) -> LoraConfig:
    """The configuration in the folder. Raises InputError unless it is that of a plain LoRA."""
    told = plain(folder)
    used = {key: told[key] for key in PLAIN.keys() - UNUSED if not _absent(told, key)}
    return LoraConfig(**used, task_type=TaskType.SEQ_2_SEQ_LM)


def plain(folder: Path) -> dict[str, Any]:
    """All that the file says, but as peft reads it whatever wrote it. Raises InputError likewise."""
    path = folder / CONFIG
    told = configurations.read(path, "fetch the adapter again")
    if told.get("peft_type") != "LORA":
        raise InputError(f"{path}: peft_type is {brief(told.get('peft_type'))}: fetch a LoRA adapter")
    if not isinstance(name := told.get("base_model_name_or_path"), str | None):
        raise InputError(f"{path}: base_model_name_or_path is {brief(name)}, not text: write there what the base is")
    for key in sorted(told.keys() - PLAIN.keys() - {"base_model_name_or_path", "peft_type"}):
        if told[key] and told[key] != USUAL.get(key) and not HARMLESS.get(key, _never)(told[key]):
            value = brief(told[key], key)
            raise InputError(f"{path}: {key} is {value}, which is no plain LoRA: convert the adapter, or fetch another")
    for key, (allowed, wanted) in PLAIN.items():
        if not _absent(told, key) and told[key] != USUAL[key] and not allowed(told[key]):
            raise InputError(f"{path}: {key} is {brief(told[key], key)}, but must be {wanted}: fetch another adapter")
    mended = {key: USUAL[key] for key in HARMLESS.keys() & told.keys()} | {"task_type": "SEQ_2_SEQ_LM"}
    return told | mended | {key: _whole(told[key]) for key in WHOLE & told.keys()}


def copy(folder: Path, new: Path) -> None:
    """Writes the configuration into another folder, in peft's form. Raises InputError as `config` does."""
    (new / CONFIG).write_text(json.dumps(plain(folder), indent=2, sort_keys=True), encoding="utf-8", newline="\n")


def fresh(p: Tuning) -> LoraConfig:
    """The configuration of an adapter that is made here."""
    config = LoraConfig(
        r=p.rank,
        lora_alpha=p.alpha,
        lora_dropout=p.dropout,
        target_modules=list(p.targets),
        task_type="SEQ_2_SEQ_LM",
    )
    config.target_modules = sorted(p.targets)  # peft has made a set of them, and would save it in an order by chance
    return config


def _absent(told: Mapping[str, Any], key: str) -> bool:
    """Whether the file leaves it out; null is the default where that is empty."""
    return key not in told or (told[key] is None and not USUAL[key])


def _whole(value: Any) -> Any:
    """The same with 8 for 8.0, which peft would take for no number of rows."""
    if isinstance(value, dict):
        return {key: _whole(each) for key, each in value.items()}
    return int(value) if isinstance(value, float) else value


def _never(value: Any) -> bool:
    return False


def _size(value: Any) -> bool:
    whole = type(value) is int or (isinstance(value, float) and value.is_integer())
    return whole and 0 < value <= sys.maxsize


def _strength(value: Any) -> bool:
    return type(value) in (int, float) and 0 < value <= torch.finfo(torch.float32).max


def _share(value: Any) -> bool:
    return type(value) in (int, float) and 0 <= value < 1


def _switch(value: Any) -> bool:
    return isinstance(value, bool)


def _text(value: Any) -> bool:
    return isinstance(value, str)


def _name(value: Any) -> bool:
    return isinstance(value, str) and NAME.fullmatch(value) is not None


def _names(value: Any) -> bool:
    return _name(value) or (isinstance(value, list) and all(map(_name, value)))


def _layers(value: Any) -> bool:
    numbers = value if isinstance(value, list) else [value]
    return all(type(each) is int and 0 <= each <= sys.maxsize for each in numbers)


def _each(allowed: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, dict) and all(_name(key) and allowed(each) for key, each in value.items())


def _class(value: Any) -> bool:
    """Where peft looks for the base's class by itself: in one of the library's own modules."""
    return (
        isinstance(value, dict)
        and value.keys() <= {"base_model_class", "parent_library"}
        and _name(value.get("base_model_class"))
        and LIBRARY.fullmatch(str(value.get("parent_library"))) is not None
    )


# Key → what it may be beside peft's default, and that in words.
PLAIN: dict[str, tuple[Callable[[Any], bool], str]] = {
    "r": (_size, "a whole number above 0"),
    "lora_alpha": (_strength, "a number above 0 that float32 holds"),
    "lora_dropout": (_share, "a number from 0 to 1, 1 excluded"),
    "use_rslora": (_switch, "true or false"),
    "rank_pattern": (_each(_size), "whole numbers above 0 by the names of modules"),
    "alpha_pattern": (_each(_strength), "numbers above 0 that float32 holds by the names of modules"),
    "target_modules": (_names, "names of modules, no pattern"),
    "exclude_modules": (_names, "names of modules, no pattern"),
    "layers_pattern": (_names, "names of modules, no pattern"),
    "layers_to_transform": (_layers, "numbers of layers"),
    # Known, and of no effect here.
    "auto_mapping": (_class, "null or a class of transformers"),
    "inference_mode": (_switch, "true or false"),
    "peft_version": (_text, "text"),
    "revision": (_text, "text"),
    "task_type": (_text, "text"),
}
WHOLE = {"r", "rank_pattern"}
# What may be there beside, since the weights are plain LoRA all the same. How LoRA began is on the list where the base
# stayed as it was; PiSSA, OLoRA, CorDA, LoftQ and LoRA-GA take away from the base what they begin with.
HARMLESS: dict[str, Callable[[Any], bool]] = {
    "init_lora_weights": lambda value: value in (True, "gaussian", "orthogonal", "eva", "mica"),
    **dict.fromkeys(["corda_config", "eva_config", "loftq_config", "lora_ga_config"], lambda value: True),
    "bias": lambda value: value == "lora_only",  # T5's linear layers have none …
    "fan_in_fan_out": _switch,  # … and are all of one kind, for which peft itself takes it for false
}
UNUSED = {"auto_mapping", "inference_mode", "peft_version", "revision", "task_type"}
