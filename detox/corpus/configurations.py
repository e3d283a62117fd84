"""The configurations that the README.md of a data set lists, as push_to_hub writes them: which tables are which split.

They choose among the tables of the folder, so that whatever they say, nothing outside is opened.
"""

import re
from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from detox.errors import InputError, brief
from detox.params import reading

CARD = "README.md"


class Configuration(NamedTuple):
    """One of them: the folder that it begins in (none: \"\") and the patterns of each split, if it has any."""

    data_dir: str
    data_files: Mapping[str, list[str]] | None


def chosen(card: Path, name: str | None) -> Configuration | None:
    """The configuration of this name, or the default one; None if there is no such file, or it lists none.

    Raises InputError for a file that is no data set's, for a name that it does not have, and if none is the default.
    """
    listed = _listed(card)
    if not listed:
        return None
    default = [key for key, value in listed.items() if len(listed) == 1 or key == "default" or value.get("default")]
    key = name if name is not None else next(iter(default), "")
    if key not in listed:
        raise InputError(f"{card} lists the configurations {', '.join(listed)}: name one of them in prepare.config")
    wanted = listed[key].get("data_files")
    return Configuration(_plain(str(listed[key].get("data_dir") or "")), None if wanted is None else _patterns(wanted))


def in_data_dir(config: Configuration, source: Path, tables: Sequence[Path]) -> list[Path]:
    """The tables below the configuration's folder."""
    start = f"{config.data_dir}/" if config.data_dir else ""
    return [path for path in tables if path.relative_to(source).as_posix().startswith(start)]


def tables_of(config: Configuration, split: str, source: Path, tables: Sequence[Path]) -> list[Path]:
    """The tables of a split, pattern by pattern. Raises InputError if a pattern means none of the folder's."""
    found: dict[Path, None] = {}
    for pattern in (config.data_files or {}).get(split, []):
        anchored = f"/{config.data_dir}/{_plain(pattern)}" if config.data_dir else f"/{_plain(pattern)}"
        matching = [path for path in tables if _matches(f"/{path.relative_to(source).as_posix()}", anchored)]
        if not matching:
            raise InputError(
                f"{source / CARD}: the data_files {brief(pattern)} are no tables of this folder: correct them, or "
                "remove that file"
            )
        found |= dict.fromkeys(matching)
    return list(found)


def _listed(card: Path) -> dict[str, dict[str, Any]]:
    if not card.is_file():
        return {}
    with card.open(encoding="utf-8-sig", errors="replace") as file:
        text = file.read(2 * reading.LONGEST)
    head = re.match(r"---[ \t]*\n(.*?\n)---[ \t]*(?:\n|$)", text, re.S)
    if head is None or not re.search("^configs:", head[1], re.M):
        return {}
    try:
        reading.check_plain(head[1], card)
        tree = YAML(typ="safe").load(head[1])
        return {str(each["config_name"]): dict(each) for each in tree["configs"] or []}
    except (YAMLError, AttributeError, KeyError, TypeError, ValueError, RecursionError):
        raise InputError(f"{card}: not the YAML of a data set's configurations: correct or remove the file") from None


def _patterns(wanted: Any) -> dict[str, list[str]]:
    """The patterns of each split; where no split is named, all is train."""
    listed = wanted if isinstance(wanted, list) else [wanted]
    if not all(isinstance(each, dict) for each in listed):
        return {"train": [str(each) for each in listed]}
    paths = {str(each.get("split")): each.get("path") for each in listed}
    return {
        split: [str(each) for each in (path if isinstance(path, list) else [path])] for split, path in paths.items()
    }


def _plain(path: str) -> str:
    return path.removeprefix("./").rstrip("/")


def _matches(name: str, pattern: str) -> bool:
    """As the hub matches: * and ? within a name, ** over folders."""
    if "**" in pattern:
        return fnmatchcase(name, pattern.replace("**/", "*"))
    return PurePosixPath(name).match(pattern)
