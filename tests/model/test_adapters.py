"""LoRA adapters on disk; what is said of bad ones stands in test_bad_adapters.py."""

import math
from pathlib import Path

import pytest
import torch
from peft import LoraConfig, PeftModel
from safetensors.torch import load_file, save_file
from transformers import T5Config, T5ForConditionalGeneration

from detox.model import adapters

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
    shapes = adapters.shapes(LoraConfig(r=32, target_modules=["q", "v"], task_type="SEQ_2_SEQ_LM"), skeleton)
    assert sum(math.prod(shape) for shape in shapes.values()) == 3_538_944
