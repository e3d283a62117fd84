"""What the command says on stderr beside its answers: whose models they are, and which texts they do not know."""

import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

from detox.params import profiles, reading
from detox.reporting import provenance
from detox.serving.printing import Row, line

if TYPE_CHECKING:
    from detox.serving.inputs import Text


def toy(*sections: str) -> None:
    """A note where one of the models of these sections of params.yaml is the miniature's."""
    params = profiles.read(reading.PARAMS)
    if any(str(params[section]["source"]["path"]).startswith(provenance.TOY) for section in sections):
        print("note: the miniature's toy models, which know its own corpus and no other text", file=sys.stderr)


def beside(answers: "Iterator[tuple[Text, Row]]") -> "Iterator[tuple[Text, Row]]":
    """The answers, with a warning before what is far from the training dialogues, or longer than the model reads.

    "unfamiliar" says in the answer whether it is far; null where the training dialogues are not there.
    """
    from detox.serving import familiarity

    known: familiarity.Familiarity | None = None
    for text, answer in answers:
        answer["unfamiliar"] = None
        if familiarity.TRAIN.is_file():  # a clone may have the models alone
            known = known or familiarity.load()
            answer["unfamiliar"] = (warning := known.warning(text.text)) is not None
            if warning:
                print(f"warning: {line(text.where)}: {warning}", file=sys.stderr)
        if answer["truncated"]:
            where = line(text.where)
            print(f"warning: {where}: longer than the model reads: the end was left out", file=sys.stderr)
        yield text, answer
