"""What the outputs of a classifier mean, by its config.json alone: their names, and whether they exclude one another.

As in transformers, `id2label` names the outputs. Many classifiers of the hub state nothing else: their `label2id` is
missing, null, or still the library's LABEL_0, LABEL_1 and so on, and then says nothing.
"""

from pathlib import Path
from typing import NamedTuple

from transformers import PreTrainedConfig

from detox.errors import InputError

SOFTMAX, SIGMOID = "single_label_classification", "multi_label_classification"  # problem_type in a config.json
Named = set[tuple[str, str]]  # pairs of an output's number and its label


class Toxic(NamedTuple):
    """Which output of a classifier means toxic, and whether it is a probability of its own (sigmoid)."""

    output: int
    independent: bool


def toxic(config: PreTrainedConfig, label: str, folder: Path) -> Toxic:
    """The output that has this label; the configuration lies in the folder.

    Raises InputError if the outputs are not probabilities of labels, if the configuration contradicts itself, or if
    not exactly one output has the label.
    """
    kind = config.problem_type or SOFTMAX
    known = names(config, folder / "config.json")
    if kind not in (SOFTMAX, SIGMOID) or (kind == SOFTMAX and len(known) < 2):
        raise InputError(
            f"{folder} has the problem_type {config.problem_type} and {len(known)} label(s): "
            f"choose a classifier with {SOFTMAX} and two labels or more, or with {SIGMOID}"
        )
    if label not in known:
        listed = ", ".join(known)
        raise InputError(f"{folder} has no label {label!r}, it has {listed}: set toxic_label to one of these")
    if known.count(label) > 1:
        listed = ", ".join(known)
        raise InputError(f"{folder} has the label {label!r} twice, in {listed}: give each its own name in id2label")
    return Toxic(known.index(label), kind == SIGMOID)


def names(config: PreTrainedConfig, path: Path) -> list[str]:
    """The label of each output.

    Raises InputError if id2label leaves an output out, or if label2id states other names than id2label.
    """
    stated = {int(number): str(label) for number, label in (config.id2label or {}).items()}
    if set(stated) != set(range(len(stated))):
        numbers = ", ".join(map(str, sorted(stated)))
        raise InputError(f"{path}: id2label has the numbers {numbers}, not 0 to {len(stated) - 1}: correct it")
    forward = {(str(number), label) for number, label in stated.items()}
    backward = {(str(number), str(label)) for label, number in (config.label2id or {}).items()}
    if _says_something(forward) and _says_something(backward) and not _agree(forward, backward):
        raise InputError(f"{path}: id2label has {_listed(forward)}, but label2id has {_listed(backward)}: correct one")
    return [stated[number] for number in range(len(stated))]


def _says_something(named: Named) -> bool:
    """Whether these are names at all, and not what the library calls the outputs of a model that names none."""
    return any(label != f"LABEL_{number}" for number, label in named)


def _agree(forward: Named, backward: Named) -> bool:
    """label2id cannot repeat a label, so it may have fewer pairs, but no other ones, and no label less."""
    return backward <= forward and {label for _, label in backward} == {label for _, label in forward}


def _listed(named: Named) -> str:
    return ", ".join(f"{number} {label}" for number, label in sorted(named))
