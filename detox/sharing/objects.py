"""The objects that dvc.lock names: a file by the MD5 of its content, a folder by that of the list of its files."""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from io import BufferedReader, BytesIO
from pathlib import Path
from typing import Any

from detox.errors import InputError

FOLDER = ".dir"


@dataclass(frozen=True)
class Object:
    """One object, where it belongs in the project, and the stage that makes it."""

    md5: str  # with FOLDER after it, where the object is the list of a folder's files
    path: str
    stage: str

    def __str__(self) -> str:
        return f"{self.path} (stage {self.stage})"

    @property
    def is_folder(self) -> bool:
        """Whether the object is the list of a folder's files."""
        return self.md5.endswith(FOLDER)

    def is_in(self, file: BufferedReader | BytesIO) -> bool:
        """Whether the open file has the object's content."""
        digest = hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False))
        return digest.hexdigest() == self.md5.removesuffix(FOLDER)

    def is_at(self, path: Path) -> bool:
        """Whether there is a file at `path`, with the object's content."""
        if not path.is_file():
            return False
        with path.open("rb") as file:
            return self.is_in(file)


def named(outs: Iterable[Any]) -> list[Object]:
    """The objects of DVC's outs, as dvc.lock has them; what no stage has made yet, and what git keeps, is left out.

    Raises InputError if there is none.
    """
    made = [out for out in outs if out.use_cache and out.hash_info]
    if not made:
        raise InputError("dvc.lock names no data: run the pipeline first (make repro)")
    return [Object(out.hash_info.value, "/".join(out.index_key[1]), _maker(out.stage)) for out in made]


def _maker(stage: Any) -> str:
    """The name of the stage; what `dvc add` has made has the name of its .dvc file."""
    return str(getattr(stage, "name", None) or stage.path_in_repo)


def files(folder: Object, content: bytes) -> list[Object]:
    """The files of a folder, by the content of its list."""
    return [Object(file["md5"], f"{folder.path}/{file['relpath']}", folder.stage) for file in json.loads(content)]
