"""params.yaml is read section by section, each into a strict, frozen dataclass.

An unknown, missing, mistyped or out-of-range key is an InputError that names file, section and key.
"""

import re
from collections.abc import Callable, MutableMapping
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError
from pydantic_core import ErrorDetails
from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.events import AliasEvent

from detox import parsing
from detox.errors import InputError, brief
from detox.params.kinds import Whole

PARAMS = Path("params.yaml")
LONGEST = 2**16  # characters

REMEDIES = {
    "missing": "is missing: add it",
    "unexpected_keyword_argument": "is not a known key: remove it or correct its spelling",
    "invalid_key": "is not a known key: remove it or correct its spelling",
    "dataclass_type": "must be a mapping of its own keys",
}
WANTED = {
    "float_type": "must be a valid number: write 3.0e-6, not 3e-06 or a text in quotes",
    "too_short": "must name one at least",
    "string_type": "must be a valid string: put it in quotes",
    "string_pattern_mismatch": "must be a whole pin in lower-case hexadecimal digits: run `make pin`",
}

Section = TypeVar("Section")


def load(cls: type[Section], path: Path = PARAMS, section: str | None = None) -> Section:
    """Section of the params file as `cls`; its name defaults to the class name in lower case.

    Raises InputError for anything that the class does not allow.
    """
    return parse(cls, path, section or cls.__name__.lower())


def seed(path: Path = PARAMS) -> int:
    """The seed that every random draw derives from. Raises InputError unless it is a whole number, 0 or more."""
    return parse(Whole, path, "seed")


def parse(kind: type[Section], path: Path, section: str) -> Section:
    """What stands in the file under the keys of `section`, joined by dots. Raises InputError."""
    tree: object = read(path, _once)
    for key in section.split("."):
        if not isinstance(tree, dict) or key not in tree:
            known = ", ".join(map(str, tree)) if isinstance(tree, dict) else "no keys"
            raise InputError(f"{path}: '{section}' is missing: add it (the file has {known})")
        tree = tree[key]
    try:
        return TypeAdapter(kind).validate_python(tree)
    except ValidationError as error:
        raise InputError("; ".join(_line(path, section, details) for details in error.errors())) from error


def values(text: str) -> Any:
    """What the text says, without its comments."""
    return YAML(typ="safe").load(text)


_once = lru_cache(maxsize=1)(values)  # a stage reads the same file section by section, and changes nothing


def read(path: Path, load: Callable[[str], Any] = values) -> MutableMapping[str, Any]:
    """The mapping in a YAML file. Raises InputError, with the line where it is known, if there is none."""
    parsing.check_inside(path)
    if path.exists() and not (path.is_file() or path.is_dir()):  # a pipe would be waited for
        raise InputError(f"{path} is no file: put the project's own there")
    try:
        text = path.read_text(encoding="utf-8")
        check_plain(text, path)
        tree = load(text)
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror}): run this in the project's root folder") from error
    except MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        problem = str(error.problem).partition(" with value ")[0]  # of a key that stands there twice
        raise InputError(f"{path}, line {line}: not valid YAML: {problem}") from error
    except (YAMLError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: not valid YAML: {' '.join(str(error).split())}") from error
    except (RecursionError, ValueError):
        raise InputError(f"{path}: nested too deeply, or a number of too many digits: correct it") from None
    if not isinstance(tree, MutableMapping):
        raise InputError(f"{path} must hold 'section: …' entries")
    return tree


def check_plain(text: str, path: Path) -> None:
    """Raises InputError for a text that is too long, or in which a name stands for a part: ten lines may be 10^10."""
    if len(text) > LONGEST:
        raise InputError(f"{path} has {len(text)} characters, more than the {LONGEST} that are read: shorten it")
    if re.search(r"(^|[\s\[{,:-])\*[^\s*]", text):
        for event in YAML(typ="safe", pure=True).parse(text):
            if isinstance(event, AliasEvent):
                line = event.start_mark.line + 1
                raise InputError(f"{path}, line {line}: *{event.anchor} stands for another part: write that out")


def _line(path: Path, section: str, error: ErrorDetails) -> str:
    key = ".".join([section, *map(str, error["loc"])])
    if error["type"] == "value_error":
        return f"{path}: {key}: {error['ctx']['error']}"
    if error["type"] in REMEDIES:
        return f"{path}: {key} {REMEDIES[error['type']]}"
    wanted = WANTED.get(error["type"]) or re.sub(r"(Input|String) should", "must", error["msg"])
    return f"{path}: {key} is {brief(error['input'], key)}, but {wanted}"
