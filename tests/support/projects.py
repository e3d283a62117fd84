"""A project folder of tiny models in which every stage that runs one has run, and what its tests look at."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from tiny import DIALOGUES, PPO, source_of

from detox.files import write_jsonl
from stages import fetch_adapter, rank_dialogues, summarize, summarize_rivals, train_ppo

OUTPUTS = ["models", "metrics", "data/summaries", "data/rivals"]


def write_params(**changes: Any) -> None:
    """params.yaml in the working directory; YAML reads JSON. A change replaces a whole section."""
    sections = json.loads(Path("params.json").read_text()) | changes
    Path("params.yaml").write_text(json.dumps(sections))


def pinned(path: Path) -> dict[str, Any]:
    """The source, as params.yaml writes it."""
    return asdict(source_of(path))


def run_stages() -> None:
    for stage in (fetch_adapter, rank_dialogues, train_ppo, summarize, summarize_rivals):
        stage.main()


def contents(*folders: str) -> dict[str, bytes]:
    """Every file below the folders of the working directory."""
    files = [path for folder in folders for path in sorted(Path(folder).rglob("*")) if path.is_file()]
    return {path.as_posix(): path.read_bytes() for path in files}


def names(folder: str) -> set[str]:
    return {path.name for path in Path(folder).iterdir()}


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory, base: Path, adapter: Path, word_classifier: Path) -> Path:
    """A project folder in which every stage has run once."""
    folder = tmp_path_factory.mktemp("project")
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.chdir(folder)
        begin(base, adapter, word_classifier)
        run_stages()
    return folder


def begin(base: Path, adapter: Path, classifier: Path) -> None:
    """In the working directory, what the stages read."""
    sections = {
        "seed": 5,
        "compute": {"device": "cpu", "processes": 1, "machines": 1},
        "track": [],
        "model": {"source": pinned(base), "max_prompt_tokens": 30, "dtype": "float32"},
        "adapter": {"source": pinned(adapter)},
        "reward": {"source": pinned(classifier), "toxic_label": "hate", "batch_size": 4},
        "rank": {"dialogues": None, "hold_out": None},
        "ppo": PPO,
        "summarize": {
            "samples": 2,
            "stress_samples": 3,
            "stress_share": 0.5,
            "stress_minimum": 1,
            "provoked": 2,
            "provocations": "words.txt",
            "batch_size": 4,
            "max_new_tokens": 10,
            "checkpoint_every": 1,
        },
        "rivals": {"dialogues": 3, "best_of": [2, 4], "scales": [0.5], "bad_words": "words.txt"},
    }
    Path("params.json").write_text(json.dumps(sections))
    write_params()
    Path("words.txt").write_text("rude\n")
    rows = [
        {"id": f"d{place}", "text": text, "references": ["tea"], "group": f"g{place % 2}"}
        for place, text in enumerate(DIALOGUES)
    ]
    write_jsonl(Path("data/prepared/train.jsonl"), rows)
    write_jsonl(Path("data/prepared/test.jsonl"), rows[:4])
