"""Secrets come from the environment, and stay there: no file, no output and no commit holds one."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from imports import ROOT
from projects import contents, pinned, write_params
from ruamel.yaml import YAML
from small import small_clone

import stages
from stages import fetch_adapter, fetch_sources

pytest_plugins = ["models", "projects"]

NAMES = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "HF_TOKEN", "GITHUB_TOKEN", "DATABASE_URL")
SECRETS = {name: f"canary{place}Z9{name.lower()}" for place, name in enumerate(NAMES)}
NOBODY = "http://127.0.0.1:9"  # where nothing listens


def leaks(content: bytes) -> list[str]:
    """The names of the secrets that stand in it."""
    return [name for name, secret in SECRETS.items() if secret.encode() in content]


def leaking(folder: Path) -> dict[str, list[str]]:
    """The files below the folder that hold a secret, or have one in their path."""
    files = [path for path in folder.rglob("*") if path.is_file() and not path.is_symlink()]
    found = {str(path): leaks(path.read_bytes() + str(path).encode()) for path in files}
    return {path: names for path, names in found.items() if names}


def test_a_secret_in_a_file_would_be_found(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a/clean").write_text("canary")
    (tmp_path / "a/log").write_bytes(b"\xff key=" + SECRETS["HF_TOKEN"].encode())
    assert leaking(tmp_path) == {str(tmp_path / "a/log"): ["HF_TOKEN"]}


@pytest.fixture(scope="module", autouse=True)
def environment() -> Iterator[None]:
    """Secrets in the environment, before the stages of `finished` run."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        for name, secret in SECRETS.items():
            monkeypatch.setenv(name, secret)
        yield


def test_the_stages_that_run_models_keep_the_environments_secrets_to_themselves(
    finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """Also when their input is refused."""
    monkeypatch.chdir(finished)
    said = []
    for stage, section in (
        (fetch_adapter, {"source": pinned(tmp_path / "nothing")}),
        (fetch_sources, {"source": {"path": "downloads/adapter", "origin": "s3://bucket/adapter"}}),
    ):
        write_params(adapter=section, **{name: {"source": pinned(Path("words.txt"))} for name in ("prepare", "judge")})
        monkeypatch.setattr(sys, "argv", ["stage"])
        with pytest.raises(SystemExit) as stop:
            stages.run(stage.main)
        said.append(str(stop.value.code))
    write_params()
    assert [line.split()[0] for line in said] == ["error:", "error:"]
    assert leaks("".join([*said, *capfd.readouterr()]).encode()) == []
    assert leaking(finished) == {}
    assert len(contents(".")) > 20


def call(folder: Path, *command: str) -> subprocess.CompletedProcess[bytes]:
    """Runs a command with secrets in its environment, and servers for them to which nobody listens."""
    others = ("AWS_", "DVC_", "GIT_", "HF_")
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(others)}
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    own = {"PATH": path, "DVC_NO_ANALYTICS": "1", "DVC_SITE_CACHE_DIR": str(folder.parent / "site-cache")}
    servers = {"AWS_ENDPOINT_URL_S3": NOBODY, "HF_ENDPOINT": NOBODY, "HF_HOME": str(folder.parent / "hf")}
    environment = {**inherited, **own, **servers, **SECRETS}
    return subprocess.run(command, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)


@pytest.mark.slow
def test_no_file_no_output_and_no_commit_of_a_whole_run_holds_a_secret(tmp_path: Path) -> None:
    """A small pipeline from data to report; then what needs a server, which is not there, so that it complains."""
    clone = small_clone(tmp_path / "project")
    run = call(clone, "dvc", "repro")
    assert run.returncode == 0, run.stdout.decode()[-3000:]
    said = [run, call(clone, "dvc", "push"), call(clone, "dvc", "repro", "--verbose")]
    assert said[1].returncode != 0
    for origin, pin in (
        ("s3://bucket/adapter", {"sha256": "0" * 64}),
        ("https://127.0.0.1:9/adapter", {"sha256": "0" * 64}),
        ("hf://owner/adapter", {"revision": "0" * 40}),
    ):
        params = YAML().load(clone / "params.yaml")
        params["adapter"]["source"] = {"path": "downloads/adapter", "origin": origin, **pin}
        YAML().dump(params, clone / "params.yaml")
        said.append(call(clone, "python", "-m", "stages.fetch_sources"))
        assert said[-1].returncode == 1
        assert said[-1].stdout.splitlines()[-1].startswith(b"error: ")
    call(clone, "git", "-c", "user.name=x", "-c", "user.email=x@example.org", "commit", "--all", "--message", "all")
    said.append(call(clone, "git", "log", "--patch", "--all", "--text", "-3"))
    assert leaks(b"".join(each.stdout for each in said)) == []
    assert leaking(tmp_path) == {}
    assert {"dvc.lock", "metrics/report.html", "metrics/train.csv", "models/release/README.md"} <= {
        path.relative_to(clone).as_posix() for path in clone.rglob("*") if path.is_file()
    }


def test_what_is_committed_holds_nothing_that_looks_like_a_key() -> None:
    """By the forms that GitHub's secret scanning knows: AWS, Hugging Face, GitHub, private keys."""
    forms = r"(AKIA|ASIA)[0-9A-Z]{16}|hf_[A-Za-z]{34}|gh[pousr]_[A-Za-z0-9]{36}|-----BEGIN [A-Z ]*PRIVATE KEY-----"
    command = ["git", "grep", "--extended-regexp", "--text", "--name-only", "-e", forms]
    found = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (found.returncode, found.stdout) == (1, ""), "1: git grep found nothing"
