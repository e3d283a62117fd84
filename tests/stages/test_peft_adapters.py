"""Adapters as peft writes them: whatever is plain LoRA on the base works as peft itself has it, from stage to stage."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from projects import begin, run_stages
from safetensors.torch import load_file, save_file
from tiny import HIDDEN, VOCABULARY, t5_config, word_tokenizer
from torch import Tensor
from transformers import AutoModelForSeq2SeqLM, T5ForConditionalGeneration

from detox.errors import InputError
from detox.model import adapters, bases
from detox.serving import merging

pytest_plugins = ["models"]

HEAD = "base_model.model.lm_head.base_layer.weight"
IDS = torch.tensor([[5, 9, 4, 1], [7, 3, 1, 0]])


@pytest.fixture(scope="session")
def tied(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random T5 of the first version, whose head is its table of embeddings; its file has one of them."""
    folder = tmp_path_factory.mktemp("tied")
    with torch.random.fork_rng():
        torch.manual_seed(3)
        T5ForConditionalGeneration(t5_config()).save_pretrained(folder)
    assert "lm_head.weight" not in load_file(folder / "model.safetensors")
    word_tokenizer(VOCABULARY, "$A </s>", pad="<pad>", eos="</s>").save_pretrained(folder)
    return folder


def written(folder: Path, base: Path, dtype: torch.dtype = torch.float32, **options: Any) -> Path:
    """An adapter with random weights, as peft's `save_pretrained` leaves it."""
    told: dict[str, Any] = {"r": 4, "lora_alpha": 8, "target_modules": ["q", "v"], "task_type": "SEQ_2_SEQ_LM"}
    with torch.random.fork_rng(), torch.no_grad():
        torch.manual_seed(1)
        model = get_peft_model(
            AutoModelForSeq2SeqLM.from_pretrained(base, dtype=dtype),
            LoraConfig(**told | options),
            autocast_adapter_dtype=False,
        )
        for name, weight in model.named_parameters():
            if "lora_" in name:
                weight.normal_(std=0.3)
    model.save_pretrained(str(folder))
    return folder


def by_peft(base: Path, adapter: Path) -> Tensor:
    """Logits by transformers and peft alone."""
    model = AutoModelForSeq2SeqLM.from_pretrained(base, dtype=torch.float32)
    return logits(PeftModel.from_pretrained(model, str(adapter)).eval())


@torch.no_grad()
def logits(model: Any) -> Tensor:
    result: Tensor = model(input_ids=IDS, attention_mask=(IDS > 0).long(), decoder_input_ids=IDS.flip(0)).logits
    return result


def edited(adapter: Path, **changes: Any) -> None:
    path = adapter / "adapter_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


@pytest.mark.parametrize("on", ["base", "tied"])
@pytest.mark.parametrize(
    "options",
    [
        {"init_lora_weights": "gaussian"},
        {"init_lora_weights": "orthogonal"},
        {"init_lora_weights": "mica"},
        {"task_type": None},
        {"fan_in_fan_out": True},
        {"bias": "lora_only"},
        {"use_rslora": True},
        {"target_modules": "all-linear"},
        {"target_modules": ["q", "v", "lm_head"]},
        {"target_modules": ["q", "v"], "rank_pattern": {"q": 2}, "alpha_pattern": {"q": 1}},
    ],
    ids=str,
)
@pytest.mark.filterwarnings("ignore:Model has `tie_word_embeddings", "ignore:Setting `save_embedding", "ignore:fan_in")
def test_plain_lora_does_what_peft_makes_of_it_merged_or_not(
    on: str, options: dict[str, Any], tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    base = request.getfixturevalue(on)
    adapter = written(tmp_path / "adapter", base, **options)
    ours, expected = adapters.attached(bases.load(base), adapters.load(adapter, base), "ours"), by_peft(base, adapter)
    for _ in range(2):
        torch.testing.assert_close(logits(ours), expected, rtol=0, atol=1e-4)
        with adapters.merged(ours):
            torch.testing.assert_close(logits(ours), expected, rtol=0, atol=1e-4)
    assert (logits(ours) - logits(bases.load(base))).abs().max() > 1


def test_what_other_programs_make_of_the_configuration_is_mended_in_the_copy(base: Path, tmp_path: Path) -> None:
    """A byte order mark, numbers with a point, an initialisation with its own settings."""
    adapter = written(tmp_path / "adapter", base)
    expected = by_peft(base, adapter)
    edited(adapter, r=4.0, rank_pattern={"q": 4.0}, task_type=None, init_lora_weights="eva", eva_config={"rho": 2.0})
    path = adapter / "adapter_config.json"
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes().replace(b"\n", b"\r\n"))
    adapters.check(adapter, base)
    adapters.copy(adapter, tmp_path / "copy")
    assert by_peft(base, tmp_path / "copy").equal(expected)
    assert json.loads((tmp_path / "copy/adapter_config.json").read_text())["task_type"] == "SEQ_2_SEQ_LM"


@pytest.mark.filterwarnings("ignore:Setting `save_embedding")
def test_the_bases_own_head_beside_lora_on_it_is_left_out_of_the_copy(base: Path, tmp_path: Path) -> None:
    adapter = written(tmp_path / "adapter", base, target_modules=["lm_head"])
    assert load_file(adapter / "adapter_model.safetensors").keys() > {HEAD}
    adapters.copy(adapter, tmp_path / "copy")
    assert load_file(tmp_path / "copy/adapter_model.safetensors").keys() == {
        f"base_model.model.lm_head.lora_{letter}.weight" for letter in "AB"
    }
    assert adapters.describe(adapter) == {"rank": 4, "parameters": 4 * (HIDDEN + len(VOCABULARY))}
    assert by_peft(base, tmp_path / "copy").equal(by_peft(base, adapter))


@pytest.mark.filterwarnings("ignore:Setting `save_embedding")
def test_a_head_that_was_trained_is_no_plain_lora(base: Path, tmp_path: Path) -> None:
    adapter = written(tmp_path / "adapter", base, target_modules=["lm_head"])
    weights = load_file(adapter / "adapter_model.safetensors")
    weights[HEAD][3, 5] += 0.01
    save_file(weights, adapter / "adapter_model.safetensors")
    with pytest.raises(InputError) as error:
        adapters.check(adapter, base)
    assert str(error.value) == (
        f"{adapter}/adapter_model.safetensors: {HEAD} is not what the base {base} has, but a plain LoRA leaves that as "
        "it is: fetch the adapter that was trained on this base, or another"
    )


@pytest.mark.filterwarnings("ignore:Model has `tie_word_embeddings", "ignore:Setting `save_embedding")
@pytest.mark.parametrize("targets", [["embed_tokens"], ["q", "shared"]])
def test_lora_on_embeddings_is_refused(base: Path, tmp_path: Path, targets: list[str]) -> None:
    adapter = written(tmp_path / "adapter", base, target_modules=targets)
    with pytest.raises(InputError) as error:
        adapters.check(adapter, base)
    assert str(error.value) == (
        f"{adapter}/adapter_config.json: target_modules has {targets[-1]}, an embedding, which is not trained here: "
        "choose linear layers alone"
    )


@pytest.mark.filterwarnings("ignore:Model has `tie_word_embeddings", "ignore:Setting `save_embedding")
def test_half_precision_lora_on_a_tied_head_goes_through_all_stages_and_merges(
    tied: Path, word_classifier: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The merged model has a head of its own and the table that it had."""
    monkeypatch.chdir(tmp_path)
    options = {"target_modules": ["q", "lm_head"], "init_lora_weights": "gaussian", "task_type": None}
    adapter = written(tmp_path / "adapter", tied, torch.bfloat16, **options)
    begin(tied, adapter, word_classifier)
    run_stages()
    before, after = (load_file(f"models/{name}/adapter_model.safetensors") for name in ("adapter", "ppo"))
    assert all(not before[name].equal(weight) for name, weight in after.items() if ".lm_head." in name)
    expected = by_peft(tied, Path("models/ppo"))
    assert merging.merge(tmp_path / "merged") == 4
    merged = AutoModelForSeq2SeqLM.from_pretrained(tmp_path / "merged").eval()
    torch.testing.assert_close(logits(merged), expected, rtol=0, atol=1e-4)
    assert merged.get_input_embeddings().weight.equal(load_file(tied / "model.safetensors")["shared.weight"])
