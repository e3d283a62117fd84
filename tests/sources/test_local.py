"""A source is what its pin says or an error; what torch saved becomes safetensors, and nothing in it is run."""

import os
import subprocess
from pathlib import Path
from typing import Any
from zipfile import ZIP_DEFLATED, ZipFile

import pytest
import torch
from safetensors.torch import load_file

from detox.errors import InputError
from detox.params.origins import Source
from detox.sources import local, pins

ABC = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"  # the standard's own example


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Files in a folder and below it, and one that is hidden."""
    folder = tmp_path / "folder"
    (folder / "below").mkdir(parents=True)
    for name, content in {"b.json": "abc", "a b.txt": "", "below/c": "é", ".DS_Store": "x", "below/.d": "y"}.items():
        (folder / name).write_text(content, encoding="utf-8")
    return folder


def complaint(source: Source) -> str:
    with pytest.raises(InputError) as error:
        local.path(source)
    message = str(error.value)
    assert "\n" not in message
    return message


def test_the_digest_of_a_file_is_its_sha256(folder: Path) -> None:
    assert local.digest(folder / "b.json") == ABC


def test_the_digest_of_a_folder_is_what_the_documented_command_says(folder: Path) -> None:
    command = "find * -type f -not -path '*/.*' -print0 | LC_ALL=C sort -z | xargs -0 sha256sum | sha256sum"
    said = subprocess.run(["sh", "-c", command], cwd=folder, capture_output=True, text=True, check=True).stdout
    assert f"{local.digest(folder)}  -\n" == said


def test_a_folder_is_taken_while_it_is_what_was_pinned(folder: Path) -> None:
    source = Source(str(folder), sha256=local.digest(folder))
    assert local.path(source) == folder
    (folder / ".hidden").write_text("does not count")
    assert local.path(source) == folder
    (folder / "below" / "c").write_text("e")
    assert complaint(source).endswith("put it back, or run `make pin` to accept it")


def test_changed_line_ends_are_told_from_other_changes_and_the_message_undoes_them(folder: Path) -> None:
    (folder / "b.json").write_bytes(b"a\nb\n")
    (folder / "bytes").write_bytes(b"\0\r\n")
    source = Source(str(folder), sha256=local.digest(folder))
    for name in ("b.json", "below/c"):
        (folder / name).write_bytes((folder / name).read_bytes().replace(b"\n", b"\r\n"))
    message = complaint(source)
    assert message == (
        f"{folder} is what params.yaml pins but for its line ends, which were changed to those of Windows, as git does "
        f"where core.autocrlf is true: sed -i 's/\\r$//' {folder}/b.json"
    )
    with pytest.raises(InputError, match="but for its line ends"):
        pins.pin_of(source)
    subprocess.run(["sh", "-c", message.rpartition(": ")[2]], check=True)
    assert local.path(source) == folder
    (folder / "b.json").write_bytes(b"a\r\nc\r\n")
    assert complaint(source).endswith("put it back, or run `make pin` to accept it")


def test_a_renamed_file_is_noticed(folder: Path) -> None:
    source = Source(str(folder), sha256=local.digest(folder))
    (folder / "b.json").rename(folder / "c.json")
    assert f"{folder} has sha256 " in complaint(source)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (Source("."), ". has no sha256 in params.yaml: run `make pin`"),
        (Source("nowhere"), "nowhere does not exist: check the source's path in params.yaml"),
        (Source("downloads/m", "hf://a/b", "0" * 40), "downloads/m does not exist: run `dvc repro fetch_sources`"),
    ],
)
def test_a_source_that_is_not_there_or_not_pinned_is_an_error(source: Source, message: str) -> None:
    assert complaint(source) == message


def test_a_repository_is_pinned_by_its_revision_and_other_downloads_by_sha256() -> None:
    for origin, key in (("hf://a/b", "revision"), ("s3://a/b", "sha256"), ("https://a/b", "sha256")):
        with pytest.raises(InputError) as error:
            local.check_pinned(Source("downloads/m", origin))
        assert str(error.value) == f"{origin} has no {key} in params.yaml: run `make pin`"


@pytest.mark.parametrize(
    ("old", "new"),
    [("pytorch_model.bin", "model.safetensors"), ("adapter_model.bin", "adapter_model.safetensors")],
)
def test_what_torch_saved_becomes_safetensors_even_where_tensors_share_memory(
    tmp_path: Path, old: str, new: str
) -> None:
    weight = torch.arange(6.0).view(2, 3)
    torch.save({"a": weight, "b": weight, "transposed": weight.T}, tmp_path / old)
    local.to_safetensors(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [new]
    loaded = load_file(tmp_path / new)
    assert loaded.keys() == {"a", "b", "transposed"}
    assert loaded["transposed"].tolist() == [[0, 3], [1, 4], [2, 5]]


def test_safetensors_win_over_what_torch_saved_beside_them(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").write_bytes(b"kept")
    (tmp_path / "pytorch_model.bin").write_bytes(b"never read")
    local.to_safetensors(tmp_path)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {"model.safetensors": b"kept"}


class Trap:
    """Whoever unpickles it makes a folder."""

    def __init__(self, path: Path):
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (str(self.path),)


def test_a_pickle_that_would_run_something_is_refused_and_runs_nothing(tmp_path: Path) -> None:
    (folder := tmp_path / "model").mkdir()
    torch.save({"weight": Trap(tmp_path / "sprung")}, folder / "pytorch_model.bin")
    with pytest.raises(InputError, match=r"^pytorch_model.bin holds more than tensors or is damaged .*: get safet"):
        local.to_safetensors(folder)
    assert not (tmp_path / "sprung").exists()
    assert not (folder / "model.safetensors").exists()


ONES = torch.ones(3)
ODD: dict[str, Any] = {
    "a list": [ONES],
    "a model in a model": {"model": {"weight": ONES}},
    "a number beside the weights": {"weight": ONES, "step": 3},
    "a number as a name": {3: ONES},
    "zeros that are left out": {"weight": torch.eye(3).to_sparse()},
    "rows of other lengths": {"weight": torch.nested.nested_tensor([torch.ones(2), ONES])},
    "numbers with an imaginary part": {"weight": torch.ones(3, dtype=torch.complex64)},
    "no numbers at all": {"weight": torch.ones(3, device="meta")},
    "one number a million million times": {"weight": torch.ones(1).expand(10**12)},
    "the same numbers a thousand times": dict.fromkeys(map(str, range(1000)), torch.ones(10_000)),
    "a module": torch.nn.Linear(2, 2),
    "numbers that are kept with the other sign": {"weight": torch.ones(3, dtype=torch.complex64).conj().imag},
    "rows that are left out": {"weight": torch.eye(3).to_sparse_csr()},
    "numbers of eight bits": {"weight": torch.ones(3).to(torch.float8_e4m3fn)},
    "pairs of numbers of four bits": {"weight": torch.ones(3, dtype=torch.uint8).view(torch.float4_e2m1fn_x2)},
    "numbers of a kind that few machines have": {"weight": torch.ones(3, dtype=torch.uint16)},
    "numbers by a scale": {"weight": torch.quantize_per_tensor(ONES, 0.1, 0, torch.quint8)},
    "a storage": {"weight": ONES.untyped_storage()},
    "a size": {"weight": torch.Size([3])},
    "a kind": {"weight": torch.float32},
    "nothing": None,
}


@pytest.mark.filterwarnings("ignore")  # what torch thinks of some of these kinds
@pytest.mark.parametrize("content", ODD.values(), ids=ODD.keys())
def test_odd_tensors_are_refused_before_they_fill_the_memory(tmp_path: Path, content: Any) -> None:
    torch.save(content, tmp_path / "adapter_model.bin")
    with pytest.raises(InputError, match=r"^adapter_model.bin holds more than tensors or is damaged \(.+\): get safet"):
        local.to_safetensors(tmp_path)


def test_a_compressed_file_is_refused_unread(tmp_path: Path) -> None:
    """Of zeros it is a thousand times as large in memory."""
    torch.save({"weight": torch.zeros(1_000_000)}, tmp_path / "stored")
    with ZipFile(tmp_path / "stored") as stored, ZipFile(tmp_path / "adapter_model.bin", "w", ZIP_DEFLATED) as small:
        for name in stored.namelist():
            small.writestr(name, stored.read(name))
    with pytest.raises(InputError, match=r"damaged \(it is compressed\)"):
        local.to_safetensors(tmp_path)


def test_a_path_that_leads_out_of_the_project_by_a_link_is_refused_wherever_the_link_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "elsewhere/model").mkdir(parents=True)
    (tmp_path / "elsewhere/rows.jsonl").write_text("")
    (tmp_path / "project/inside").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "project")
    Path("link").symlink_to("../elsewhere/model")
    Path("folder").symlink_to("../elsewhere")
    Path("own").symlink_to("inside")
    for path in ("link", "folder/model", "folder/rows.jsonl"):
        said = f"{path} leads out of the project by a link: put what it leads to in its place"
        assert complaint(Source(path, sha256="0" * 64)) == said
    local.check_links(Path("own"))
    local.check_links(tmp_path / "project/link")  # an absolute path is somebody's own word


@pytest.mark.parametrize("content", [b"", b"version https://git-lfs.github.com/spec/v1\n", b"PK\x03\x04"])
def test_a_damaged_file_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "adapter_model.bin").write_bytes(content)
    with pytest.raises(InputError, match=r"^adapter_model.bin holds more than tensors or is damaged"):
        local.to_safetensors(tmp_path)
