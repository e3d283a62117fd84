"""The installed command, in processes of its own: how it is installed, streams, ends, and completes."""

import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from imports import ROOT
from projects import pinned, write_params
from tiny import DIALOGUES

from detox.parsing import read_jsonl

pytest_plugins = ["installed", "models", "projects"]
pytestmark = pytest.mark.slow

Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def start(installed: Path, finished: Path, word_classifier: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Start]:
    """Starts the installed command in a project of tiny models."""
    monkeypatch.chdir(finished)
    write_params(judge={"source": pinned(word_classifier), "toxic_label": "hate", "batch_size": 2})

    def run(*arguments: str, **environment: str) -> "subprocess.Popen[str]":
        return subprocess.Popen(
            [str(installed / "bin" / "detox"), *arguments],
            env=os.environ | {"PYTHONPATH": str(installed), "OMP_NUM_THREADS": "1"} | environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            bufsize=1,
        )

    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs ignore it
    yield run
    signal.signal(signal.SIGINT, before)


def ended(process: "subprocess.Popen[str]", given: str = "") -> tuple[int, str, str]:
    """Exit code, what is left of stdout, stderr."""
    printed, errors = process.communicate(given)
    return process.returncode, printed, errors


def drawn() -> list[str]:
    return [row["summary"] for row in read_jsonl(Path("data/summaries/ppo.jsonl"))]


def test_what_is_installed_has_all_that_the_library_has(installed: Path) -> None:
    found, wanted = (
        {path.relative_to(folder) for path in (folder / "detox").rglob("*") if path.suffix in (".py", ".jinja")}
        for folder in (installed, ROOT)
    )
    assert found == wanted


def test_it_knows_its_version(start: Start) -> None:
    assert ended(start("--version")) == (0, "detox 0.1.0\n", "")


def test_a_dialogue_is_answered_before_the_next_one_is_written(start: Start) -> None:
    """As a program does that talks to it through two pipes."""
    process = start("summarize", "-", "--after-only")
    assert process.stdin is not None
    assert process.stdout is not None
    for dialogue, summary in zip(DIALOGUES[:3], drawn(), strict=False):
        process.stdin.write(f"{dialogue}\n\n")
        assert process.stdout.readline() == f"{summary}\n"
    assert ended(process) == (0, "", "")


def test_it_ends_in_silence_when_nobody_reads_on(start: Start) -> None:
    process = start("score", "-")
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write("Bob is rude\n")
    assert process.stdout.readline() == "judge 0.8808  reward 0.8808  Bob is rude\n"
    process.stdout.close()
    process.stdin.write("Bob is kind\n")
    assert process.wait() == -signal.SIGPIPE
    assert process.stderr is not None
    assert process.stderr.read() == ""


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_it_in_silence_while_it_waits_for_input(number: int, code: int, start: Start) -> None:
    process = start("score", "-")
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write("Bob is rude\n")
    process.stdout.readline()
    process.send_signal(number)
    assert process.wait() == code
    assert process.stderr is not None
    assert process.stderr.read() == ""


def test_bad_input_is_one_line_and_exit_code_1(start: Start) -> None:
    message = "error: standard input, line 1: not JSON (Expecting value): correct or remove the line\n"
    assert ended(start("score", "-"), '{"text": }\n') == (1, "", message)


def test_a_shell_completes_its_commands_and_options(start: Start) -> None:
    code, script, _ = ended(start(_DETOX_COMPLETE="source_bash"))
    assert code == 0
    assert "complete -o default -F _detox_completion detox" in script

    def completed(words: str) -> list[str]:
        last = str(len(words.split()) - 1)
        process = start(_DETOX_COMPLETE="complete_bash", COMP_WORDS=words, COMP_CWORD=last)
        return ended(process)[1].split()

    assert completed("detox s") == ["summarize", "score"]
    assert completed("detox summarize --aft") == ["--after-only"]
