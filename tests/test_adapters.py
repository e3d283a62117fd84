"""LoRA adapters on disk, and what is said of one that does not fit its base."""

import json
import math
from pathlib import Path

import pytest
from peft import LoraConfig, PeftModel
from safetensors.torch import load_file, save_file
from tiny import new_base, save_adapter
from torch import Tensor
from transformers import T5Config, T5ForConditionalGeneration

from detox import adapters
from detox.errors import InputError

pytest_plugins = ["models"]

FIRST = "base_model.model.decoder.block.0.layer.0.SelfAttention.q.lora_A.weight"


@pytest.fixture
def mine(adapter: Path, tmp_path: Path) -> Path:
    """A copy of the adapter, to spoil."""
    adapters.copy(adapter, tmp_path / "mine")
    return tmp_path / "mine"


def rewrite(folder: Path, weights: dict[str, Tensor]) -> None:
    save_file(weights, folder / "adapter_model.safetensors")


def complaint(adapter: Path, base: Path) -> str:
    with pytest.raises(InputError) as error:
        adapters.check(adapter, base)
    message = str(error.value)
    assert "\n" not in message
    return message


def test_an_adapter_made_for_the_base_fits(adapter: Path, base: Path) -> None:
    adapters.check(adapter, base)


@pytest.mark.parametrize("name", ["adapter_config.json", "adapter_model.safetensors"])
def test_a_missing_file_is_named(mine: Path, base: Path, name: str) -> None:
    (mine / name).unlink()
    assert complaint(mine, base) == f"{mine / name} does not exist: check the source's path in params.yaml"


def test_a_missing_base_is_named(adapter: Path, tmp_path: Path) -> None:
    assert str(tmp_path / "nothing" / "config.json") in complaint(adapter, tmp_path / "nothing")


def test_a_weight_of_another_rank_is_named_with_both_shapes(mine: Path, base: Path) -> None:
    rewrite(mine, load_file(mine / "adapter_model.safetensors") | {FIRST: Tensor(8, 32)})
    assert f"{FIRST} should be 4 x 32, is 8 x 32" in complaint(mine, base)


def test_a_missing_weight_is_named(mine: Path, base: Path) -> None:
    weights = load_file(mine / "adapter_model.safetensors")
    del weights[FIRST]
    rewrite(mine, weights)
    assert f"{FIRST} should be 4 x 32, is absent" in complaint(mine, base)


def test_a_weight_that_the_base_has_no_place_for_is_named(mine: Path, base: Path) -> None:
    rewrite(mine, load_file(mine / "adapter_model.safetensors") | {"stray": Tensor(2, 3)})
    assert "stray should be absent, is 2 x 3" in complaint(mine, base)


def test_an_adapter_of_a_wider_base_does_not_fit(base: Path, tmp_path: Path) -> None:
    model = new_base(seed=0, hidden=48)
    model.save_pretrained(tmp_path / "wide")
    save_adapter(tmp_path / "adapter", tmp_path / "wide", seed=1)
    adapters.check(tmp_path / "adapter", tmp_path / "wide")
    assert f"{FIRST} should be 4 x 32, is 4 x 48" in complaint(tmp_path / "adapter", base)


@pytest.mark.parametrize(
    "change",
    [{"target_modules": ["query"]}, {"r": 0}, {"r": "four"}, {"peft_type": "IA3"}, {"peft_type": "NEW"}],
    ids=str,
)
def test_a_configuration_that_cannot_be_applied_to_the_base_is_refused(
    mine: Path, base: Path, change: dict[str, object]
) -> None:
    path = mine / "adapter_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    assert str(path) in complaint(mine, base)


def test_a_configuration_that_is_not_json_is_refused(mine: Path, base: Path) -> None:
    (mine / "adapter_config.json").write_text("version https://git-lfs.github.com/spec/v1")
    assert "adapter_config.json" in complaint(mine, base)


@pytest.mark.parametrize("size", [0, 7, 1000])
def test_weights_that_were_not_fetched_to_the_end_are_refused(mine: Path, base: Path, size: int) -> None:
    path = mine / "adapter_model.safetensors"
    path.write_bytes(path.read_bytes()[:size])
    assert f"{path} is not a safetensors file" in complaint(mine, base)


def test_a_copy_is_the_two_files_and_nothing_that_lies_beside_them(mine: Path, adapter: Path, tmp_path: Path) -> None:
    (mine / "README.md").write_text("stray")
    adapters.copy(mine, tmp_path / "copy")
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


def test_the_courses_adapter_has_3538944_weights_on_flan_t5_base(tmp_path: Path) -> None:
    """Rank 32 on q and v of 12 encoder and 2 · 12 decoder attentions: 36 · 2 · 32 · (768 + 768) weights, 1.41 %."""
    T5Config(
        d_model=768, d_kv=64, num_heads=12, d_ff=2048, num_layers=12, feed_forward_proj="gated-gelu", vocab_size=32128
    ).save_pretrained(tmp_path / "base")
    LoraConfig(r=32, lora_alpha=32, target_modules=["q", "v"], task_type="SEQ_2_SEQ_LM").save_pretrained(
        str(tmp_path / "adapter")
    )
    shapes = adapters._expected_shapes(tmp_path / "adapter", tmp_path / "base")
    assert sum(math.prod(shape) for shape in shapes.values()) == 3_538_944
