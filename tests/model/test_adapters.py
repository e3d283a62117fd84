"""LoRA adapters on disk; what is said of bad ones stands in test_bad_adapters.py."""

import json
import math
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import LoraConfig, PeftModel
from safetensors.torch import load_file, save_file
from tiny import save_adapter
from transformers import T5Config, T5ForConditionalGeneration

from detox.errors import InputError
from detox.model import adapters, bases, fitting, lora

pytest_plugins = ["models"]


def test_an_adapter_made_for_the_base_fits(adapter: Path, base: Path) -> None:
    adapters.check(adapter, base)


@pytest.mark.parametrize("kind", [torch.float16, torch.bfloat16])
def test_an_adapter_of_half_the_precision_fits(adapter: Path, base: Path, tmp_path: Path, kind: torch.dtype) -> None:
    adapters.copy(adapter, tmp_path / "half")
    weights = load_file(adapter / "adapter_model.safetensors")
    save_file({name: weight.to(kind) for name, weight in weights.items()}, tmp_path / "half/adapter_model.safetensors")
    adapters.check(tmp_path / "half", base)


def test_a_copy_is_the_two_files_and_nothing_that_lies_beside_them(adapter: Path, tmp_path: Path) -> None:
    adapters.copy(adapter, tmp_path / "mine")
    (tmp_path / "mine/README.md").write_text("stray")
    adapters.copy(tmp_path / "mine", tmp_path / "copy")
    assert contents(tmp_path / "copy") == {
        name: (adapter / name).read_bytes() for name in ("adapter_config.json", "adapter_model.safetensors")
    }


def test_an_adapter_that_torch_saved_is_the_same_and_becomes_safetensors_in_the_copy_alone(
    adapter: Path, base: Path, tmp_path: Path
) -> None:
    """With the key names and the few settings that peft wrote in 2023."""
    shutil.copytree(adapter, tmp_path / "old")
    (tmp_path / "old/adapter_model.safetensors").unlink()
    (tmp_path / "old/adapter_config.json").write_text(
        json.dumps(
            {
                "base_model_name_or_path": "google/flan-t5-base",
                "bias": "none",
                "fan_in_fan_out": False,
                "inference_mode": True,
                "init_lora_weights": True,
                "lora_alpha": 4,
                "lora_dropout": 0.05,
                "modules_to_save": None,
                "peft_type": "LORA",
                "r": 4,
                "target_modules": ["q", "v"],
                "task_type": "SEQ_2_SEQ_LM",
            }
        )
    )
    weights = load_file(adapter / "adapter_model.safetensors")
    torch.save(weights, tmp_path / "old/adapter_model.bin")
    before = contents(tmp_path / "old")
    adapters.check(tmp_path / "old", base)
    adapters.copy(tmp_path / "old", tmp_path / "copy")
    assert contents(tmp_path / "old") == before
    assert {path.name for path in (tmp_path / "copy").iterdir()} == {
        "adapter_config.json",
        "adapter_model.safetensors",
    }
    copied = load_file(tmp_path / "copy/adapter_model.safetensors")
    assert copied.keys() == weights.keys()
    assert all(copied[name].equal(weight) for name, weight in weights.items())
    assert adapters.describe(tmp_path / "old") == adapters.describe(adapter)


def test_an_adapter_that_peft_would_look_for_by_a_class_of_transformers_fits(
    adapter: Path, base: Path, tmp_path: Path
) -> None:
    """What peft writes where nobody has said what the model is for."""
    adapters.copy(adapter, tmp_path / "mine")
    tree = json.loads((adapter / "adapter_config.json").read_text()) | {"task_type": None}
    found = {"base_model_class": "T5ForConditionalGeneration", "parent_library": "transformers.models.t5.modeling_t5"}
    (tmp_path / "mine/adapter_config.json").write_text(json.dumps(tree | {"auto_mapping": found}))
    adapters.check(tmp_path / "mine", base)


def test_an_adapter_that_overflows_on_its_base_is_one_line(adapter: Path, base: Path, tmp_path: Path) -> None:
    adapters.copy(adapter, tmp_path / "mine")
    tree = json.loads((adapter / "adapter_config.json").read_text()) | {"lora_alpha": 3e38}
    (tmp_path / "mine/adapter_config.json").write_text(json.dumps(tree))
    weights = load_file(adapter / "adapter_model.safetensors")
    save_file({name: 9 * weight for name, weight in weights.items()}, tmp_path / "mine/adapter_model.safetensors")
    model = adapters.attached(bases.load(base), adapters.load(tmp_path / "mine", base), "policy")
    before = {name: weight.clone() for name, weight in model.state_dict().items()}
    with (
        pytest.raises(InputError, match=r"^the adapter cannot be added to the base \(NaNs detected .*: fetch another"),
        adapters.merged(model),
    ):
        pass
    assert all(before[name].equal(weight) for name, weight in model.state_dict().items())


def test_an_adapter_in_memory_is_what_its_files_were(adapter: Path, base: Path, tmp_path: Path) -> None:
    """It is read once: attached twice, it is twice the same, whatever becomes of its folder."""
    adapters.copy(adapter, tmp_path / "mine")
    found = adapters.load(tmp_path / "mine", base)
    (tmp_path / "mine/adapter_config.json").unlink()
    (tmp_path / "mine/adapter_model.safetensors").unlink()
    model = adapters.attached(adapters.attached(bases.load(base), found, "policy"), found, "reference")
    assert {name.replace(".policy.", ".reference.") for name in model.state_dict() if ".policy." in name}
    for name, weight in model.state_dict().items():
        if ".policy." in name:
            assert weight.equal(model.state_dict()[name.replace(".policy.", ".reference.")])


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.filterwarnings("error:Could not find a config file")
def test_an_adapter_that_was_loaded_and_saved_has_the_same_weights_and_no_hub_was_asked_about_its_base(
    adapter: Path, base: Path, tmp_path: Path
) -> None:
    model = PeftModel.from_pretrained(T5ForConditionalGeneration.from_pretrained(base), adapter, adapter_name="policy")
    adapters.save(model, "policy", config_from=adapter, folder=tmp_path / "saved")
    adapters.check(tmp_path / "saved", base)
    before, after = (load_file(folder / "adapter_model.safetensors") for folder in (adapter, tmp_path / "saved"))
    assert before.keys() == after.keys()
    assert all(before[name].equal(after[name]) for name in before)


def test_the_courses_adapter_has_3538944_weights_on_flan_t5_base() -> None:
    """Rank 32 on q and v of 12 encoder and 2 · 12 decoder attentions: 36 · 2 · 32 · (768 + 768) weights, 1.41 %."""
    base = T5Config(
        d_model=768, d_kv=64, num_heads=12, d_ff=2048, num_layers=12, feed_forward_proj="gated-gelu", vocab_size=32128
    )
    with torch.device("meta"):
        skeleton = T5ForConditionalGeneration(base)
    config = LoraConfig(r=32, target_modules=["q", "v"], task_type="SEQ_2_SEQ_LM")
    _, shapes = fitting.fitted(skeleton, config, "course", where="", remedy="")
    assert sum(math.prod(shape) for shape in shapes.values()) == 3_538_944


def replaced(adapter: Path, other: Path) -> None:
    """By another folder, as a stage replaces it."""
    adapter.rename(adapter.with_name("gone"))
    shutil.copytree(other, adapter)


@pytest.mark.parametrize("when", ["adapter_config.json", "adapter_model.safetensors"])
def test_an_adapter_that_is_replaced_while_it_is_read_is_one_line(
    base: Path, adapter: Path, tmp_path: Path, when: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By one of other shapes and strength, before its second file is opened, or its first one again."""
    shutil.copytree(adapter, tmp_path / "adapter")
    save_adapter(tmp_path / "other", base, seed=2, rank=2)
    opened: list[Path] = []
    real: Any = lora.config if when == "adapter_config.json" else load_file

    def read(path: Path) -> Any:
        if not opened:
            replaced(tmp_path / "adapter", tmp_path / "other")
        opened.append(path)
        return real(path)

    where = (lora, "config") if when == "adapter_config.json" else (adapters, "load_file")
    monkeypatch.setattr(*where, read)
    with pytest.raises(InputError, match=r"adapter was replaced while it was read: run this again$"):
        adapters.check(tmp_path / "adapter", base)
    assert len(opened) == 1
    adapters.check(tmp_path / "adapter", base)


def test_an_adapter_that_is_gone_while_it_is_read_is_one_line(
    base: Path, adapter: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(adapter, tmp_path / "adapter")
    real = lora.config

    def read(path: Path) -> Any:
        found = real(path)
        shutil.rmtree(path)
        return found

    monkeypatch.setattr(lora, "config", read)
    with pytest.raises(InputError, match=r"adapter was replaced while it was read: run this again$"):
        adapters.check(tmp_path / "adapter", base)
