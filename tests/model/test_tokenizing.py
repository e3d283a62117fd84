"""What a tokenizer.json does with a text is bounded, whatever stands in it; what well-known ones hold is let in."""

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from detox.errors import InputError
from detox.model import tokenizing


def replace(content: str, **pattern: str) -> dict[str, Any]:
    return {"type": "Replace", "pattern": pattern, "content": content}


def split(pattern: str) -> dict[str, Any]:
    return {"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated", "invert": False}


def template(times: int, tokens: int = 1) -> dict[str, Any]:
    text = {"Sequence": {"id": "A", "type_id": 0}}
    token = {"id": "</s>", "ids": [1] * tokens, "tokens": ["</s>"] * tokens}
    pieces = [text] * times + [{"SpecialToken": {"id": "</s>", "type_id": 0}}]
    return {"type": "TemplateProcessing", "single": pieces, "pair": pieces, "special_tokens": {"</s>": token}}


def charsmap(*texts: bytes) -> dict[str, Any]:
    table = (8).to_bytes(4, "little") + bytes(8) + b"\0".join(texts) + b"\0"
    return {"type": "Precompiled", "precompiled_charsmap": base64.b64encode(table).decode()}


def sequence(*steps: dict[str, Any]) -> dict[str, Any]:
    return {"type": "Sequence", "normalizers": list(steps)}


def read(tmp_path: Path, **tree: Any) -> dict[str, Any]:
    (path := tmp_path / "tokenizer.json").write_text(json.dumps(tree))
    return tokenizing.read(path, "get it again")


GPT2 = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
LLAMA3 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+"
    r"|\s+(?!\S)|\s+"
)
KNOWN: dict[str, dict[str, Any]] = {
    "T5's": sequence({"type": "Precompiled", "precompiled_charsmap": ""}, replace("▁", Regex=" {2,}")),
    "ALBERT's": sequence(replace('"', String="``"), replace('"', String="''"), {"type": "NFKD"}, {"type": "Lowercase"}),
    "GPT-2's": split(GPT2),
    "Llama 3's": split(LLAMA3),
    "a table of characters, the longest of which is 33 bytes long": charsmap(b"a", b"x" * 33),
    "Llama 2's": sequence({"type": "Prepend", "prepend": "▁"}, replace("▁", String=" ")),
}
HOSTILE: dict[str, tuple[dict[str, Any], str]] = {
    "two for one, sixty times": (sequence(*[replace("aa", String="a")] * 60), "more than 64 times as long"),
    "a hundred for one": (replace("a" * 100, String="a"), "more than 64 times as long"),
    "a text at every place": (replace("a" * 100, Regex="x*"), "more than 64 times as long"),
    "eight by two, where one was": (sequence(*[replace("aaaaaaaa", Regex="a")] * 3), "more than 64 times as long"),
    "much before a text": ({"type": "Prepend", "prepend": "a" * 1000}, "puts 1000 characters before a text"),
    "a table of long texts": (charsmap(b"a", b"x" * 1000), "puts 1000 bytes in the place of a character"),
    "a repetition in a repetition": (split("(a+)+$"), "may take a text too long"),
    "a group that is repeated": (split("(a|aa){1,99}"), "may take a text too long"),
    "a reference back": (split(r"(a*)b\1"), "may take a text too long"),
    "a call of itself": (split(r"(?<x>a\g<x>?)"), "may take a text too long"),
    "many repetitions": (replace("", Regex="a*a*a*a*a*b"), "may take a text too long"),
    "a repetition of a repetition": (split("a+*"), "may take a text too long"),
    "a long expression": (split("a" * 2000), "may take a text too long"),
    "an expression that is a number": (split(3), "expected string"),  # type: ignore[arg-type]
    "a step without its parts": ({"type": "Replace"}, "'pattern'"),
}


@pytest.mark.parametrize("step", KNOWN.values(), ids=KNOWN)
def test_what_known_tokenizers_do_is_let_in(tmp_path: Path, step: dict[str, Any]) -> None:
    tree = {"normalizer": step, "post_processor": template(1), "decoder": None, "model": {"type": "Unigram"}}
    assert read(tmp_path, **tree) == tree


@pytest.mark.parametrize("where", tokenizing.STEPS)
@pytest.mark.parametrize(("step", "reason"), HOSTILE.values(), ids=HOSTILE)
def test_what_would_take_memory_or_time_is_one_line(
    tmp_path: Path, where: str, step: dict[str, Any], reason: str
) -> None:
    with pytest.raises(InputError) as error:
        read(tmp_path, **{where: step})
    assert str(error.value).startswith(f"{tmp_path}/tokenizer.json: ")
    assert reason in str(error.value)


def test_a_template_has_the_text_once_and_few_tokens(tmp_path: Path) -> None:
    for processor in (template(2), template(1, 100), template(1) | {"pair": [{"Sequence": {"id": "A"}}] * 3}):
        with pytest.raises(InputError, match="a text more than once or many tokens"):
            read(tmp_path, post_processor=processor)


def test_padding_and_truncation_are_the_callers(tmp_path: Path) -> None:
    assert read(tmp_path, padding={"strategy": {"Fixed": 10**12}}, truncation={"max_length": 1}, model={}) == {
        "model": {}
    }


def test_a_word_that_takes_the_square_of_its_length_is_bounded(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="max_input_chars_per_word is 1000000, more than 1000"):
        read(tmp_path, model={"type": "WordPiece", "max_input_chars_per_word": 10**6})


def test_a_file_that_is_too_long_is_not_read(tmp_path: Path) -> None:
    with (path := tmp_path / "tokenizer.json").open("wb") as file:
        file.truncate(2**26 + 1)
    with pytest.raises(InputError, match="has 67108865 bytes, more than the 67108864 of a tokenizer: get it again"):
        tokenizing.read(path, "get it again")
