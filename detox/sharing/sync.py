"""Between DVC's cache here and its remote there: what each of them has of the objects that dvc.lock names."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from detox.sharing import objects
from detox.sharing.objects import Object
from detox.sharing.storage import Storage


class Exchange:
    """The cache of a DVC repository, and its remote. Methods raise InputError where the remote does not do its part."""

    def __init__(self, repo: Any, storage: Storage) -> None:
        self.cache, self.storage = repo.cache.local, storage
        self.top = objects.named(repo.index.outs)

    def everything(self) -> list[Object]:
        """What dvc.lock names, and the files of every folder whose list is here or there."""
        found = list(self.top)
        for folder in [each for each in self.top if each.is_folder]:
            content = self._path(folder).read_bytes() if self.has(folder) else self.storage.read(folder)
            found += objects.files(folder, content) if content is not None else []
        return found

    def has(self, each: Object) -> bool:
        """Whether the cache has the object undamaged."""
        return each.is_at(self._path(each))

    def absent(self, wanted: Sequence[Object]) -> list[Object]:
        """Those that the remote lacks or has damaged."""
        infos = self.storage.infos(wanted)
        return [each for each in wanted if not self.storage.has(each, infos.get(each.md5), self._size(each))]

    def send(self, wanted: Sequence[Object]) -> None:
        """Uploads objects that the cache has."""
        self.storage.upload({each.md5: self._path(each).stat().st_size for each in wanted}, self.cache)

    def fetch(self, wanted: Sequence[Object]) -> dict[Object, str]:
        """Downloads what the cache lacks or has damaged; what is wrong with those that have not come."""
        here = {each for each in wanted if self.has(each)}
        away = [each for each in wanted if each not in here]
        infos = self.storage.infos(away)
        for each in away:
            if each.md5 in infos:
                self._path(each).unlink(missing_ok=True)
        self.storage.download({md5: info["size"] for md5, info in infos.items()}, self.cache)
        missing = {each: "missing" for each in away if each.md5 not in infos}
        return missing | {each: "damaged" for each in away if each.md5 in infos and not self._path(each).is_file()}

    def _path(self, each: Object) -> Path:
        return Path(self.cache.oid_to_path(each.md5))

    def _size(self, each: Object) -> int | None:
        path = self._path(each)
        return path.stat().st_size if path.is_file() else None
