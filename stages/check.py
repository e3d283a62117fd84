"""Open once all that the stages behind this one will need, in seconds, before hours are spent on them.

Reads  every source: its pin, configuration, labels, tokenizer, names and shapes of weights, first rows; the test
       dialogues, the lists of summarize.provocations and rivals.bad_words; params: all sections but ppo, which
       train_ppo reads first.
Writes data/checked, which never changes; or a line on stderr for each thing that is wrong, all of them at once.
"""

from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stages import run

if TYPE_CHECKING:
    from detox.errors import InputError

CHECKED, TEST = Path("data/checked"), Path("data/prepared/test.jsonl")

Sections = dict[str, Any]


def main() -> None:
    from detox import files
    from detox.errors import InputErrors
    from detox.params import origins

    errors: list[InputError] = []
    p = read(errors)
    contents(p, origins.SOURCES, errors)
    device(p, errors)
    prepared(p, errors)
    if errors:
        raise InputErrors(errors)
    files.write_lines(CHECKED, ["All that the stages need was there and fitted.\n"])


def read(errors: "list[InputError]") -> Sections:
    """The sections of params.yaml that are right."""
    from detox.errors import noted
    from detox.params import origins, reading, sections, training

    kinds = dict.fromkeys(("reward", "judge"), sections.Classifier) | {
        kind.__name__.lower(): kind
        for kind in (
            sections.Compute,
            sections.Model,
            sections.Prepare,
            training.Adapter,
            sections.Summarize,
            sections.Rivals,
        )
    }
    found: Sections = {}
    for name, kind in {**kinds, "evaluate": sections.Evaluate}.items():
        with noted(errors):
            found[name] = reading.load(kind, section=name)
    with noted(errors):
        found["seed"] = reading.seed()
    with noted(errors):
        origins.sources()
    return found


def contents(p: Sections, there: Collection[str], errors: "list[InputError]") -> None:
    """Opens the sources of these sections, and what has none; the others are not there yet, but pinned."""
    from detox import parsing
    from detox.corpus import heads
    from detox.errors import noted
    from detox.model import classifier
    from detox.params import origins
    from detox.sources import local

    paths: dict[str, Path] = {}
    for section in (name for name in origins.SOURCES if name in p):
        source = p[section].source
        if section in there:
            paths[section] = Path(source.path)
        with noted(errors):
            local.path(source) if section in there else local.check_pinned(source)
    found = {section: path for section, path in paths.items() if path.exists()}
    models(p, found, errors)
    for section in (name for name in ("reward", "judge") if name in found):
        with noted(errors):
            classifier.check(found[section], p[section].toxic_label)
    if "prepare" in found:
        with noted(errors):
            heads.check(p["prepare"])
    for section, name in (("summarize", "provocations"), ("rivals", "bad_words")):
        if section in p:
            with noted(errors):
                parsing.entries(Path(getattr(p[section], name)), f"{section}.{name}")


def device(p: Sections, errors: "list[InputError]") -> None:
    """Whether it is there."""
    from detox.errors import noted
    from detox.runtime import devices

    if "compute" in p:
        with noted(errors):
            devices.kind()


def models(p: Sections, found: dict[str, Path], errors: "list[InputError]") -> None:
    """Opens the base, and only if that serves the adapter, which has to fit it."""
    from detox.errors import noted
    from detox.model import adapters, bases, fitting, prompts

    if "model" not in found:
        return
    with noted(errors):
        bases.check(found["model"])
        prompts.load(found["model"], p["model"])
        if "adapter" not in p:
            return
        if p["adapter"].source.made_here:
            fitting.check_fresh(p["adapter"].tuning, found["model"])
        elif "adapter" in found:
            adapters.check(found["adapter"], found["model"])


def prepared(p: Sections, errors: "list[InputError]") -> None:
    """What can only be known of the test dialogues that `prepare` has chosen."""
    from detox.corpus import dialogues, heads
    from detox.errors import noted
    from detox.evaluation import comparison

    with noted(errors):
        test = dialogues.load(TEST)
        heads.check_groups({dialogue.group for dialogue in test}, "the test part", heads.MORE)
        if "rivals" in p:
            chosen = dialogues.evenly(test, p["rivals"].dialogues)
            heads.check_groups({dialogue.group for dialogue in chosen}, "the part for rivals", "raise rivals.dialogues")
        if "prepare" in p:
            source = Path(p["prepare"].source.path)
            comparison.read_facts(source / "facts.jsonl", test)
            comparison.read_words(source / "words.txt")


if __name__ == "__main__":
    run(main)
