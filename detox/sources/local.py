"""Sources: a base model, a classifier, an adapter or a corpus, pinned so that it can only be what it was.

A folder's digest is the SHA-256 of its manifest, which is what sha256sum prints for its files in the order of their
paths: `find * -type f -not -path '*/.*' -print0 | LC_ALL=C sort -z | xargs -0 sha256sum | sha256sum` in it.
"""

import hashlib
import os
from pathlib import Path

from detox.errors import InputError
from detox.params import Source

MODEL, ADAPTER = "model.safetensors", "adapter_model.safetensors"
VOCABULARIES = ("tokenizer.json", "spiece.model", "sentencepiece.bpe.model", "vocab.json", "vocab.txt")
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
    """Raises InputError for a link out of the folder: a clone has the link, but not what it leads to."""
    for path in sorted(folder.rglob("*")):
        if path.is_symlink() and not Path(os.path.realpath(path)).is_relative_to(os.path.realpath(folder)):
            raise InputError(f"{path} is a link out of {folder}: put what it leads to in its place")


def check_digest(name: str, path: Path, source: Source) -> None:
    """Raises InputError unless what lies at `path` is what the source's sha256 says."""
    if (found := digest(path)) != source.sha256:
        remedy = "set that to null and run `make pin` to accept it" if source.remote else "run `make pin` to accept it"
        raise InputError(f"{name} has sha256 {found}, but params.yaml pins {source.sha256}: put it back, or {remedy}")


def digest(path: Path) -> str:
    """SHA-256 of a file, or of a folder's manifest, in hexadecimal; hidden files do not count."""
    if path.is_file():
        return _sha256(path)
    files = {file.relative_to(path).as_posix(): file for file in path.rglob("*") if file.is_file()}
    lines = [f"{_sha256(file)}  {name}\n" for name, file in sorted(files.items()) if "/." not in f"/{name}"]
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def to_safetensors(folder: Path) -> None:
    """Weights in `folder` that were saved by torch become safetensors, under the name that libraries expect.

    Raises InputError for a file that holds anything but tensors; nothing in it is run.
    """
    for name, new in LEGACY.items():
        if (legacy := folder / name).is_file():
            if not (folder / new).is_file():
                _convert(legacy, folder / new)
            legacy.unlink()


def _convert(legacy: Path, path: Path) -> None:
    # Here and not at the top, because they take seconds, and where weights are safetensors nobody needs them.
    import torch
    from safetensors.torch import save_file

    try:
        weights = torch.load(legacy, map_location="cpu", weights_only=True)
        # Tensors that share memory would be refused.
        tensors = {name: weight.clone().contiguous() for name, weight in weights.items()}
    except Exception as error:  # whatever a damaged or hostile file makes of it
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise InputError(f"{legacy.name} holds more than tensors or is damaged ({reason}): get safetensors") from error
    save_file(tensors, path, metadata={"format": "pt"})


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
