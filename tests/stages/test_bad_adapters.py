"""Whatever is wrong with an adapter is one line that says what, and fetch_adapter writes nothing."""

import json
import os
import shutil
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from bad_inputs import Case, Refused, each, text_of
from projects import pinned
from safetensors.torch import load_file, save_file
from tiny import new_base, save_adapter
from torch import Tensor

from stages import fetch_adapter

pytest_plugins = ["models", "bad_inputs"]

CONFIG, WEIGHTS = Path("adapter/adapter_config.json"), Path("adapter/adapter_model.safetensors")
FIRST = "base_model.model.decoder.block.0.layer.0.SelfAttention.q.lora_A.weight"
NOT_FITTING = f"{WEIGHTS} does not fit the base base: {{}}: fetch the adapter that was trained on this base"
NOT_SAFE = f"{WEIGHTS} is not a safetensors file (Error while deserializing header: {{}}): fetch the adapter again"


@pytest.fixture(autouse=True)
def project(refused: Refused, base: Path, adapter: Path) -> None:
    """A sound adapter, to spoil, and its base."""
    shutil.copytree(base, "base")
    shutil.copytree(adapter, "adapter")


def complaint(refused: Refused) -> str:
    """What is said of the adapter as it is now; its pin is right."""
    sections = {
        "seed": 1,
        "model": {"source": pinned(Path("base")), "max_prompt_tokens": 30, "dtype": "float32"},
        "adapter": {"source": pinned(Path("adapter"))},
    }
    Path("params.yaml").write_text(json.dumps(sections))
    return refused(fetch_adapter)


@each("adapter_config")
def test_a_bad_configuration_is_one_line(refused: Refused, case: Case) -> None:
    content = text_of(case)
    if "set" in case or "unset" in case:
        config = json.loads(CONFIG.read_text()) | case.get("set", {})
        content = json.dumps({key: config[key] for key in config.keys() - set(case.get("unset", []))}).encode()
    CONFIG.write_bytes(content)
    assert complaint(refused) == case["message"]


def first(weight: Tensor | None) -> Callable[[dict[str, Tensor]], object]:
    """Puts another tensor, or none, in the place of the first one."""
    return lambda weights: weights.pop(FIRST) if weight is None else weights.update({FIRST: weight})


def holding(number: float) -> Callable[[dict[str, Tensor]], object]:
    """Puts a number among the first weights."""
    return lambda weights: weights[FIRST][2, 3].fill_(number)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        pytest.param(first(torch.zeros(8, 32)), NOT_FITTING.format(f"{FIRST} should be 4 x 32, is 8 x 32"), id="rank"),
        pytest.param(first(torch.zeros(4 * 32)), NOT_FITTING.format(f"{FIRST} should be 4 x 32, is 128"), id="flat"),
        pytest.param(
            first(torch.zeros(32, 4)), NOT_FITTING.format(f"{FIRST} should be 4 x 32, is 32 x 4"), id="transposed"
        ),
        pytest.param(
            first(torch.zeros(4, 32, 1)), NOT_FITTING.format(f"{FIRST} should be 4 x 32, is 4 x 32 x 1"), id="3 axes"
        ),
        pytest.param(
            first(torch.tensor(1.0)), NOT_FITTING.format(f"{FIRST} should be 4 x 32, is a number"), id="number"
        ),
        pytest.param(first(None), NOT_FITTING.format(f"{FIRST} should be 4 x 32, is absent"), id="missing"),
        pytest.param(
            lambda weights: weights.update(stray=torch.zeros(2, 3)),
            NOT_FITTING.format("stray should be absent, is 2 x 3"),
            id="extra",
        ),
        pytest.param(
            lambda weights: weights.update({"\x1b[2J": torch.zeros(1)}),
            NOT_FITTING.format("\\x1b[2J should be absent, is 1"),
            id="a name that clears the terminal",
        ),
        pytest.param(
            lambda weights: weights.clear(), NOT_FITTING.format(f"{FIRST} should be 4 x 32, is absent"), id="none"
        ),
        *(
            pytest.param(
                first(torch.ones(4, 32).to(kind)),
                f"{WEIGHTS}: {FIRST} is {name}, not one of float32, float16, bfloat16: fetch another adapter",
                id=name,
            )
            for kind, name in (
                (torch.int8, "int8"),
                (torch.bool, "bool"),
                (torch.float64, "float64"),
                (torch.int64, "int64"),
            )
        ),
        *(
            pytest.param(
                holding(number),
                f"{WEIGHTS}: {FIRST} holds a number that is not finite: fetch another adapter",
                id=str(number),
            )
            for number in (float("nan"), float("inf"), float("-inf"))
        ),
    ],
)
def test_bad_weights_are_one_line(refused: Refused, spoil: Callable[[dict[str, Tensor]], object], message: str) -> None:
    weights = load_file(WEIGHTS)
    spoil(weights)
    save_file(weights, WEIGHTS)
    assert complaint(refused) == message


def safetensors(header: Any, size: int | None = None) -> bytes:
    """A file of four bytes of weights under this header, whose size it states or lies about."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text) if size is None else size) + text + b"1234"


def entry(kind: str, shape: list[int], start: int, end: int) -> dict[str, Any]:
    return {"dtype": kind, "shape": shape, "data_offsets": [start, end]}


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        pytest.param(b"", "header too small", id="empty"),
        pytest.param(b"1234567", "header too small", id="7 bytes"),
        pytest.param(b"version https://git-lfs.github.com/spec/v1", "header too large", id="a pointer of git-lfs"),
        pytest.param(b"PK\x03\x04" + bytes(99), "invalid header length", id="a zip, as torch saves"),
        pytest.param(safetensors({}, 2**60), "header too large", id="a header of an exabyte"),
        pytest.param(safetensors({}, 99_000_000), "invalid header length", id="a header longer than the file"),
        pytest.param(
            safetensors(b"{{{{"), "invalid JSON in header: key must be a string at line 1 column 2", id="no JSON"
        ),
        pytest.param(
            safetensors({"a": entry("F32", [100, 100], 0, 4)}),
            "invalid shape, data type, or offset for tensor",
            id="a shape larger than its bytes",
        ),
        pytest.param(
            safetensors({"a": entry("F32", [1], 0, 400)}),
            "invalid shape, data type, or offset for tensor",
            id="bytes beyond the file",
        ),
        pytest.param(
            safetensors({"a": entry("F32", [1], 4, 8)}), "invalid offset for tensor `a`", id="bytes of no tensor"
        ),
        pytest.param(
            safetensors({"a": entry("F32", [2**62, 2**62], 0, 4)}),
            "overflow computing buffer size from shape and/or element type",
            id="a shape beyond all memory",
        ),
        pytest.param(
            safetensors({"a": entry("F32", [-1], 0, 4)}),
            "invalid JSON in header: invalid value: integer `-1`, expected usize at line 1 column 62",
            id="a negative shape",
        ),
    ],
)
def test_a_file_that_is_not_what_its_header_says_is_one_line(refused: Refused, content: bytes, reason: str) -> None:
    WEIGHTS.write_bytes(content)
    assert complaint(refused) == NOT_SAFE.format(reason)


def test_weights_that_were_not_fetched_to_the_end_are_refused(refused: Refused) -> None:
    WEIGHTS.write_bytes(WEIGHTS.read_bytes()[:-1])
    assert complaint(refused) == NOT_SAFE.format("incomplete metadata, file not fully covered")


@pytest.mark.parametrize("path", [CONFIG, WEIGHTS])
@pytest.mark.parametrize("instead", [lambda path: None, os.mkdir, os.mkfifo])
def test_a_file_that_is_missing_or_no_file_is_named(
    refused: Refused, path: Path, instead: Callable[[Path], None]
) -> None:
    path.unlink()
    instead(path)
    assert complaint(refused) == f"{path} does not exist: check the source's path in params.yaml"


class Trap:
    """Whoever unpickles it makes a folder."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, ("sprung",)


def test_a_pickle_instead_of_safetensors_is_not_run(refused: Refused) -> None:
    WEIGHTS.unlink()
    torch.save({"weight": Trap()}, "adapter/adapter_model.bin")
    assert complaint(refused) == (
        "adapter/adapter_model.bin holds more than tensors or is damaged (unsupported GLOBAL posix.mkdir whose module "
        "posix is blocked): get safetensors"
    )
    assert not Path("sprung").exists()


def test_a_link_out_of_the_adapter_is_refused(refused: Refused) -> None:
    Path("adapter/adapter_model.safetensors").rename("elsewhere")
    WEIGHTS.symlink_to("../elsewhere")
    assert complaint(refused) == f"{WEIGHTS} is a link out of adapter: put what it leads to in its place"


def test_an_adapter_of_a_wider_base_does_not_fit(refused: Refused) -> None:
    new_base(seed=0, hidden=48).save_pretrained("wide")
    shutil.rmtree("adapter")
    save_adapter(Path("adapter"), Path("wide"), seed=1)
    assert complaint(refused) == NOT_FITTING.format(f"{FIRST} should be 4 x 32, is 4 x 48")
