"""The model card: metadata that a hub accepts, the prompt, the numbers, and code that loads the adapter."""

import re
from pathlib import Path

import pytest
from evaluations import EVALUATION
from huggingface_hub import ModelCard

from detox.params.kinds import PROMPT
from detox.reporting import cards, tables


def card(base: str, prompt: str = PROMPT) -> ModelCard:
    """The card of an adapter for this base model, read as a hub reads it."""
    return ModelCard(cards.render(tables.table(EVALUATION), base, prompt))


def test_the_card_has_metadata_for_the_hub() -> None:
    data = card("org/base").data

    assert [(result.metric_type, result.metric_value) for result in getattr(data, "eval_results", [])] == [
        ("toxicity", 0.1111),
        ("rouge", 0.37),
    ]
    described = data.to_dict()
    assert described.pop("model-index")[0]["name"] == "dialogue-detox"
    assert described == {
        "language": "en",
        "license": "apache-2.0",
        "base_model": "org/base",
        "library_name": "peft",
        "pipeline_tag": "summarization",
        "tags": ["lora", "ppo", "detoxification"],
    }


@pytest.mark.parametrize(
    "base",
    ["x\n---\nlicense: other", "a/`b` | c", "<script>alert(1)</script>", '{{ 7 * 7 }}")\nimport os', 'a/b/../c"d'],
)
def test_what_an_adapter_says_of_its_base_is_a_name_and_nothing_else(base: str) -> None:
    """Neither metadata nor markup nor code."""
    text = cards.render(tables.table(EVALUATION), base, PROMPT)
    (named,) = re.findall(r"^A LoRA adapter for `(.*?)`: it summarises", text, re.M)
    assert re.fullmatch(r"[\w.-]+", named)
    assert f"AutoModelForSeq2SeqLM.from_pretrained('{named}')" in text
    assert "base_model" not in text
    assert ModelCard(text).data.to_dict()["license"] == "apache-2.0"


def test_the_card_shows_the_prompt_that_the_policy_reads() -> None:
    assert f"```text\n{PROMPT}```" in card("org/base").text
    assert "```text\nsummarize: {dialogue}\n```" in card("org/base", "summarize: {dialogue}").text


def test_the_card_has_a_markdown_table_of_every_slice_and_measure() -> None:
    table = [line for line in card("org/base").text.splitlines() if line.startswith("|")]

    assert table[:2] == [
        "| Measure | Before | After | Change [95 % interval] | Detectable | p |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    assert len(table) == 2 + 2 * 23
    assert "| stress: Toxicity, judge | 0.6543 | 0.3333 | -49.1 % [-59.1, -39.1] |  | 0.0002 |" in table
    assert "| all: ROUGE-L | 0.3600 | 0.3700 | +0.0200 [-0.0200, +0.0300] | 0.0357 |  |" in table


@pytest.mark.parametrize("base", ["/home/someone/models/base", "models/miniature/base", "base"])
def test_a_local_base_is_named_in_the_card_but_not_in_its_metadata(base: str) -> None:
    local = card(base)

    assert "base_model" not in local.data.to_dict()
    assert "A LoRA adapter for `base`" in local.text
    assert "from_pretrained('base')" in local.text
    assert "someone" not in local.content


def test_a_folder_that_looks_like_a_hub_id_is_local(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("org/base").mkdir(parents=True)

    assert "base_model" not in card("org/base").data.to_dict()
