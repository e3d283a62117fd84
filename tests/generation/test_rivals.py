"""What PPO is up against: adapters between before and after, the base, a list of words that may not be said."""

from pathlib import Path

import torch
from peft import PeftModel
from safetensors.torch import load_file
from tiny import Prompts, save_adapter
from transformers import PreTrainedTokenizerBase, T5ForConditionalGeneration

from detox.generation import rivals
from detox.model import prompts
from detox.model.policy import Policy

pytest_plugins = ["models"]


def test_a_scale_moves_every_weight_by_that_share_and_beyond() -> None:
    before, after = {"w": torch.tensor([1.0, 2.0])}, {"w": torch.tensor([3.0, 0.0])}
    assert rivals.between(before, after, 0.25)["w"].tolist() == [1.5, 1.5]
    assert rivals.between(before, after, 1.25)["w"].tolist() == [3.5, -0.5]


def test_a_scaled_adapter_is_one_that_peft_loads(base: Path, adapter: Path, tmp_path: Path) -> None:
    save_adapter(tmp_path / "end", base, seed=8)
    rivals.save_scaled(adapter, tmp_path / "end", 0.5, tmp_path / "half")
    model = PeftModel.from_pretrained(T5ForConditionalGeneration.from_pretrained(base), tmp_path / "half")
    start, end, half = (
        load_file(folder / "adapter_model.safetensors") for folder in (adapter, tmp_path / "end", tmp_path / "half")
    )
    assert len(half) == len([name for name, _ in model.named_parameters() if "lora_" in name])
    for name, weight in half.items():
        torch.testing.assert_close(weight, (start[name] + end[name]) / 2)


def test_the_base_is_the_model_without_an_adapter(
    policy: Policy, adapter: Path, base: Path, encoded: Prompts, tmp_path: Path
) -> None:
    [(name, weights)] = list(rivals.adapter_systems(adapter, adapter, empty(tmp_path), []))
    assert name == "base"
    rivals.put(policy, weights)
    sample = policy.sample(encoded.ids, encoded.mask, [None] * len(encoded.ids), 10)
    alone = T5ForConditionalGeneration.from_pretrained(base).eval()
    expected = alone.generate(input_ids=encoded.ids, attention_mask=encoded.mask.long(), max_new_tokens=10)[:, 1:]
    for row, mask, wanted in zip(sample.ids, sample.mask, expected, strict=True):
        assert row[mask].tolist() == wanted[: int(mask.sum())].tolist()


def test_what_is_put_into_the_policy_is_what_a_policy_of_that_adapter_would_be(
    policy: Policy, base: Path, encoded: Prompts, tmp_path: Path
) -> None:
    save_adapter(tmp_path / "other", base, seed=8)
    other, seeds = Policy(base, tmp_path / "other"), list(range(len(encoded.ids)))
    before = policy.sample(encoded.ids, encoded.mask, seeds, 10)
    rivals.put(policy, load_file(tmp_path / "other" / "adapter_model.safetensors"))
    after, expected = (model.sample(encoded.ids, encoded.mask, seeds, 10) for model in (policy, other))
    assert after.ids.equal(expected.ids)
    assert not before.ids.equal(expected.ids)


def empty(folder: Path) -> Path:
    (folder / "snapshots").mkdir()
    return folder / "snapshots"


def test_the_filter_forbids_words_and_leaves_the_most_probable_summaries_without_one(
    policy: Policy, tokenizer: PreTrainedTokenizerBase, encoded: Prompts
) -> None:
    prompt, seeds = (encoded.ids, encoded.mask), [None, 1] * len(encoded.ids)
    plain = policy.sample(*prompt, seeds, 10)
    clean = policy.sample(*prompt, seeds, 10, rivals.word_filter(tokenizer, ["angry"]))
    before, after = (
        [text.split() for text in prompts.decode(tokenizer, sample.ids, sample.mask)] for sample in (plain, clean)
    )
    greedy = range(0, len(seeds), 2)
    free = [place for place in greedy if "angry" not in before[place]]
    assert 2 < len(free) < len(greedy)
    assert [after[place] for place in free] == [before[place] for place in free]
    assert not any("angry" in words for words in after)
