"""Summaries before and after PPO as the pipeline drew them, and their toxicity, on tiny models."""

import json
import shutil
from pathlib import Path

import pytest
from projects import pinned, write_params
from tiny import DIALOGUES

from detox.errors import InputError
from detox.parsing import read_jsonl
from detox.serving import api
from detox.serving.inputs import AT_ONCE

pytest_plugins = ["models", "projects"]

RUDE, KIND = {"judge": 0.8808, "reward": 0.8808}, {"judge": 0.1192, "reward": 0.1192}  # 1 / (1 + e^∓2)


@pytest.fixture(autouse=True)
def project(finished: Path, word_classifier: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The test stands in the project's root, where judge and reward both detect the word "rude"."""
    monkeypatch.chdir(finished)
    write_params(judge={"source": pinned(word_classifier), "toxic_label": "hate", "batch_size": 2})


def drawn(policy: str) -> list[str]:
    """The greedy summaries of the pipeline: of the first four dialogues."""
    return [row["summary"] for row in read_jsonl(Path(f"data/summaries/{policy}.jsonl"))]


def test_the_summaries_before_and_after_are_those_of_the_pipeline() -> None:
    rows = api.summarize(DIALOGUES[:4])
    assert [row["before"]["summary"] for row in rows] == drawn("sft")
    assert [row["after"]["summary"] for row in rows] == drawn("ppo")
    assert drawn("sft") != drawn("ppo")


HOSTILE = {
    "repetition_penalty": 40.0,
    "min_new_tokens": 10,
    "no_repeat_ngram_size": 1,
    "num_beams": 3,
    "do_sample": True,
    "temperature": 9.0,
    "forced_eos_token_id": 5,
    "forced_bos_token_id": 5,
    "suppress_tokens": list(range(3, 20)),
    "decoder_start_token_id": 7,
    "eos_token_id": 9,
    "pad_token_id": 9,
    "max_length": 3,
    "watermarking_config": {"greenlist_ratio": 0.5, "bias": 40.0},
    "cache_implementation": "evil",
    "stop_strings": "rude",
    "unknown": [],
}


@pytest.mark.parametrize("file", ["generation_config.json", "config.json"])
def test_settings_of_decoding_beside_the_base_change_no_summary(base: Path, tmp_path: Path, file: str) -> None:
    """Older models have them in config.json; the tokens that begin and end a summary are the model's own."""
    shutil.copytree(base, tmp_path / "base")
    stated = json.loads((tmp_path / "base" / file).read_text())
    kept = stated if file == "config.json" else {}
    (tmp_path / "base" / file).write_text(
        json.dumps(HOSTILE | kept | {"task_specific_params": {"summarization": HOSTILE}})
    )
    write_params(model={"source": pinned(tmp_path / "base"), "max_prompt_tokens": 30, "dtype": "float32"})
    rows = api.Summarizer(after_only=True)(DIALOGUES[:4])
    assert [row["after"]["summary"] for row in rows] == drawn("ppo")


def test_each_summary_has_its_toxicity_by_both_classifiers() -> None:
    sides = [row[side] for row in api.summarize(DIALOGUES) for side in ("before", "after")]
    for side in sides:
        assert side == {"summary": side["summary"]} | (RUDE if "rude" in side["summary"].split() else KIND)
    assert len({side["judge"] for side in sides}) == 2


def test_after_only_is_the_summary_after_ppo_alone() -> None:
    assert api.summarize(DIALOGUES[:2], after_only=True) == [
        {"after": {"summary": summary}, "truncated": False} for summary in drawn("ppo")[:2]
    ]


def test_more_dialogues_than_one_batch_are_summarised_in_their_order_each_as_if_alone() -> None:
    summarizer = api.Summarizer(after_only=True)
    alone = [summarizer([dialogue])[0] for dialogue in DIALOGUES]
    many = 2 * AT_ONCE // len(DIALOGUES)
    assert summarizer(DIALOGUES * many) == alone * many
    assert summarizer([]) == []


def test_a_dialogue_that_is_longer_than_the_model_reads_is_marked() -> None:
    """The prompt has 30 tokens at most: five of them are the instruction and the cue, one ends it."""
    texts = [" ".join(["tea"] * count) for count in (24, 25)]
    assert [row["truncated"] for row in api.summarize(texts, after_only=True)] == [False, True]


def test_a_text_has_the_toxicity_of_both_classifiers() -> None:
    assert api.score(["Bob is rude", "Bob is kind", ""]) == [RUDE, KIND, KIND]


def test_what_the_pipeline_has_not_made_is_an_error_that_says_how_to_make_it(tmp_path: Path) -> None:
    shutil.move("models/ppo", tmp_path)
    try:
        with pytest.raises(
            InputError, match=r"^models/ppo does not exist: run `make repro` in the project's root folder, or"
        ):
            api.Summarizer()
    finally:
        shutil.move(tmp_path / "ppo", "models/ppo")
