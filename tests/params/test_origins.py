"""An origin is an address and nothing else; what is wrong with it is said without a word of it."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from settings import COMPLETE

from detox.errors import InputError, InputErrors, brief, complaint, one_line, secret
from detox.model import configurations, lora
from detox.params import origins, profiles, reading

CANARY = "Hunter2Canary"
KEYED = [
    f"https://me:{CANARY}@example.com/a",
    f"https://me:{CANARY}/x@example.com/a",
    f"https://me:{CANARY}?x@example.com/a",
    f"https://me:{CANARY}#x@example.com/a",
    f"https://{CANARY}@example.com",
    f"https://me/{CANARY}@example.com/a",
    f"https://me%3A{CANARY}%40example.com/a",
    f"https://me:{CANARY}\uff20example.com/a",
    f"https://me:{CANARY}\u2100@example.com/a",
    f"https://[{CANARY}]@example.com",
    f"https://[{CANARY}",
    f"https:\\\\me:{CANARY}@example.com/a",
    f"https:/me:{CANARY}@example.com/a",
    f"HTTPS://me:{CANARY}@example.com/a",
    f"https://example.com:{CANARY}/a",
    f"https://example.com/a#token={CANARY}",
    f"https://example.com/a?X-Amz-Signature={CANARY}",
    f"https://example.com/a;token={CANARY}",
    f"https://example.com/token={CANARY}/a",
    f"https://example.com/a\t?{CANARY}",
    f"https://example.com/a\n@{CANARY}",
    f"s3://AKIAKEY:{CANARY}@bucket/a",
    f"s3://AKIAKEY:{CANARY}/x@bucket/a",
    f"s3://bucket/a@{CANARY}",
    f"hf://me:{CANARY}@owner/name",
    f"hf://owner/name?token={CANARY}",
    f"git+https://me:{CANARY}@example.com/a",
    f"me:{CANARY}@example.com/a",
    CANARY,
]
PLAIN = """https://example.com/adapters/a-1.0 http://127.0.0.1:9000/a https://example.com s3://bucket/a/year=2026/b+c
    s3://bucket s3://my.bucket_1/~me/a,b hf://owner/name hf://datasets/owner/na.me/folder train new""".split()


def refused(load: Callable[[], Any]) -> str:
    """What a command says, which holds no secret."""
    with pytest.raises(InputError) as error:
        load()
    assert CANARY not in complaint(error.value)
    assert CANARY not in str(InputErrors([error.value]))
    return complaint(error.value)


def write(tree: str) -> Path:
    Path("params.yaml").write_text(tree)
    return Path("params.yaml")


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("origin", KEYED)
def test_an_origin_that_may_hold_a_key_is_refused_without_a_word_of_it(origin: str) -> None:
    source = json.dumps({"path": "downloads/a", "origin": origin, "sha256": "0" * 64})
    write(COMPLETE.replace("{path: models/start}", source))
    said = refused(origins.sources)
    assert said.startswith("error: params.yaml: adapter.source: origin ")
    assert not origins.plain(origin)


@pytest.mark.parametrize("origin", PLAIN)
def test_an_address_alone_is_an_origin(origin: str) -> None:
    remote = "://" in origin
    pin = {} if not remote else {"revision": "0" * 40} if origin.startswith("hf") else {"sha256": "0" * 64}
    assert origins.Source("downloads/a", origin, **pin).origin == origin
    assert origins.plain(origin) == remote


@pytest.mark.parametrize(
    "tree",
    [
        f"seed: 1\nadapter: {{source: {{path: a, origin: 'x', origin: 'https://me:{CANARY}@host'}}}}\n",
        f"seed: 1\nadapter: {{source: {{path: a, origin: ['{CANARY}']}}}}\n",
        f"seed: 1\nadapter: {{source: {{path: a, origin: {{token: '{CANARY}'}}}}}}\n",
        f"seed: 1\nadapter: {{source: {{path: 'https://me:{CANARY}@host/../../x'}}}}\n",
        f"seed: 1\nadapter: {{source: {{path: a, sha256: {{token: '{CANARY}'}}}}}}\n",
        f"seed: 1\nadapter: {{source: {{path: a, revision: 'https://me:{CANARY}@host'}}}}\n",
        f"seed: 1\nadapter: {{source: 'https://me:{CANARY}@host'}}\n",
        f"seed: 1\n'https://me:{CANARY}@host': 1\n",
    ],
)
def test_whatever_is_wrong_in_params_nothing_secret_is_quoted(tree: str) -> None:
    write(tree)
    refused(lambda: reading.parse(origins.Source, Path("params.yaml"), "adapter.source"))


def test_a_key_that_stands_twice_is_named_without_its_values() -> None:
    path = write(f"seed: 1\ntoken: a\ntoken: {CANARY}\n")
    for read in (reading.seed, lambda: profiles.read(path)):
        assert refused(read) == 'error: params.yaml, line 3: not valid YAML: found duplicate key "token"'


def test_no_value_of_a_key_that_may_be_secret_is_quoted_from_a_configuration() -> None:
    folder = Path("adapter")
    folder.mkdir()
    told = {"peft_type": "LORA", "target_modules": ["q"], "r": 1}
    for extra in ({"hf_token": CANARY}, {"hub": {"url": CANARY}}, {"r": {"api_key": CANARY}}):
        (folder / lora.CONFIG).write_text(json.dumps(told | extra))
        assert refused(lambda: lora.config(folder)).count("<not shown>") == 1
    (folder / "tokenizer_config.json").write_text(json.dumps({"legacy": {"password": CANARY}}))
    path = folder / "tokenizer_config.json"
    refused(lambda: configurations.tokenizer(configurations.read(path, ""), path))


@pytest.mark.parametrize("key", ["origin", "url", "hf_token", "api_key", "AWS_SECRET_ACCESS_KEY", "password", "token"])
def test_keys_that_may_hold_secrets(key: str) -> None:
    assert secret(key)
    assert CANARY not in brief({key: CANARY}) + brief([{key: CANARY}]) + brief(CANARY, key) + brief(CANARY, f"a.{key}")


@pytest.mark.parametrize("key", ["eos_token", "mask_token", "additional_special_tokens", "path", "monkey", 1, None])
def test_tokens_of_texts_are_quoted(key: Any) -> None:
    assert not secret(key)


@pytest.mark.parametrize("url", [url for url in KEYED if url.startswith(("http", "s3")) and ":/" in url and "@" in url])
def test_of_a_url_in_what_a_library_says_the_user_is_left_out(url: str) -> None:
    said = one_line(f"GET {url} failed: 403 for '{url}'") + complaint(OSError(f"no route to {url}")) + brief(url)
    if "%40" not in url and url.rpartition("@")[2].startswith(("example.com", "bucket")):
        assert CANARY not in said


def test_of_a_signed_url_the_signature_is_left_out() -> None:
    said = one_line(f"403: 'https://cdn.example.com/a/b?Signature={CANARY}&Key=1', see https://hf.co/docs#{CANARY} now")
    assert said == "403: 'https://cdn.example.com/a/b', see https://hf.co/docs now"
