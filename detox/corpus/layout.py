"""Which files of a source hold which part, by the names that people and the hub's data sets use.

`train.csv`, `dialogsum.val.jsonl`, `data/test-00000-of-00002.parquet`, `train/data-00000-of-00001.arrow`: the part's
name is a word of the file's name, or of the nearest folder's. A README.md that lists configurations, as push_to_hub
writes it, decides instead. It can only choose among the files of the folder, so that nothing outside is ever opened.
"""

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

from detox.corpus import configurations, tables
from detox.errors import InputError, brief

# The words are those of the library datasets.
WORDS = {
    "train": ("train", "training"),
    "dev": ("validation", "valid", "val", "dev"),
    "test": ("test", "testing", "eval", "evaluation"),
}
# What lies beside tables: descriptions that datasets writes, and what the stage evaluate reads by its name.
NO_TABLES = {"dataset_info.json", "dataset_infos.json", "dataset_dict.json", "state.json", "config.json", "facts.jsonl"}


class Layout(NamedTuple):
    """The tables of a source: those of each part that it may have, in their order, and all of them."""

    source: Path
    parts: Mapping[str, list[Path]]
    all: list[Path]
    by_names: bool = True  # not by a README.md

    def files(self, part: str) -> list[Path]:
        """The tables of a part. Raises InputError if there are none, not all of its shards, or one too many."""
        remedy = "correct prepare.source.path or prepare.config"
        if part != "train":
            remedy += f", or set prepare.{part}_fraction to a number"
        if self.source.is_file() and part != "train":
            raise InputError(f"{self.source} is a single file without a {part} part: {remedy}")
        if not self.parts.get(part):
            raise InputError(
                f"{self.source} has no table named {' or '.join(WORDS[part])} "
                f"(there are {', '.join(self.names(self.all)) or 'no tables'}): {remedy}"
            )
        if self.by_names:
            _check_alike(self.source, part, self.parts[part])
        _check_shards(self.parts[part])
        return self.parts[part]

    def names(self, paths: Iterable[Path]) -> list[str]:
        """The paths below the source."""
        return [path.relative_to(self.source).as_posix() for path in paths]

    def unused(self, parts: Iterable[str]) -> list[str]:
        """The tables that none of these parts has."""
        used = {path for part in parts for path in self.parts.get(part, [])}
        return self.names(path for path in self.all if path not in used)


def find(source: Path, config: str | None) -> Layout:
    """The layout of a file or folder; `config` names a configuration of its README.md, or a folder in it.

    Raises InputError if there is no such source or configuration.
    """
    if source.is_file():
        return Layout(source, {"train": [source]}, [source])
    if not source.is_dir():
        raise InputError(f"{source} does not exist: correct prepare.source.path")
    found = [path for path in source.rglob("*") if _is_table(path, source)]
    every = sorted(found, key=lambda path: _natural(path.relative_to(source).as_posix()))
    chosen = configurations.chosen(source / configurations.CARD, config)
    if chosen is None:
        return Layout(source, _by_names(source, _in_folder(source, config, every)), every)
    inside = configurations.in_data_dir(chosen, source, every)
    if chosen.data_files is None:
        return Layout(source, _by_names(source, inside), every)
    splits = {split: configurations.tables_of(chosen, split, source, inside) for split in chosen.data_files}
    return Layout(source, _by_splits(source, splits), every, by_names=False)


def part_of(name: str) -> str | None:
    """The part that a name tells by one of its words; None if it tells none, or several."""
    words = set(re.findall(r"[^\W\d_]+", name.lower()))
    named = [part for part, ways in WORDS.items() if words.intersection(ways)]
    return named[0] if len(named) == 1 else None


def _is_table(path: Path, source: Path) -> bool:
    hidden = any(part.startswith((".", "__")) for part in path.relative_to(source).parts)
    return not hidden and path.name not in NO_TABLES and tables.kind(path) is not None and path.is_file()


def _natural(name: str) -> list[tuple[int, str]]:
    """A key by which shard 2 comes before shard 10."""
    return [(int(digits or 0), text) for digits, text in re.findall(r"(\d+)|(\D+)", name)]


def _in_folder(source: Path, folder: str | None, every: list[Path]) -> list[Path]:
    if folder is None:
        return every
    inside = [path for path in every if folder in path.relative_to(source).parts[:-1]]
    if not inside:
        raise InputError(
            f"{source} has neither a {configurations.CARD} with configurations nor tables in a folder "
            f"{brief(folder)}: correct prepare.config, or set it to null"
        )
    return inside


def _by_names(source: Path, every: list[Path]) -> dict[str, list[Path]]:
    """The tables by the part that their names tell, or else their nearest folder's; all are train if none tells."""
    parts: dict[str, list[Path]] = {}
    for path in every:
        names = reversed(path.relative_to(source).parts)
        if part := next(filter(None, map(part_of, names)), None):
            parts.setdefault(part, []).append(path)
    return parts or ({"train": every} if every else {})


def _by_splits(source: Path, splits: Mapping[str, list[Path]]) -> dict[str, list[Path]]:
    """The tables of the split that is named as a part is; without one, of the only split whose name tells the part."""
    parts = {}
    for part, words in WORDS.items():
        telling = [split for split in splits if part_of(split) == part]
        named = [split for split in telling if split.lower() in words] or telling
        if len(named) > 1:
            raise InputError(f"{source} has the splits {' and '.join(named)} for {part}: keep one of them")
        if named:
            parts[part] = splits[named[0]]
    return parts


def _check_alike(source: Path, part: str, paths: list[Path]) -> None:
    """Raises InputError unless these are shards: of one name but for numbers and hashes."""
    kinds = {re.sub(r"[0-9a-f]{8,}|\d+", "#", path.relative_to(source).as_posix()): path for path in paths}
    if len(kinds) > 1:
        names = " and ".join(path.relative_to(source).as_posix() for path in list(kinds.values())[:3])
        raise InputError(
            f"{source} has {names} for {part}: keep one of them, or name the folder of one in prepare.config"
        )


def _check_shards(paths: list[Path]) -> None:
    """Raises InputError if names of the kind `-00000-of-00002` say that files are missing."""
    for path in paths:
        if (of := re.search(r"-\d+-of-(\d+)", path.name)) and int(of[1]) != len(paths):
            raise InputError(f"{path} is one of {int(of[1])} shards, but {len(paths)} are there: get the others")
