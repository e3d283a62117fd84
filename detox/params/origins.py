"""Where a model, an adapter or a data set comes from, and what pins it: `source` in five sections of params.yaml."""

import os
import re
from pathlib import Path
from typing import Annotated, Self
from urllib.parse import urlsplit

from pydantic import StringConstraints, model_validator
from pydantic.dataclasses import dataclass

from detox.errors import InputError, secret
from detox.params import reading
from detox.params.kinds import STRICT, Text, require

Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
Revision = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{40}$")]  # a commit: branches and tags move

TRAIN, NEW = "train", "new"  # origins of an adapter that is made here: tuned, or fresh, which changes nothing yet
HUB = r"hf://(datasets/)?[\w.-]+/[\w.-]+(/[\w.-]+)*"
# What a plain address consists of, behind its host: no @, ?, #, nor what stands for one of them in an odd spelling.
SEGMENTS = r"(/[\w.,:=+~!$'()*-]*)*"
DOWNLOADS = "downloads"  # what the stage fetch_sources writes
SOURCES = ("model", "prepare", "adapter", "reward", "judge")  # the sections that have a source


@dataclass(frozen=True, config=STRICT)
class Source:
    """Where a model, an adapter or a data set lies in this project, where it comes from, and what pins it.

    `origin` is null for files of one's own, `hf://owner/name` or `hf://datasets/owner/name` for a repository of the
    Hugging Face hub, pinned by its `revision`; everything else is pinned by `sha256` (of one file, or of the manifest
    of a folder: detox.sources.local.digest). An adapter that is made here, with the dialogues at `path`, has no pin:
    `train` is one that is tuned on them, `new` a fresh one, whose policy is the base itself.
    """

    path: Text
    origin: Text | None = None
    revision: Revision | None = None
    sha256: Sha256 | None = None

    @model_validator(mode="after")
    def _check(self) -> Self:
        # Without a word of the origin in the message: params.yaml goes to git, and messages to logs.
        require(
            self.origin in (None, TRAIN, NEW) or self._known(),
            "origin must be null, hf://owner/name, hf://datasets/owner/name, s3://…, https://… or (for the adapter) "
            f"{TRAIN} or {NEW}",
        )
        require(
            not self.remote or plain(str(self.origin)),
            "origin holds a user, a password, a query or what no plain address has: give scheme, host and path alone, "
            "keys come from the environment",
        )
        require(
            not re.match(r"\w+:/", self.path),
            "path is an address: give it as the origin, and here where it is to lie",
        )
        require(
            Path(os.path.normpath(self.path)).parts[:1] != ("..",),
            f"path is {self.path!r}, which leads out of the project: put the files into it, or give an absolute path",
        )
        require(self.revision is None or self.hub, "revision is for an origin of hf:// alone: set it to null")
        require(self.sha256 is None or not self.hub, "sha256 is not for an origin of hf://: pin its revision instead")
        require(
            not self.remote or re.fullmatch(rf"{DOWNLOADS}/[\w-]+", self.path),
            f"path must be {DOWNLOADS}/ and a name: the stage fetch_sources puts it there",
        )
        return self

    def _known(self) -> bool:
        return re.match(f"({HUB}$)|(s3|https?)://.", self.origin or "") is not None

    @property
    def hub(self) -> bool:
        """Whether it comes from the Hugging Face hub."""
        return self.origin is not None and self.origin.startswith("hf://")

    @property
    def made_here(self) -> bool:
        """Whether it is an adapter that is made in this project."""
        return self.origin in (TRAIN, NEW)

    @property
    def remote(self) -> bool:
        """Whether it is downloaded."""
        return self.origin is not None and "://" in self.origin


def plain(url: str) -> bool:
    """Whether a url is scheme, host, perhaps a port, and path, and so holds no key: none but may be part of a path."""
    try:
        parts = urlsplit(url)
        host = parts.hostname if parts.port is None else f"{parts.hostname}:{parts.port}"
    except ValueError:  # what stands for the port is no number
        return False
    rebuilt = f"{parts.scheme}://{host}{parts.path}"
    stated = [segment.partition("=")[0] for segment in parts.path.split("/") if "=" in segment]
    known = re.fullmatch(r"[\w.-]+", parts.hostname or "") and re.fullmatch(SEGMENTS, parts.path)
    return known is not None and url.lower() == rebuilt.lower() and not any(map(secret, stated))


def sources(path: Path = reading.PARAMS) -> dict[str, Source]:
    """The source of every section that has one. Raises InputError for anything that Source does not allow."""
    found = {section: reading.parse(Source, path, f"{section}.source") for section in SOURCES}
    for section, source in found.items():
        if source.made_here and section != "adapter":
            name = source.origin
            raise InputError(f"{path}: {section}.source.origin is {name}, which only an adapter can be: correct it")
        if source.remote and any(other != source for other in found.values() if other.path == source.path):
            raise InputError(f"{path}: {section}.source.path is another source's too: give it a name of its own")
    return found
