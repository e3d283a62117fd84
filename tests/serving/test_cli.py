"""The command line: what it prints, and how it ends; on tiny models, in the process of the tests."""

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
from imports import ROOT
from projects import pinned, write_params
from tiny import DIALOGUES
from transformers.utils import logging

from detox.parsing import read_jsonl
from detox.serving import cli, familiarity

pytest_plugins = ["models", "projects"]

HEAVY = {"torch", "transformers", "peft", "trl", "pandas", "numpy", "dvc", "pydantic", "ruamel"}
Ended = tuple[int | str | None, str, str]
Detox = Callable[..., Ended]


@pytest.fixture
def detox(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Detox:
    """Runs the command: its exit code (or the line that goes to stderr with 1), stdout and stderr."""

    def run(*arguments: str) -> Ended:
        monkeypatch.setattr(sys, "argv", ["detox", *arguments])
        with pytest.raises(SystemExit) as stop:
            cli.run()
        return stop.value.code, *capsys.readouterr()

    return run


@pytest.fixture(scope="module", autouse=True)
def quiet() -> Iterator[None]:
    """The libraries say nothing, as the environment of `main` has it in a process of its own."""
    before = logging.get_verbosity()
    logging.disable_progress_bar()
    logging.set_verbosity_error()
    yield
    logging.set_verbosity(before)
    logging.enable_progress_bar()


@pytest.fixture
def project(finished: Path, word_classifier: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The test stands in the project's root, where judge and reward both detect the word "rude"."""
    monkeypatch.chdir(finished)
    write_params(judge={"source": pinned(word_classifier), "toxic_label": "hate", "batch_size": 2})


def drawn(policy: str) -> list[str]:
    return [row["summary"] for row in read_jsonl(Path(f"data/summaries/{policy}.jsonl"))]


def toxicity(text: str) -> dict[str, float]:
    return dict.fromkeys(("judge", "reward"), 0.8808 if "rude" in text.split() else 0.1192)


def shown(text: str) -> str:
    number = toxicity(text)["judge"]
    return f"judge {number:.4f}  reward {number:.4f}  {text}"


def block(summary: str) -> str:
    return shown(f"\n    {summary or '(empty)'}").replace("  \n", "\n")


@pytest.fixture
def chats(project: None, tmp_path: Path) -> Path:
    path = tmp_path / "chats.txt"
    path.write_text("\n\n".join(DIALOGUES[:4]))
    return path


def test_text_has_a_block_for_each_dialogue(detox: Detox, chats: Path) -> None:
    """A line longer than 100 characters goes on in the next one."""
    blocks = [
        f"{number}\n  before  {block(before)}\n  after   {block(after)}\n"
        for number, (before, after) in enumerate(zip(drawn("sft"), drawn("ppo"), strict=True), start=1)
    ]
    code, printed, errors = detox("summarize", str(chats))
    assert max(map(len, printed.splitlines())) <= 100
    unfolded = re.sub(r"(?<=\n)(    .*)\n    ", r"\1 ", printed)
    assert (code, unfolded, errors) == (0, "".join(blocks), "")


def test_after_only_is_a_line_for_each_dialogue(detox: Detox, chats: Path) -> None:
    assert detox("summarize", str(chats), "--after-only") == (0, "".join(f"{text}\n" for text in drawn("ppo")), "")


def test_json_and_jsonl_hold_the_same_rows(detox: Detox, chats: Path) -> None:
    rows = [
        {
            "id": str(number),
            "before": {"summary": before} | toxicity(before),
            "after": {"summary": after} | toxicity(after),
            "truncated": False,
            "unfamiliar": False,
        }
        for number, (before, after) in enumerate(zip(drawn("sft"), drawn("ppo"), strict=True), start=1)
    ]
    code, lines, errors = detox("summarize", str(chats), "-f", "jsonl")
    assert (code, [json.loads(line) for line in lines.splitlines()], errors) == (0, rows, "")
    code, array, errors = detox("summarize", str(chats), "--format", "json")
    assert (code, json.loads(array), errors) == (0, rows, "")


def test_the_pipelines_own_files_can_be_given(detox: Detox, project: None) -> None:
    code, lines, _ = detox("summarize", "data/prepared/test.jsonl", "-f", "jsonl")
    assert code == 0
    assert [json.loads(line)["id"] for line in lines.splitlines()] == ["d0", "d1", "d2", "d3"]
    assert detox("score", "data/summaries/sft.jsonl") == (0, "".join(f"{shown(text)}\n" for text in drawn("sft")), "")


def test_a_score_keeps_its_text(detox: Detox, project: None, tmp_path: Path) -> None:
    (tmp_path / "texts.csv").write_text("id,summary\na,Bob is rude\n")
    _, line, _ = detox("score", str(tmp_path / "texts.csv"), "-f", "jsonl")
    assert json.loads(line) == {"id": "a", "text": "Bob is rude", "judge": 0.8808, "reward": 0.8808}


def test_what_is_far_from_the_training_dialogues_is_so_in_json_too(
    detox: Detox, project: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "chats.txt"
    path.write_text(f"{DIALOGUES[0]}\n\nmy knee hurts")
    _, lines, _ = detox("summarize", str(path), "-f", "jsonl")
    assert [json.loads(line)["unfamiliar"] for line in lines.splitlines()] == [False, True]
    monkeypatch.setattr(familiarity, "TRAIN", Path("absent"))
    _, lines, errors = detox("summarize", str(path), "-f", "jsonl")
    assert [json.loads(line)["unfamiliar"] for line in lines.splitlines()] == [None, None]
    assert errors == ""


def test_whose_toy_models_answer_is_said_first(
    detox: Detox, project: None, tmp_path: Path, word_classifier: Path
) -> None:
    note = "note: the miniature's toy models, which know its own corpus and no other text\n"
    (tmp_path / "texts.txt").write_text("Bob is rude\n")
    Path("models/miniature").mkdir()
    shutil.copytree(word_classifier, "models/miniature/judge")
    try:
        own = {"source": {"path": "models/miniature/judge", "sha256": pinned(word_classifier)["sha256"]}}
        write_params(judge={**own, "toxic_label": "hate", "batch_size": 2})
        assert detox("score", str(tmp_path / "texts.txt")) == (0, f"{shown('Bob is rude')}\n", note)
    finally:
        shutil.rmtree("models/miniature")


def test_what_is_too_long_is_warned_of(detox: Detox, project: None, tmp_path: Path) -> None:
    path = tmp_path / "chats.txt"
    path.write_text("tea\n\n" + "cake " * 30)
    code, _, errors = detox("summarize", str(path), "--after-only")
    assert code == 0
    far, cut = errors.splitlines()
    assert far.startswith(f"warning: {path}, line 3: 100 % of its word pairs are in no training dialogue")
    assert cut == f"warning: {path}, line 3: longer than the model reads: the end was left out"


def test_rows_before_a_bad_one_are_answered_and_json_prints_all_or_nothing(
    detox: Detox, project: None, tmp_path: Path
) -> None:
    path = tmp_path / "texts.jsonl"
    path.write_text('{"text": "Bob is rude"}\n{"text": 5}\n')
    error = f"error: {path}, line 2: 'text' is 5, not text: put it in quotes or remove the row"
    assert detox("score", str(path)) == (error, f"{shown('Bob is rude')}\n", "")
    assert detox("score", str(path), "-f", "json") == (error, "", "")


def test_a_merged_folder_is_said_to_have_been_checked(detox: Detox, project: None, tmp_path: Path) -> None:
    folder = tmp_path / "merged"
    assert detox("merge", str(folder), "--scale", "0.5") == (
        0,
        f"{folder}: a plain transformers model; its summaries of 4 test dialogues are the adapter's own\n",
        "",
    )
    assert (folder / "model.safetensors").is_file()


def test_outside_a_project_the_error_says_where_to_go(
    detox: Detox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("chat.txt").write_text("tea")
    code, printed, _ = detox("summarize", "chat.txt")
    assert code == (
        "error: params.yaml cannot be read (No such file or directory): run this in the project's root folder"
    )
    assert printed == ""


@pytest.mark.parametrize(
    "arguments",
    [["summarise"], ["summarize"], ["score", "a", "b"], ["merge", "x", "--scale", "-1"], ["score", "a", "-f", "xml"]],
)
def test_wrong_usage_is_exit_code_2(detox: Detox, arguments: Sequence[str]) -> None:
    code, printed, errors = detox(*arguments)
    assert (code, printed) == (2, "")
    assert "Usage: detox" in errors


@pytest.mark.parametrize("command", ["summarize", "score", "compare", "merge"])
def test_help_gives_examples_that_stay_lines(detox: Detox, command: str) -> None:
    code, text, _ = detox(command, "--help")
    assert code == 0
    assert len([line for line in text.splitlines() if line.startswith(f"    detox {command} ")]) >= 2


def test_help_names_every_command_and_the_exit_codes(detox: Detox) -> None:
    _, text, _ = detox("--help")
    assert all(f"\n  {command} " in text for command in ("summarize", "score", "compare", "merge"))
    assert "Exit codes" in text


def test_help_needs_nothing_heavy() -> None:
    script = "import sys, detox.serving.cli, detox.serving.inputs; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True, text=True, cwd=ROOT)
    assert not {name.split(".")[0] for name in done.stdout.split()} & HEAVY
