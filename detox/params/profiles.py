"""Profiles: complete settings, as overlays on params.yaml that leave its comments and its order alone.

`python -m detox.params.profiles NAME`, or `make profile P=NAME`, writes profiles/NAME.yaml into params.yaml.
"""

import argparse
import io
import sys
from collections.abc import Mapping, MutableMapping
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from detox import files
from detox.errors import InputError, complaint
from detox.params import reading
from detox.params.reading import PARAMS

PROFILES = Path("profiles")


def apply(name: str | None) -> None:
    """Writes the profile into params.yaml. Raises InputError for an unknown profile, or a key that is unknown there."""
    overlays = _paths()
    if name is None or name not in overlays:
        wrong = f"there is no profile {name!r}" if name else "no profile is named"
        raise InputError(f"{wrong}: choose one of {', '.join(overlays)}, as in `make profile P=miniature`")
    tree = read(PARAMS)
    merge(tree, read(overlays[name]), str(overlays[name]))
    write(PARAMS, tree)


def known() -> dict[str, Any]:
    """Every profile by its name."""
    return {name: read(path) for name, path in _paths().items()}


def _paths() -> dict[str, Path]:
    return {path.stem: path for path in sorted(PROFILES.glob("*.yaml"))}


def merge(tree: MutableMapping[str, Any], overlay: Mapping[str, Any], where: str) -> None:
    """Sets every value of the overlay in the tree. Raises InputError for a key that the tree lacks."""
    for key, value in overlay.items():
        if key not in tree:
            raise InputError(f"{where}: {key} is not a key of {PARAMS}: remove it or correct its spelling")
        if value is not None and any(
            isinstance(value, kind) != isinstance(tree[key], kind) for kind in (Mapping, list)
        ):
            raise InputError(f"{where}: {key} is not of the kind that it is in {PARAMS}: correct one of them")
        if isinstance(value, Mapping):
            merge(tree[key], value, f"{where}: {key}")
        elif isinstance(value, list):
            tree[key][:] = value  # in place, or the comment beside it would go
        else:
            tree[key] = value


def read(path: Path) -> Any:
    """A YAML file with its comments. Raises InputError if it is missing or no mapping in YAML."""
    return reading.read(path, YAML().load)


def write(path: Path, tree: Any) -> None:
    """The YAML file again, its comments kept; null is written out, since a blank reads like a mistake."""
    yaml = YAML()
    yaml.width = 4096
    yaml.representer.add_representer(type(None), lambda to, _: to.represent_scalar("tag:yaml.org,2002:null", "null"))
    text = io.StringIO()
    yaml.dump(tree, text)
    with files.atomic(path) as temporary:
        temporary.write_text(text.getvalue(), encoding="utf-8", newline="\n")


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser("python -m detox.params.profiles", description="Write a profile into params.yaml.")
    parser.add_argument("name", nargs="?", help="a file of profiles/ without .yaml")
    name = parser.parse_args().name
    try:
        apply(name)
    except InputError as error:
        sys.exit(complaint(error))
    print(
        f"{PARAMS} has the settings of profile {name}: `make check` says what a run takes, "
        "and docs/flan-t5.md the licences"
    )


if __name__ == "__main__":
    main()
