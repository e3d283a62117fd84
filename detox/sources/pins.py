"""Pins: `python -m detox.sources.pins`, or `make pin`, writes those that params.yaml and the profiles lack.

A repository of the hub that has no revision gets the newest commit; what comes from S3 or the web and has no sha256 is
downloaded and hashed; files of one's own get the sha256 that they have now. A remote source's pin is never replaced.
"""

import sys
import tempfile
from collections.abc import MutableMapping
from pathlib import Path
from typing import Any

from detox.errors import InputError, complaint
from detox.params import origins, profiles
from detox.params.origins import Source
from detox.params.reading import PARAMS
from detox.sources import local

Pin = tuple[str, str]  # key and value


def pin() -> dict[str, Pin]:
    """Pins every source of params.yaml, there and in each profile that names the same origin or path; what was written.

    Raises InputError, having written nothing, if one of them cannot be pinned.
    """
    found = {section: pin_of(source) for section, source in origins.sources().items()}
    pins = {section: new for section, new in found.items() if new is not None}
    tree = profiles.read(PARAMS)
    for path in (*sorted(profiles.PROFILES.glob("*.yaml")), PARAMS):
        _write(path, tree, pins)
    return pins


def pin_of(source: Source) -> Pin | None:
    """The pin that the source should get; None if it has one already, or needs none. Raises InputError."""
    if source.made_here:
        return None
    if source.hub:
        return None if source.revision else ("revision", _newest(source))
    if source.remote:
        return None if source.sha256 else ("sha256", _digest_there(source))
    if not (path := Path(source.path)).exists():
        raise InputError(f"{path} does not exist: check the source's path in params.yaml")
    local.check_links(path)
    if (new := local.digest(path)) == source.sha256:
        return None
    local.check_line_ends(source.path, path, source)  # or the pin would fail for everybody else
    return "sha256", new


def _newest(source: Source) -> str:
    from detox.sources import downloads

    return downloads.newest(source)


def _digest_there(source: Source) -> str:
    from detox.sources import downloads

    with tempfile.TemporaryDirectory() as folder:
        downloads.raw(source, Path(folder) / "source")
        return local.digest(Path(folder) / "source")


def _write(path: Path, params_tree: MutableMapping[str, Any], pins: dict[str, Pin]) -> None:
    """Sets the pins of those sources in the file that are the same as in params.yaml."""
    tree, changed = profiles.read(path), False
    for section, (key, value) in pins.items():
        source = tree.get(section, {}).get("source", {})
        wanted = params_tree[section]["source"]
        if all(source.get(name) == wanted.get(name) for name in ("path", "origin")):
            source[key], changed = value, True
    if changed:
        profiles.write(path, tree)


def main() -> None:
    """The command line."""
    try:
        pins = pin()
    except InputError as error:
        sys.exit(complaint(error))
    for section, (key, value) in pins.items():
        print(f"{section}.source.{key}: {value}")
    if not pins:
        print("Every source is pinned already.")


if __name__ == "__main__":
    main()
