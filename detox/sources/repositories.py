"""Repositories of the Hugging Face hub: what one holds at its pin, which of it is wanted, and what it lacks.

Nothing of them is downloaded here; the lists and sizes come from the hub's API.
"""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from fnmatch import fnmatch
from pathlib import Path
from typing import NamedTuple

import httpx2
from botocore.exceptions import BotoCoreError
from huggingface_hub import HfApi, is_offline_mode, try_to_load_from_cache
from huggingface_hub.constants import HF_HUB_CACHE
from huggingface_hub.errors import HfHubHTTPError
from huggingface_hub.hf_api import RepoFile

from detox.errors import InputError, InputErrors, noted
from detox.params.origins import Source
from detox.sources import local

TEXT = ("*.jsonl", "*.ndjson", "*.csv", "*.tsv")
PACKED = ("", ".gz", ".bz2", ".xz", ".zst", ".zip")
TABLES = (*(name + packed for name in TEXT for packed in PACKED), "*.parquet", "*.arrow")
WANTED = ["*.json", "*.txt", "*.model", "*.safetensors", *TABLES]
DATA_SET = ("*.json", "*.zip", *TABLES)  # of the hub's, in any folder
CARD = "README.md"  # may list them
ADAPTER = ("adapter_config.json", local.ADAPTER)
WEIGHTS = (local.MODEL, f"{local.MODEL}.index.json", "pytorch_model.bin")
MODEL_FILES = (("config.json",), WEIGHTS, tuple(local.VOCABULARIES))
# By section of params.yaml, the files without which a source is of no use: one of each of these groups. Which table is
# which part detox.corpus.layout says.
NEEDED: dict[str, tuple[tuple[str, ...], ...]] = {
    "model": MODEL_FILES,
    "reward": MODEL_FILES,
    "judge": MODEL_FILES,
    "adapter": (ADAPTER[:1], (local.ADAPTER, "adapter_model.bin")),
    "prepare": (DATA_SET,),
}
NAMED = 12  # files of a repository that a message names
Files = Mapping[str, int]  # size in bytes by name


class Repository(NamedTuple):
    """Where a source lies on the hub: owner/name, the hub's word for what it is, and a folder in it, or ""."""

    name: str
    kind: str
    folder: str

    @property
    def tables(self) -> bool:
        """Whether it is a data set, whose tables may lie in folders."""
        return self.kind == "dataset"


def repository(source: Source) -> Repository:
    """What the origin, hf://owner/name or hf://datasets/owner/name, perhaps with /folder behind it, says."""
    address = str(source.origin).removeprefix("hf://")
    owner, name, *folders = address.removeprefix("datasets/").split("/")
    return Repository(f"{owner}/{name}", "dataset" if address.startswith("datasets/") else "model", "/".join(folders))


def listing(source: Source) -> Files:
    """Every file of the repository at the source's pin, in all folders. Raises InputError if the hub does not say."""
    where = repository(source)
    with reached(source):
        tree = HfApi().list_repo_tree(where.name, repo_type=where.kind, revision=source.revision, recursive=True)
        found = {entry.path: entry.size for entry in tree if isinstance(entry, RepoFile)}
    if strange := [name for name in found if not name.isprintable()]:  # the library's bars would show it as it is
        raise InputError(f"{source.origin} has a file {strange[0]}, a name that a terminal cannot show: use another")
    return found


def inside(files: Files, where: Repository) -> Files:
    """What lies in this folder itself, by its name there; of a data set's, also what lies deeper."""
    start = f"{where.folder}/" if where.folder else ""
    below = {name.removeprefix(start): size for name, size in files.items() if name.startswith(start)}
    return {name: size for name, size in below.items() if where.tables or "/" not in name}


def wanted(names: Iterable[str], where: Repository | None = None) -> list[str]:
    """Of these files those that this project reads: what torch saved only where there are no safetensors."""
    if where and where.tables:
        return sorted(name for name in names if name == CARD or any(fnmatch(name, pattern) for pattern in DATA_SET))
    names = set(names)
    legacy = set() if any(name.endswith(".safetensors") for name in names) else names & set(local.LEGACY)
    return sorted(legacy | {name for name in names if any(fnmatch(name, pattern) for pattern in WANTED)})


def check(section: str, source: Source, files: Files) -> None:
    """Raises InputError, which names what there is, if the repository lacks what a source of this section needs."""
    where = repository(source)
    here = inside(files, where)
    if not (lacking := _lacking(section, here)):
        return
    absent = ", nor ".join("table" if group is DATA_SET else " or ".join(group) for group in lacking)
    key = f"{section}.source.origin"
    folders = sorted({name.rpartition("/")[0] for name in files} - {where.folder})
    fitting = [folder for folder in folders if not _lacking(section, inside(files, where._replace(folder=folder)))]
    if fitting:
        root = str(source.origin).removesuffix(f"/{where.folder}")
        remedy = f"set {key} to {root}/{fitting[0]}, where they are"
        if others := fitting[1:]:
            remedy += f", or to one of its folders {named(others)}"
    else:
        remedy = f"set {key} to a repository that has them"
    raise InputError(f"{source.origin} at {source.revision} has no {absent}; it has {named(files)}: {remedy}")


def _lacking(section: str, here: Files) -> list[tuple[str, ...]]:
    """The groups of needed files of which none is there."""
    return [group for group in NEEDED[section] if not any(fnmatch(name, each) for name in here for each in group)]


def named(names: Iterable[str]) -> str:
    """Names of files as a message lists them, not more than fit."""
    names = sorted(names)
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return ", ".join(names[:NAMED]) + more or "no files"


def check_all(remote: Mapping[str, Source]) -> dict[str, Files]:
    """What is wanted of each of these repositories, by section of params.yaml. Offline nothing is asked.

    Raises InputErrors for all that are unknown or lack something; where the hub does not answer, for the first.
    """
    errors: list[InputError] = []
    found: dict[str, Files] = {}
    for section, source in remote.items():
        if source.hub and not is_offline_mode():
            with noted(errors):
                check(section, source, files := listing(source))
                here = inside(files, where := repository(source))
                found[section] = {name: here[name] for name in wanted(here, where)}
            if errors and isinstance(errors[-1].__cause__, httpx2.TransportError):
                break  # no other would be answered, and the library tries each for half a minute
    if errors:
        raise InputErrors(errors)
    return found


def needs(remote: Mapping[str, Source], found: Mapping[str, Files], downloads: Path) -> list[tuple[Path, int]]:
    """Folders, and the bytes that come into each of what `check_all` found: the library's own cache, `downloads`."""
    return [
        (Path(HF_HUB_CACHE), sum(to_come(remote[section], files) for section, files in found.items())),
        (downloads, sum(sum(files.values()) for files in found.values())),
    ]


def to_come(source: Source, files: Files) -> int:
    """Bytes of those of the repository's files that are not in the library's own cache."""
    where = repository(source)
    how = {"revision": source.revision, "repo_type": where.kind}
    names = {name: f"{where.folder}/{name}".lstrip("/") for name in files}
    return sum(
        size
        for name, size in files.items()
        if not isinstance(try_to_load_from_cache(where.name, names[name], **how), str)
    )


@contextmanager
def reached(source: Source) -> Iterator[None]:
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
