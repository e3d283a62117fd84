"""What README and docs show of the command and of its functions is what they do."""

import os
import re
import runpy
import shutil
import subprocess
from pathlib import Path

import pytest
from imports import ROOT
from projects import pinned, write_params

from detox.reporting import revisions
from docs import readme

pytest_plugins = ["installed", "models", "projects"]

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
TEXT = "".join(page.read_text(encoding="utf-8") for page in PAGES)


def test_the_functions_in_the_docs_run(
    finished: Path,
    word_classifier: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """On the tiny models, whose summaries are others."""
    monkeypatch.chdir(finished)
    write_params(judge={"source": pinned(word_classifier), "toxic_label": "hate", "batch_size": 2})
    [snippet] = re.findall(r"```python\n(.*?)```", TEXT, re.S)
    assert all(f"{name}(" in snippet for name in ("summarize", "score", "merge"))
    (tmp_path / "snippet.py").write_text(snippet, encoding="utf-8")
    try:
        runpy.run_path(str(tmp_path / "snippet.py"))
    finally:
        shutil.rmtree("served", ignore_errors=True)
    assert capsys.readouterr().out.count("\n") == snippet.count("print(")


def test_the_comparison_in_the_docs_is_what_the_command_prints(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    [(revision, printed)] = re.findall(r"^\$ detox compare (\w+)\n(.*?)```", TEXT, re.S | re.M)
    if subprocess.run(["git", "cat-file", "-e", revision], capture_output=True, check=False).returncode:
        pytest.skip("a shallow clone")
    assert f"{revisions.compare(revision, revisions.WORKSPACE)}\n" == printed, "run `make readme`"


@pytest.mark.slow
@pytest.mark.skipif(not (ROOT / "models" / "ppo").is_dir(), reason="`make repro` has not run")
def test_every_command_in_the_docs_prints_what_stands_below_it(
    installed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", f"{installed / 'bin'}:{os.environ['PATH']}")
    monkeypatch.setenv("PYTHONPATH", str(installed))
    commands = {match[1].split("detox ")[1].split()[0] for match in readme.ANSWERED.finditer(TEXT)}
    assert commands == {"summarize", "score", "compare", "merge"}
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        assert readme.answered(text, ROOT) == text, page.name
