"""Sources: a base model, a classifier, an adapter or a corpus, pinned so that it can only be what it was.

A folder's digest is the SHA-256 of its manifest, which is what sha256sum prints for its files in the order of their
paths: `find * -type f -not -path '*/.*' -print0 | LC_ALL=C sort -z | xargs -0 sha256sum | sha256sum` in it.
"""

import hashlib
import os
import re
import shlex
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from detox import parsing
from detox.errors import InputError, brief
from detox.params.origins import Source

if TYPE_CHECKING:
    from torch import Tensor

MODEL, ADAPTER = "model.safetensors", "adapter_model.safetensors"
VOCABULARIES = """tokenizer.json spiece.model sentencepiece.bpe.model sentencepiece.model spm.model tokenizer.model
    vocab.json vocab.txt""".split()
SHARED = 10  # times its size may what torch saved be in memory: T5's files hold one table under four names
LEGACY = {"pytorch_model.bin": MODEL, "adapter_model.bin": ADAPTER}


def path(source: Source) -> Path:
    """Where the source lies. Raises InputError unless it is there, pinned and, if one's own, whole and unchanged."""
    path = Path(source.path)
    if not path.exists():
        remedy = "run `dvc repro fetch_sources`" if source.remote else "check the source's path in params.yaml"
        raise InputError(f"{path} does not exist: {remedy}")
    check_pinned(source)
    if source.origin is None:
        check_links(path)
        check_digest(source.path, path, source)
    return path


def check_pinned(source: Source) -> None:
    """Raises InputError unless the source is pinned; an adapter that is made here needs no pin."""
    key, pin = ("revision", source.revision) if source.hub else ("sha256", source.sha256)
    if pin is None and not source.made_here:
        raise InputError(f"{source.origin or source.path} has no {key} in params.yaml: run `make pin`")


def check_links(folder: Path) -> None:
    """Raises InputError for a link out of the folder, or one by which a relative path leads out of the project.

    A clone has the link, but not what it leads to.
    """
    parsing.check_inside(folder)
    for path in sorted(folder.rglob("*")):
        if path.is_symlink() and not Path(os.path.realpath(path)).is_relative_to(os.path.realpath(folder)):
            raise InputError(f"{path} is a link out of {folder}: put what it leads to in its place")


def check_digest(name: str, path: Path, source: Source) -> None:
    """Raises InputError unless what lies at `path` is what the source's sha256 says."""
    if (found := digest(path)) != source.sha256:
        check_line_ends(name, path, source)
        remedy = "set that to null and run `make pin` to accept it" if source.remote else "run `make pin` to accept it"
        raise InputError(f"{name} has sha256 {found}, but params.yaml pins {source.sha256}: put it back, or {remedy}")


def check_line_ends(name: str, path: Path, source: Source) -> None:
    """Raises InputError if what lies at `path` is what the source's sha256 says but for line ends."""
    if digest(path, _sha256_without_returns) != source.sha256:
        return
    changed = [file for file in _files(path).values() if _sha256(file) != _sha256_without_returns(file)]
    raise InputError(
        f"{name} is what params.yaml pins but for its line ends, which were changed to those of Windows, as git does "
        f"where core.autocrlf is true: sed -i 's/\\r$//' {shlex.join(map(str, changed))}"
    )


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _sha256_without_returns(path: Path) -> str:
    """Of a text with the line ends of Unix; a NUL among its first bytes makes a file none, as for git."""
    with path.open("rb") as file:
        if b"\0" in file.read(8000):
            return _sha256(path)
        file.seek(0)
        found = hashlib.sha256()
        for line in file:
            found.update(line.removesuffix(b"\r\n") + b"\n" if line.endswith(b"\r\n") else line)
        return found.hexdigest()


def digest(path: Path, of: Callable[[Path], str] = _sha256) -> str:
    """SHA-256 of a file, or of a folder's manifest, in hexadecimal; hidden files do not count."""
    if path.is_file():
        return of(path)
    lines = [f"{of(file)}  {name}\n" for name, file in _files(path).items()]
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def _files(path: Path) -> dict[str, Path]:
    """Those of a folder that count, by name and in its order; of a file itself."""
    if path.is_file():
        return {path.name: path}
    files = {file.relative_to(path).as_posix(): file for file in path.rglob("*") if file.is_file()}
    return {name: file for name, file in sorted(files.items()) if "/." not in f"/{name}"}


def to_safetensors(folder: Path) -> None:
    """Weights in `folder` that were saved by torch become safetensors, under the name that libraries expect.

    Raises InputError for a file that holds anything but tensors; nothing in it is run.
    """
    for name, new in LEGACY.items():
        if (legacy := folder / name).is_file():
            if not (folder / new).is_file():
                convert(legacy, folder / new, legacy.name)
            legacy.unlink()


def convert(legacy: Path, path: Path, name: str) -> None:
    """Writes a file that torch saved as safetensors. Raises InputError as `tensors` does."""
    # Here and not at the top, because it takes seconds, and where weights are safetensors nobody needs it.
    from safetensors.torch import save_file

    # Tensors that share memory would be refused.
    with _plainly(name):
        held = {key: tensor.clone().contiguous() for key, tensor in tensors(legacy, name).items()}
        save_file(held, path, metadata={"format": "pt"})


def tensors(legacy: Path, name: str) -> "dict[str, Tensor]":
    """The tensors in a file that torch saved, on the CPU; some of them may share their memory.

    Raises InputError, which calls the file by this name, if it holds anything else or more than its size; nothing in it
    is run.
    """
    import torch

    with _plainly(name):
        zipped = zipfile.is_zipfile(legacy)
        if zipped:
            _check_stored(legacy)
        found = torch.load(legacy, map_location="cpu", weights_only=True, mmap=zipped)
        for key, tensor in found.items():
            _check_plain(key, tensor)
        if sum(tensor.nbytes for tensor in found.values()) > SHARED * legacy.stat().st_size:
            raise ValueError("its tensors together have many times its size")
        return {key: tensor.detach().as_subclass(torch.Tensor) for key, tensor in found.items()}


@contextmanager
def _plainly(name: str) -> Iterator[None]:
    """Whatever a damaged or hostile file makes of it within the block is an InputError that calls it by this name."""
    try:
        yield
    except InputError:
        raise
    except Exception as error:
        raise InputError(f"{name} holds more than tensors or is damaged ({_reason(error)}): get safetensors") from error


def _reason(error: Exception) -> str:
    """What torch found, without its advice to trust the file."""
    said = re.search(r"(?:WeightsUnpickler error: |Trying to load )(\S.*)", str(error))
    reason = (said[1] if said else str(error).strip()).splitlines()[:1]
    return reason[0].partition(". ")[0].rstrip(".") if reason and " " in reason[0] else type(error).__name__


def _numbers() -> set[Any]:
    """The types of torch that safetensors has and every machine computes with; torch has others of a few bits."""
    import torch

    floats = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
    return {*floats, torch.bool, torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64}


def _check_stored(legacy: Path) -> None:
    """Raises ValueError for a compressed file, which could be a thousand times as large in memory."""
    with zipfile.ZipFile(legacy) as archive:
        if any(entry.compress_type != zipfile.ZIP_STORED for entry in archive.infolist()):
            raise ValueError("it is compressed")


def _check_plain(name: object, tensor: object) -> None:
    """Raises ValueError unless it is a dense tensor of real numbers under a name, no larger than what it stands on."""
    import torch

    if not isinstance(name, str) or not isinstance(tensor, torch.Tensor):
        raise ValueError(f"{brief(name)} is of type {type(tensor).__name__}")
    dense = tensor.layout == torch.strided and not tensor.is_nested and tensor.device.type == "cpu"
    if not dense or tensor.is_quantized or tensor.is_complex() or tensor.is_neg() or tensor.dtype not in _numbers():
        raise ValueError(f"{brief(name)} is a tensor of another kind: {tensor.layout}, {tensor.dtype}, {tensor.device}")
    if tensor.nbytes > tensor.untyped_storage().nbytes():
        raise ValueError(f"{brief(name)} has more numbers than the file holds of it")
