"""Downloads, each checked against its pin: from the Hugging Face hub, S3, or a web server.

Retries, resuming and progress are those of huggingface_hub and s3fs, keys and tokens come from the environment that
these read. Of a repository only what this project reads is fetched: configuration, tokenizer, weights, tables. Of
tables alone there may be folders.
"""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from fnmatch import fnmatch
from pathlib import Path
from urllib.parse import urlsplit

import httpx2
from botocore.exceptions import BotoCoreError
from huggingface_hub import HfApi, is_offline_mode, snapshot_download
from huggingface_hub.errors import HfHubHTTPError
from huggingface_hub.file_download import http_get

from detox.errors import InputError
from detox.params import Source
from detox.sources import local

TEXT = ["*.jsonl", "*.ndjson", "*.csv", "*.tsv"]
TABLES = [name + packed for name in TEXT for packed in ("", ".gz", ".bz2", ".xz", ".zst", ".zip")]
TABLES += ["*.parquet", "*.arrow"]
WANTED = ["*.json", "*.txt", "*.model", "*.safetensors", *TABLES]
DATA_SET = ["README.md", "*.json", "*.zip", *TABLES]  # of the hub's, in any folder
ADAPTER = ("adapter_config.json", local.ADAPTER)


def fetch(source: Source, folder: Path) -> None:
    """What the source names, in a new folder, weights as safetensors.

    Raises InputError, having written nothing but the folder and the library's own cache, if the source, which must be
    pinned, cannot be had or is not what its pin says.
    """
    raw(source, folder)
    if source.sha256 is not None:
        local.check_digest(str(source.origin), folder, source)
    local.to_safetensors(folder)


def raw(source: Source, folder: Path) -> None:
    """The files of the source as they are over there, unchecked but for a hub's own hashes, in a new folder."""
    folder.mkdir(parents=True)
    with _one_line(source):
        if source.hub:
            _from_hub(source, folder)
        elif str(source.origin).startswith("s3://"):
            _from_s3(str(source.origin), folder)
        else:
            _from_web(str(source.origin), folder)
    if not any(folder.iterdir()):
        raise InputError(
            f"{source.origin} holds none of *.json, *.txt, *.model, *.safetensors, {', '.join(TEXT)}, *.parquet, "
            "*.arrow: check the origin in params.yaml"
        )


def newest(source: Source) -> str:
    """The newest commit of a repository's main branch, 40 digits. Raises InputError if it cannot be had."""
    repository, kind = _repository(source)
    with _one_line(source):
        return str(HfApi().repo_info(repository, repo_type=kind).sha)


def _repository(source: Source) -> tuple[str, str]:
    """owner/name and the hub's word for what it is."""
    name = str(source.origin).removeprefix("hf://")
    return name.removeprefix("datasets/"), "dataset" if name.startswith("datasets/") else "model"


def _from_hub(source: Source, folder: Path) -> None:
    if _repository(source)[1] == "dataset":
        _copy_tables(_snapshot(source, DATA_SET, []), folder)
        return
    snapshot = _snapshot(source, WANTED, ["*/*"])
    configured = (snapshot / "config.json").is_file() or (snapshot / ADAPTER[0]).is_file()
    if configured and not list(snapshot.glob("*.safetensors")):
        snapshot = _snapshot(source, WANTED + list(local.LEGACY), ["*/*"])
    for file in snapshot.iterdir():
        if file.is_file() and _wanted(file.name):
            shutil.copyfile(file, folder / file.name)


def _copy_tables(snapshot: Path, folder: Path) -> None:
    for file in snapshot.rglob("*"):
        name = file.relative_to(snapshot).as_posix()
        if file.is_file() and any(fnmatch(name, pattern) for pattern in DATA_SET):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, folder / name)


def _snapshot(source: Source, patterns: list[str], without: list[str]) -> Path:
    """The library's own copy of the repository's files, which is kept; where it is damaged, it is removed."""
    (repository, kind), revision = _repository(source), source.revision
    snapshot = Path(
        snapshot_download(
            repository, repo_type=kind, revision=revision, allow_patterns=patterns, ignore_patterns=without
        )
    )
    if not is_offline_mode():
        found = HfApi().verify_repo_checksums(repository, repo_type=kind, revision=revision)
        damaged = [wrong["path"] for wrong in found.mismatches]
        for name in damaged:
            (snapshot / name).resolve().unlink()
            (snapshot / name).unlink(missing_ok=True)
        if damaged:
            raise InputError(
                f"{source.origin} at {revision}: {damaged[0]} is not what the hub's own hash says, so it was removed: "
                "run the same command again"
            )
    return snapshot


def _wanted(name: str) -> bool:
    return name in local.LEGACY or any(fnmatch(name, pattern) for pattern in WANTED)


def _from_s3(origin: str, folder: Path) -> None:
    # Here and not at the top, because it takes a second.
    import s3fs

    files = s3fs.S3FileSystem(skip_instance_cache=True)
    for path in files.ls(origin, detail=False):
        if _wanted(name := path.rsplit("/", 1)[-1]):
            files.get_file(path, folder / name)


def _from_web(origin: str, folder: Path) -> None:
    """An adapter's files, which have known names: a web server lists none."""
    configuration, weights = ADAPTER
    _download(origin, configuration, folder)
    try:
        _download(origin, weights, folder)
    except HfHubHTTPError as error:
        if error.response.status_code != 404:
            raise
        (folder / weights).unlink()
        _download(origin, "adapter_model.bin", folder)


def _download(origin: str, name: str, folder: Path) -> None:
    parts = urlsplit(origin)
    url = parts._replace(path=f"{parts.path.rstrip('/')}/{name}").geturl()
    with (folder / name).open("wb") as file:
        http_get(url, file, displayed_filename=name)


@contextmanager
def _one_line(source: Source) -> Iterator[None]:
    """What goes wrong within the block is an InputError that names origin and pin."""
    try:
        yield
    except (OSError, httpx2.HTTPError, BotoCoreError, ValueError) as error:
        where = f"{source.origin} at {source.revision}" if source.revision else f"{source.origin}"
        raise InputError(f"{where} cannot be had: {_reason(error)}: {_remedy(error)}") from error


def _reason(error: BaseException) -> str:
    """The first line of what the library says last, which is its reason, after the name of the error."""
    while error.__cause__ is not None:
        error = error.__cause__
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__


def _remedy(error: BaseException) -> str:
    if is_offline_mode():
        return "unset HF_HUB_OFFLINE once to download it"
    if isinstance(error, HfHubHTTPError) and error.response.status_code in (401, 403, 404):
        return "check origin and pin in params.yaml, and for a private or gated repository HF_TOKEN"
    return "check origin, network and credentials, and run the same command again: it keeps the files that came"
