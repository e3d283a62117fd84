"""The model card: metadata that a hub accepts, the prompt, the numbers, and code that works when it is pasted."""

import ast
import re
import runpy
from pathlib import Path

import pytest
from evaluations import EVALUATION
from huggingface_hub import ModelCard

from detox.model import adapters
from detox.params.kinds import PROMPT
from detox.reporting import cards, tables

pytest_plugins = ["models"]

REVISION = "7bcac572ce56db69c1ea7c8af255c5d7c9672fc2"
RELEASE = cards.Release(
    "org/base", REVISION, {"Dialogues": "ann/talks", "Seed": "1"}, "60 test dialogues", False, 256, 12, PROMPT
)


def card(release: cards.Release = RELEASE) -> ModelCard:
    """The card, read as a hub reads it."""
    return ModelCard(cards.render(tables.table(EVALUATION), release))


def snippet(text: str) -> str:
    """The card's only piece of Python."""
    [code] = re.findall(r"```python\n(.*?)```", text, re.S)
    return str(code)


def test_the_card_has_metadata_for_the_hub() -> None:
    data = card().data

    assert [(result.metric_type, result.metric_value) for result in getattr(data, "eval_results", [])] == [
        ("toxicity", 0.1111),
        ("rouge", 0.37),
    ]
    described = data.to_dict()
    assert described.pop("model-index")[0]["name"] == "dialogue-detox"
    assert described == {
        "language": "en",
        "license": "other",
        "base_model": "org/base",
        "library_name": "peft",
        "tags": ["summarization", "lora", "ppo", "detoxification"],
    }


def test_the_card_says_on_what_it_was_measured() -> None:
    text = card().text
    assert "- Dialogues: `ann/talks`\n- Seed: `1`\n- Measured on 60 test dialogues\n" in text
    assert "toy models" not in text
    assert "toy models" in card(RELEASE._replace(toy=True)).text
    assert card(RELEASE._replace(toy=True)).data.to_dict()["license"] == "apache-2.0"


@pytest.mark.parametrize(
    "name", ["x\n---\nlicense: mit", "a/`b` | c", "<script>alert(1)</script>", '{{ 7 * 7 }}")\nimport os', 'a"); f("']
)
def test_a_name_is_a_name_and_nothing_else(name: str) -> None:
    """Neither metadata nor markup nor code."""
    release = RELEASE._replace(base=name, revision=None, about={"Dialogues": name})
    text = cards.render(tables.table(EVALUATION), release)
    (named,) = re.findall(r"^A LoRA adapter for `(.*?)`: it summarises", text, re.M)
    assert re.fullmatch(r"[\w./:, -]+", named)
    assert f"BASE, ADAPTER = {named!r}, " in snippet(text)
    assert [type(line).__name__ for line in ast.parse(snippet(text)).body[:4]] == ["ImportFrom"] * 2 + ["Assign"] * 2
    assert ModelCard(text).data.to_dict()["license"] == "other"


def test_the_code_of_the_card_gives_the_prompt_that_the_policy_reads() -> None:
    assert f"PROMPT = {PROMPT!r}\n" in snippet(card().text)
    assert "PROMPT = 'summarize: {dialogue}'\n" in snippet(card(RELEASE._replace(prompt="summarize: {dialogue}")).text)


def test_a_base_from_the_hub_is_pinned() -> None:
    assert snippet(card().text).count(f"from_pretrained(BASE, revision={REVISION!r})") == 2


def test_the_code_of_the_card_works_when_it_is_pasted(
    base: Path, adapter: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("models").mkdir()
    Path("models/base").symlink_to(base)
    adapters.copy(adapter, Path("models/release"))
    code = snippet(card(RELEASE._replace(base="models/base", revision=None)).text)
    (tmp_path / "snippet.py").write_text(code, encoding="utf-8")

    told = runpy.run_path(str(tmp_path / "snippet.py"))

    assert capsys.readouterr().out == told["tokenizer"].decode(told["tokens"][0], skip_special_tokens=True) + "\n"
    assert 1 < told["tokens"].shape[1] <= 13, "the start, and up to 12 more"


def test_the_card_has_a_markdown_table_of_every_slice_and_measure() -> None:
    table = [line for line in card().text.splitlines() if line.startswith("|")]

    assert table[:2] == [
        "| Measure | Before | After | Change [95 % interval] | Detectable | p |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    assert len(table) == 2 + 2 * 23
    assert "| stress: Toxicity, judge | 0.6543 | 0.3333 | -49.1 % [-59.1, -39.1] |  | 0.0002 |" in table
    assert "| all: ROUGE-L | 0.3600 | 0.3700 | +0.0200 [-0.0200, +0.0300] | 0.0357 |  |" in table


def test_a_base_in_a_folder_is_named_in_the_card_but_not_in_its_metadata() -> None:
    local = card(RELEASE._replace(base="models/miniature/base", revision=None))

    assert "base_model" not in local.data.to_dict()
    assert "A LoRA adapter for `models/miniature/base`" in local.text
    assert "revision" not in snippet(local.text)
