"""Downloads, each checked against its pin: from the Hugging Face hub, S3, or a web server.

Retries, resuming and progress are those of huggingface_hub and s3fs, keys and tokens come from the environment that
these read. Of a repository only what this project reads is fetched: configuration, tokenizer, weights, tables. Of
tables alone there may be folders.
"""

import shutil
from glob import escape
from pathlib import Path
from urllib.parse import urlsplit

from huggingface_hub import HfApi, is_offline_mode, snapshot_download
from huggingface_hub.errors import HfHubHTTPError
from huggingface_hub.file_download import http_get

from detox.errors import InputError
from detox.params.origins import Source
from detox.sources import limits, local, repositories
from detox.sources.repositories import ADAPTER, CARD, DATA_SET, TEXT, WANTED, reached, wanted


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
    with reached(source):
        if source.hub:
            _from_hub(source, folder)
        elif str(source.origin).startswith("s3://"):
            _from_s3(str(source.origin), folder)
        else:
            with limits.bounded(str(source.origin), limits.UNSAID):
                _from_web(str(source.origin), folder)
    if not any(folder.iterdir()):
        raise InputError(
            f"{source.origin} holds none of *.json, *.txt, *.model, *.safetensors, {', '.join(TEXT)}, *.parquet, "
            "*.arrow: check the origin in params.yaml"
        )


def newest(source: Source) -> str:
    """The newest commit of a repository's main branch, 40 digits. Raises InputError if it cannot be had."""
    where = repositories.repository(source)
    with reached(source):
        return str(HfApi().repo_info(where.name, repo_type=where.kind).sha)


def _from_hub(source: Source, folder: Path) -> None:
    """What is wanted of the repository, by the library's own copy of it, which is kept."""
    where = repositories.repository(source)
    start = f"{escape(where.folder)}/" if where.folder else ""
    sizes: list[int] = []
    # Offline these say which of the files that it once fetched are meant.
    patterns = [start + pattern for pattern in ((CARD, *DATA_SET) if where.tables else WANTED)]
    if not is_offline_mode():
        here = repositories.inside(repositories.listing(source), where)
        names = wanted(here, where)
        if not names:
            return
        patterns, sizes = [start + escape(name) for name in names], [here[name] for name in names]
    with limits.bounded(str(source.origin), sizes):
        snapshot = _snapshot(source, patterns, None if where.tables else f"{start}*/*") / where.folder
    files = (path for path in snapshot.rglob("*") if path.is_file())
    for name in wanted((path.relative_to(snapshot).as_posix() for path in files), where):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(snapshot / name, folder / name)


def _snapshot(source: Source, patterns: list[str], ignored: str | None) -> Path:
    """The library's copy of these files; where one is damaged, it is removed, and InputError says so."""
    where, revision = repositories.repository(source), source.revision
    snapshot = Path(
        snapshot_download(
            where.name, repo_type=where.kind, revision=revision, allow_patterns=patterns, ignore_patterns=ignored
        )
    )
    if not is_offline_mode():
        found = HfApi().verify_repo_checksums(where.name, repo_type=where.kind, revision=revision)
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


def _from_s3(origin: str, folder: Path) -> None:
    # Here and not at the top, because it takes a second.
    import s3fs

    files = s3fs.S3FileSystem(skip_instance_cache=True)
    found = {each["name"].rsplit("/", 1)[-1]: each for each in files.ls(origin, detail=True)}
    names = wanted(found)
    with limits.bounded(origin, [found[name]["size"] or 0 for name in names]):
        for name in names:
            files.get_file(found[name]["name"], folder / name)


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
