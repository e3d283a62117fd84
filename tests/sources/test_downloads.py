"""`python -m stages.fetch_sources` and `make pin` against real servers: what comes, and what is said if it does not."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from hub import Hub, serve
from imports import ROOT
from safetensors.torch import load_file
from seaweedfs import Server, filesystem

from detox.sources import local

WEIGHTS = bytes(range(256)) * 200  # large enough to be kept as the hub keeps weights
MODEL = {"config.json": b"{}", "model.safetensors": WEIGHTS, "tokenizer.json": b"[]"}
OTHERS = {"README.md": b"#", "pytorch_model.bin": b"never fetched", "onnx/model.onnx": b"", "onnx/config.json": b"{}"}
ADAPTER = {"adapter_config.json": b'{"r": 4}', "adapter_model.safetensors": WEIGHTS}


class Project:
    """A folder with a params.yaml in which the model comes from elsewhere, and the commands that are run there."""

    def __init__(self, folder: Path, hub: Hub):
        self.folder, self.hub = folder, hub
        (folder / "own").write_text("a file of one's own")
        own = {"path": "own", "sha256": local.digest(folder / "own")}
        self.params: dict[str, Any] = {
            section: {"source": own} for section in ("model", "prepare", "adapter", "reward", "judge")
        }
        self.environment = {"HF_ENDPOINT": hub.url, "HF_HOME": str(folder / "hf"), "HF_HUB_DISABLE_XET": "1"}

    def source(self, section: str, **source: str | None) -> None:
        """Sets a section's source and writes params.yaml."""
        self.params[section] = {"source": {"path": f"downloads/{section}", **source}}
        (self.folder / "params.yaml").write_text(json.dumps(self.params))

    def run(self, module: str = "stages.fetch_sources", **environment: str) -> subprocess.CompletedProcess[str]:
        """Runs a module in the folder."""
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "HF_"))}
        own = {"PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"} | self.environment | environment
        command = [sys.executable, "-m", module]
        return subprocess.run(command, cwd=self.folder, env={**inherited, **own}, capture_output=True, text=True)

    def error(self, **environment: str) -> str:
        """The one line that the stage ends with; it has written nothing."""
        before = self.fetched()
        finished = self.run(**environment)
        assert finished.returncode == 1, finished.stderr
        assert "Traceback" not in finished.stderr
        assert self.fetched() == before
        assert {path.name for path in self.folder.iterdir()} <= {"own", "params.yaml", "hf", "downloads"}
        *_, line = finished.stderr.splitlines()
        assert line.startswith("error: ")
        return line.removeprefix("error: ")

    def fetched(self, section: str = "") -> dict[str, bytes]:
        """What lies in downloads."""
        folder = self.folder / "downloads" / section
        return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}

    def fetch(self, **environment: str) -> str:
        """Runs the stage, which must succeed; what it says on the way."""
        finished = self.run(**environment)
        assert finished.returncode == 0, finished.stderr
        return finished.stderr


@pytest.fixture(scope="module")
def running_hub() -> Iterator[Hub]:
    with serve() as hub:
        yield hub


@pytest.fixture
def hub(running_hub: Hub) -> Hub:
    """A hub with one model and no faults."""
    running_hub.faults.clear()
    running_hub.requests.clear()
    running_hub.repositories.clear()
    running_hub.add("ann/model", MODEL | OTHERS)
    return running_hub


@pytest.fixture
def project(tmp_path: Path, hub: Hub) -> Project:
    """A project whose base model is on the hub, pinned to its commit."""
    project = Project(tmp_path, hub)
    project.source("model", origin="hf://ann/model", revision=hub.repositories["ann/model"].commit)
    return project


def test_of_a_repository_comes_what_is_read_at_the_pinned_commit_with_progress(project: Project) -> None:
    assert "Fetching 3 files" in project.fetch()
    assert project.fetched("model") == MODEL
    assert not [request for request in project.hub.requests if "pytorch_model.bin" in request or "onnx" in request]


def test_nothing_is_asked_of_any_server_when_every_source_is_in_the_project(project: Project) -> None:
    project.params["model"] = project.params["judge"]
    project.source("judge", path="own", sha256="0" * 64)
    project.fetch()
    assert list((project.folder / "downloads").iterdir()) == []
    assert project.hub.requests == []


def test_what_has_been_downloaded_once_is_there_offline(project: Project) -> None:
    project.fetch()
    project.hub.requests.clear()
    project.fetch(HF_HUB_OFFLINE="1")
    assert project.fetched("model") == MODEL
    assert project.hub.requests == []


def test_what_has_not_been_downloaded_is_an_error_offline(project: Project) -> None:
    line = project.error(HF_HUB_OFFLINE="1")
    assert line.startswith(f"hf://ann/model at {project.params['model']['source']['revision']} cannot be had: ")
    assert line.endswith(": unset HF_HUB_OFFLINE once to download it")


def test_a_data_set_comes_from_a_repository_of_data_sets(project: Project) -> None:
    files = {"train.csv": b"id,dialogue,summary\n", "test.csv": b"id,dialogue,summary\n"}
    commit = project.hub.add("datasets/ann/talk", files | {"LICENSE": b""})
    project.source("prepare", origin="hf://datasets/ann/talk", revision=commit)
    project.fetch()
    assert project.fetched("prepare") == files


def test_of_a_data_set_come_the_tables_of_every_folder_and_the_readme_that_lists_them(project: Project) -> None:
    """Parquet in the layout of push_to_hub, other tables, and neither scripts nor what is no table."""
    card = b"---\nconfigs:\n- config_name: default\n  data_files: data/train-*\n---\n"
    files = {
        "README.md": card,
        "data/train-00000-of-00001.parquet": WEIGHTS,
        "en/x/val.jsonl.gz": b"x",
        "a.json": b"[]",
    }
    others = {
        "talk.py": b"never fetched",
        "en/README.md": b"#",
        "data/audio.tar": b"x",
        ".gitattributes": b"",
        "a.pkl": b"",
    }
    commit = project.hub.add("datasets/ann/talk", files | others)
    project.source("prepare", origin="hf://datasets/ann/talk", revision=commit)
    project.fetch()
    assert project.fetched("prepare") == files
    assert not [request for request in project.hub.requests if "talk.py" in request or ".pkl" in request]


def test_weights_that_torch_saved_are_fetched_where_there_are_no_others_and_converted(
    project: Project, tmp_path: Path
) -> None:
    torch.save({"weight": torch.arange(3.0)}, tmp_path / "hf.bin")
    content = (tmp_path / "hf.bin").read_bytes()
    (tmp_path / "hf.bin").unlink()
    commit = project.hub.add("ann/old", {"config.json": b"{}", "pytorch_model.bin": content, "spiece.model": b""})
    project.source("model", origin="hf://ann/old", revision=commit)
    project.fetch()
    assert project.fetched("model").keys() == {"config.json", "model.safetensors", "spiece.model"}
    weights = load_file(tmp_path / "downloads" / "model" / "model.safetensors")
    assert weights["weight"].tolist() == [0, 1, 2]


def test_a_connection_that_breaks_is_taken_up_again_where_it_broke(project: Project) -> None:
    project.hub.faults["model.safetensors"] = ["cut", 429, "cut"]
    project.fetch()
    assert project.fetched("model") == MODEL


def test_what_came_before_a_failure_is_not_downloaded_again(project: Project) -> None:
    project.hub.faults["tokenizer.json"] = [500]
    assert "Server error '500 Internal Server Error'" in project.error()
    project.hub.requests.clear()
    project.fetch()
    assert project.fetched("model") == MODEL
    downloaded = [request.rsplit("/", 1)[1] for request in project.hub.requests if re.match("GET .*/resolve/", request)]
    assert downloaded == ["tokenizer.json"]


def test_a_file_that_is_not_what_the_hub_says_is_refused_and_forgotten(project: Project) -> None:
    project.hub.faults["model.safetensors"] = ["flip"]
    assert project.error().endswith(
        ": model.safetensors is not what the hub's own hash says, so it was removed: run the same command again"
    )
    project.fetch()
    assert project.fetched("model") == MODEL


@pytest.mark.parametrize(
    ("origin", "revision", "status"),
    [("hf://ann/nothing", "0" * 40, "404"), ("hf://ann/model", "0" * 40, "404")],
)
def test_an_unknown_repository_or_commit_is_named(project: Project, origin: str, revision: str, status: str) -> None:
    project.source("model", origin=origin, revision=revision)
    line = project.error()
    assert line.startswith(f"{origin} at {revision} cannot be had: HTTPStatusError: Client error '{status} Not Found'")
    assert line.endswith(": check origin and pin in params.yaml, and for a private or gated repository HF_TOKEN")


@pytest.mark.slow
def test_a_hub_that_does_not_answer_is_named(project: Project) -> None:
    line = project.error(HF_ENDPOINT="http://127.0.0.1:9")
    assert " cannot be had: ConnectError: [Errno 111] Connection refused: check origin, network and credentials" in line


def test_a_repository_without_a_file_that_is_needed_names_what_it_has_before_anything_comes(project: Project) -> None:
    """As it is with an adapter in the place of the base, a data set of sounds, a model of another library."""
    commit = project.hub.add("ann/lora", ADAPTER | {"README.md": b""})
    project.source("model", origin="hf://ann/lora", revision=commit)
    assert project.error() == (
        f"hf://ann/lora at {commit} has no config.json, nor model.safetensors or model.safetensors.index.json or "
        "pytorch_model.bin, nor tokenizer.json or spiece.model or sentencepiece.bpe.model or sentencepiece.model or "
        "spm.model or tokenizer.model or vocab.json or vocab.txt; it has README.md, adapter_config.json, "
        "adapter_model.safetensors: set model.source.origin to a repository that has them"
    )
    project.params["model"] = project.params["judge"]
    commit = project.hub.add("datasets/ann/talk", {"README.md": b"#", "train/a.wav": b"", "train/b.wav": b""})
    project.source("prepare", origin="hf://datasets/ann/talk", revision=commit)
    assert project.error() == (
        f"hf://datasets/ann/talk at {commit} has no table; it has README.md, train/a.wav, train/b.wav: "
        "set prepare.source.origin to a repository that has them"
    )
    commit = project.hub.add("datasets/ann/talk", {f"{name:02}.bin": b"" for name in range(14)})
    project.source("prepare", origin="hf://datasets/ann/talk", revision=commit)
    assert " 10.bin, 11.bin and 2 more: set prepare" in project.error()
    assert not [request for request in project.hub.requests if "/resolve/" in request]


def test_an_adapter_in_a_folder_of_its_repository_is_named_and_comes_once_the_origin_says_so(project: Project) -> None:
    files = {f"{step}/{name}": content for step in ("step-1", "step-2") for name, content in ADAPTER.items()}
    commit = project.hub.add("ann/lora", {"README.md": b"", **files})
    project.source("adapter", origin="hf://ann/lora", revision=commit)
    line = project.error()
    assert line.startswith(f"hf://ann/lora at {commit} has no adapter_config.json, nor adapter_model.safetensors or ")
    assert line.endswith(
        ": set adapter.source.origin to hf://ann/lora/step-1, where they are, or to one of its folders step-2"
    )
    project.source("adapter", origin="hf://ann/lora/step-2", revision=commit)
    project.fetch()
    assert project.fetched("adapter") == ADAPTER
    assert not [request for request in project.hub.requests if "step-1" in request]
    project.fetch(HF_HUB_OFFLINE="1")
    assert project.fetched("adapter") == ADAPTER


def test_of_all_sources_all_that_is_wrong_is_said_at_once(project: Project) -> None:
    commit = project.hub.add("ann/lora", {"README.md": b""})
    project.source("adapter", origin="hf://ann/lora", revision=commit)
    project.source("judge", origin="hf://ann/nothing", revision="0" * 40)
    lines = project.run().stderr.splitlines()
    assert [line.partition(" at ")[0] for line in lines] == ["error: hf://ann/lora", "error: hf://ann/nothing"]
    assert "network" not in lines[0]


def test_an_unpinned_repository_is_an_error_until_make_pin_has_written_its_newest_commit(project: Project) -> None:
    project.source("model", origin="hf://ann/model")
    assert project.error() == "hf://ann/model has no revision in params.yaml: run `make pin`"
    commit = project.hub.repositories["ann/model"].commit
    assert project.run("detox.sources.pins").stdout == f"model.source.revision: {commit}\n"
    project.fetch()
    assert project.fetched("model") == MODEL
    project.hub.add("ann/model", {"config.json": b"newer"})
    assert project.run("detox.sources.pins").stdout == "Every source is pinned already.\n"


def test_nothing_is_downloaded_while_one_source_is_not_pinned(project: Project) -> None:
    project.source("judge", origin="hf://ann/model")
    assert project.error() == "hf://ann/model has no revision in params.yaml: run `make pin`"
    assert project.hub.requests == []


def test_an_adapter_comes_from_a_web_server_and_is_pinned_by_its_content(project: Project) -> None:
    project.hub.add("ann/lora", ADAPTER)
    origin = f"{project.hub.url}/files/ann/lora"
    project.source("adapter", origin=origin)
    assert project.error() == f"{origin} has no sha256 in params.yaml: run `make pin`"
    assert project.run("detox.sources.pins").stdout.startswith("adapter.source.sha256: ")
    project.hub.faults["adapter_model"] = ["cut"]
    project.fetch()
    assert project.fetched("adapter") == ADAPTER
    project.hub.faults["adapter_model"] = ["flip"]
    line = project.error()
    assert line.startswith(f"{origin} has sha256 ")
    assert line.endswith("put it back, or set that to null and run `make pin` to accept it")


def test_a_web_server_without_the_adapter_is_an_error(project: Project) -> None:
    project.source("adapter", origin=f"{project.hub.url}/files/ann/model", sha256="0" * 64)
    assert "Client error '404 Not Found'" in project.error()


@pytest.mark.slow
def test_a_hub_that_always_fails_is_given_up(project: Project) -> None:
    project.hub.faults["/tree/"] = [500] * 6
    line = project.error()
    assert "Server error '500 Internal Server Error'" in line
    assert line.endswith("run the same command again: it keeps the files that came")


@pytest.mark.slow
def test_an_adapter_comes_from_s3(project: Project, s3: Server) -> None:
    files = filesystem(s3.writer)
    for name, content in {**ADAPTER, "training_args.bin": b"never fetched"}.items():
        files.pipe(f"{s3.bucket}/lora/{name}", content)
    project.source("adapter", origin=f"s3://{s3.bucket}/lora")
    assert project.run("detox.sources.pins", **s3.reader).stdout.startswith("adapter.source.sha256: ")
    project.fetch(**s3.reader)
    assert project.fetched("adapter") == ADAPTER
    nobody = {"AWS_ENDPOINT_URL_S3": s3.reader["AWS_ENDPOINT_URL_S3"], "AWS_EC2_METADATA_DISABLED": "true"}
    assert "NoCredentialsError" in project.error(**nobody)
    assert "cannot be had: " in project.error(**s3.reader | {"AWS_SECRET_ACCESS_KEY": "wrong"})
    files.pipe(f"{s3.bucket}/lora/adapter_config.json", b"{}")
    assert f"s3://{s3.bucket}/lora has sha256 " in project.error(**s3.reader)
    project.source("adapter", origin=f"s3://{s3.bucket}/nothing", sha256="0" * 64)
    assert f"s3://{s3.bucket}/nothing cannot be had: FileNotFoundError" in project.error(**s3.reader)


@pytest.mark.slow
def test_a_hub_that_does_not_answer_is_asked_for_the_first_source_alone(project: Project) -> None:
    """Each takes half a minute."""
    project.source("judge", origin="hf://ann/other", revision="0" * 40)
    *_, line = project.run(HF_ENDPOINT="http://127.0.0.1:9").stderr.splitlines()
    assert line.startswith("error: hf://ann/model ")
