"""What a page or a card is about: models, data, profile, seed."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

TOY = "models/miniature/"
SECTIONS = {"model": "Base model", "prepare": "Dialogues", "reward": "Reward", "judge": "Judge"}
OWN = "settings of its own"
MACHINES = {"compute", "track"}  # sections that say how it is run, not what comes out

Tree = Mapping[str, Any]


def described(params: Tree, profile: str) -> dict[str, str]:
    """Each source's origin, or its path in the project; then profile and seed. params is params.yaml."""
    sources = {label: name_of(params[section]["source"]) for section, label in SECTIONS.items()}
    return {**sources, "Profile": profile, "Seed": f"{params['seed']}"}


def line(sized: str, about: Mapping[str, str]) -> str:
    """All of it in a line."""
    return f"{sized}; {', '.join(f'{label.lower()} {value}' for label, value in about.items())}"


def name_of(source: Tree) -> str:
    """owner/name on the hub, another address as it is, or a path in the project (of another one, its last part)."""
    origin = str(source.get("origin") or "")
    if "://" in origin:
        return origin.removeprefix("hf://").removeprefix("datasets/")
    return place_of(source)


def place_of(source: Tree) -> str:
    """Its path in the project; of another one, which may name somebody's folders, the last part."""
    path = str(source["path"])
    return path.rstrip("/").rpartition("/")[2] if path.startswith("/") else path


def base_of(params: Tree) -> tuple[str, str | None]:
    """The base model as transformers finds it: owner/name and commit on the hub, or its path and None."""
    source = params["model"]["source"]
    if str(source.get("origin") or "").startswith("hf://"):
        return name_of(source), source["revision"]
    return place_of(source), None


def toy(params: Tree) -> bool:
    """Whether the models are the miniature's."""
    return str(params["model"]["source"]["path"]).startswith(TOY)


def profile_of(params: Tree, profiles: Mapping[str, Tree]) -> str:
    """The profile whose values params.yaml has; with up to three others, which are named; else OWN.

    What MACHINES say is left out.
    """
    differing = {
        name: [
            key
            for key, value in _flat(tree).items()
            if key.partition(".")[0] not in MACHINES and _at(params, key) != value
        ]
        for name, tree in profiles.items()
    }
    if not differing:
        return OWN
    nearest = min(differing, key=lambda name: (len(differing[name]), name))
    changed = differing[nearest]
    if len(changed) > 3:
        return OWN
    return nearest + (f", but for {', '.join(changed)}" if changed else "")


def digest(params: Tree) -> str:
    """sha256 of what params.yaml says but for MACHINES, whatever its comments, its order and its line ends."""
    kept = {section: values for section, values in params.items() if section not in MACHINES}
    return hashlib.sha256(json.dumps(kept, sort_keys=True).encode()).hexdigest()


def _flat(tree: Tree, where: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in tree.items():
        flat |= _flat(value, f"{where}{key}.") if isinstance(value, Mapping) else {f"{where}{key}": value}
    return flat


def _at(tree: Any, key: str) -> Any:
    for part in key.split("."):
        tree = tree.get(part) if isinstance(tree, Mapping) else None
    return tree
