"""A merged model is a plain transformers model that says what the adapter says."""

import json
from pathlib import Path

import pytest
import torch
from projects import contents, write_params
from safetensors.torch import load_file
from tiny import DIALOGUES, RANK
from transformers import AutoModelForSeq2SeqLM, AutoTokenizer

from detox.errors import InputError
from detox.params import reading, sections
from detox.parsing import read_jsonl
from detox.serving import merging

pytest_plugins = ["models", "projects"]

PROMPT = "Summarize the following conversation.\n\n{}\n\nSummary:\n"
LAYER = "decoder.block.1.layer.1.EncDecAttention.q"


@pytest.fixture(autouse=True)
def project(finished: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The test stands in the project's root, under its own params.yaml."""
    monkeypatch.chdir(finished)
    write_params()


def served(folder: Path, dialogue: str) -> str:
    """What a stranger gets who has the folder and the prompt alone."""
    model, tokenizer = AutoModelForSeq2SeqLM.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)
    ids = tokenizer(PROMPT.format(dialogue), return_tensors="pt").input_ids
    return str(tokenizer.decode(model.generate(ids)[0], skip_special_tokens=True)).strip()


@pytest.mark.parametrize(("scale", "policy"), [(1.0, "ppo"), (0.0, "sft")])
def test_at_scale_1_it_says_what_the_policy_says_after_ppo_and_at_0_before(
    scale: float, policy: str, tmp_path: Path
) -> None:
    assert merging.merge(tmp_path / "merged", scale) == 4
    rows = read_jsonl(Path(f"data/summaries/{policy}.jsonl"))
    assert [served(tmp_path / "merged", text) for text in DIALOGUES[1:3]] == [row["summary"] for row in rows[1:3]]


def test_its_weights_are_the_bases_and_the_product_of_the_interpolated_adapter(base: Path, tmp_path: Path) -> None:
    """W + (alpha / r) · B · A with alpha = r, A and B at a quarter of the way."""
    merging.merge(tmp_path / "merged", 0.25)
    weights, merged = (load_file(folder / "model.safetensors") for folder in (base, tmp_path / "merged"))
    before, after = (load_file(f"models/{name}/adapter_model.safetensors") for name in ("adapter", "ppo"))
    a, b = (
        0.75 * before[f"base_model.model.{LAYER}.lora_{letter}.weight"]
        + 0.25 * after[f"base_model.model.{LAYER}.lora_{letter}.weight"]
        for letter in "AB"
    )
    assert a.shape[0] == b.shape[1] == RANK
    torch.testing.assert_close(merged[f"{LAYER}.weight"], weights[f"{LAYER}.weight"] + b @ a)
    assert merged.keys() == weights.keys()
    assert merged["encoder.block.0.layer.1.DenseReluDense.wo.weight"].equal(
        weights["encoder.block.0.layer.1.DenseReluDense.wo.weight"]
    )


def test_it_is_a_folder_of_transformers_own_files_and_a_note_and_names_no_folder_of_this_machine(
    base: Path, finished: Path, tmp_path: Path
) -> None:
    merging.merge(tmp_path / "merged")
    files = contents(str(tmp_path / "merged"))
    assert {Path(path).name for path in files} == {path.name for path in base.iterdir()} | {"README.md"}
    assert PROMPT.format("{dialogue}") in (tmp_path / "merged" / "README.md").read_text()
    assert json.loads((tmp_path / "merged" / "generation_config.json").read_text())["max_new_tokens"] == 10
    for content in files.values():
        assert str(finished.parent).encode() not in content


def test_a_folder_that_exists_is_refused_and_stays(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("x")
    with pytest.raises(InputError, match=r"exists already: remove it or choose another name$"):
        merging.merge(tmp_path)
    assert contents(str(tmp_path)) == {f"{tmp_path}/mine": b"x"}


def test_a_model_that_says_something_else_is_not_published(base: Path, tmp_path: Path) -> None:
    """The base says something else than the adapter."""
    said = [row["summary"] for row in read_jsonl(Path("data/summaries/ppo.jsonl"))]
    with pytest.raises(InputError, match=r"^merged at 0.5 the model says something else than its adapter"):
        merging.check(base, reading.load(sections.Model), DIALOGUES[:4], said, 0.5, 10)


def test_a_scale_that_is_no_number_writes_nothing(tmp_path: Path) -> None:
    for scale in (float("nan"), float("inf")):
        with pytest.raises(InputError, match=r"^the scale is (nan|inf)"):
            merging.merge(tmp_path / "merged", scale)
    assert not list(tmp_path.iterdir())
