"""Whatever a model, a tokenizer, an adapter, data, params, a profile or a state asks for, no other file is opened.

tests/support/traced.py says how it is seen; strace, where there is one, sees every system call.
"""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from imports import ROOT

KINDS = ["model", "classifier", "tokenizer", "base's tokenizer", "adapter", "data", "params", "profile", "state"]
LIBRARIES = [sys.prefix, sys.base_prefix, *(str(ROOT / name) for name in ("detox", "stages", "tests"))]
SYSTEM = ["/dev/null", "/dev/urandom", "/proc/", "/sys/", "/lib", "/usr/lib", "/etc/ld.so.cache"]


class Traced(NamedTuple):
    """Hostile projects below a folder, and what loading each of them ended with and opened."""

    folder: Path
    found: dict[str, dict[str, Any]]

    def own(self, path: str) -> bool:
        """Whether a path is one of a project, a temporary file, or of the libraries."""
        if not os.path.isabs(path):
            return not os.path.normpath(path).startswith("..")  # the working directory is a project
        own = [str(self.folder / "projects"), str(self.folder / "tmp"), *LIBRARIES]
        return path == "/dev/null" or any(Path(path).is_relative_to(folder) for folder in own)


def trace(folder: Path, *before: str) -> Traced:
    """Loads all of them, perhaps under another program."""
    (folder / "tmp").mkdir()
    paths = {"HOME": folder / "home", "TMPDIR": folder / "tmp", "PYTHONPATH": f"{ROOT}:{ROOT / 'tests/support'}"}
    hub = ("HF_HOME", "HF_HUB_CACHE", "HF_HUB_OFFLINE", "XDG_CACHE_HOME")
    environment = {key: value for key, value in os.environ.items() if key not in hub}
    environment |= {key: str(value) for key, value in paths.items()} | {"PYTHONWARNINGS": "ignore"}
    command = [*before, sys.executable, str(ROOT / "tests/support/traced.py"), str(folder)]
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, check=True, text=True)
    return Traced(folder, json.loads(done.stdout.splitlines()[-1]))  # libraries, too, say what they like


@pytest.fixture(scope="module")
def traced(tmp_path_factory: pytest.TempPathFactory) -> Traced:
    """All of them, once."""
    return trace(tmp_path_factory.mktemp("hostile"))


@pytest.mark.skipif(sys.platform != "linux", reason="inotify is Linux's")
@pytest.mark.parametrize("kind", KINDS)
def test_only_its_own_files_are_opened_and_it_loads_or_is_one_line(traced: Traced, kind: str) -> None:
    cases = {name: case for name, case in traced.found.items() if name.startswith(f"{kind}: ")}
    assert cases
    for name, case in cases.items():
        assert [path for path in case["opened"] if not traced.own(path)] == [], name
        assert case["outside"] == [], name
        assert case["ended"] == "loaded" or re.fullmatch(r"error: [^\n]+", case["ended"]), name


def test_a_sound_project_loads(traced: Traced) -> None:
    sound = {case["ended"] for name, case in traced.found.items() if "nothing is wrong" in name or "alone" in name}
    assert sound - {traced.found["model: an adapter alone in the place of the model"]["ended"]} == {"loaded"}


def test_a_library_that_is_given_the_folder_is_seen_to_open_what_it_names(traced: Traced) -> None:
    """Of a vocabulary that tokenizers, in Rust, reads, Python's hooks know nothing."""
    case = traced.found["control: a vocabulary elsewhere"]
    assert str(traced.folder / "outside/vocab.txt") in case["outside"]
    assert str(traced.folder / "outside/vocab.txt") not in case["opened"]


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("strace") is None, reason="there is no strace")
def test_no_system_call_opens_runs_or_reaches_anything_else(tmp_path: Path) -> None:
    log = tmp_path / "calls"
    calls = "open,openat,openat2,execve,connect"
    traced = trace(tmp_path, "strace", "--follow-forks", "--quiet=all", f"--trace={calls}", f"--output={log}")
    cases = [case.partition('"/end"')[0] for case in log.read_text(errors="replace").split('"/begin/')[1:]]
    assert len(cases) == len(traced.found)
    control = next(case for case in cases if case.startswith("control: "))
    assert '"../../outside/vocab.txt"' in control
    for case in cases:
        name = case.partition('"')[0]
        paths = re.findall(r'\b(?:open|openat|openat2|execve)\([^"\n]*"([^"]+)"', case)
        assert not re.search(r"connect\(", case), name
        strange = [path for path in paths if not traced.own(path) and not path.startswith(tuple(SYSTEM))]
        assert strange == [] or case is control, name
