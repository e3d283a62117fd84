"""The one exception that means: the input is wrong, not the program; and how several of it become one."""

import re
import reprlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

LONGEST = 2000  # characters of a message: the input that it quotes may have more

# Keys of a configuration whose values may be secret; pad_token and its like are tokens of a text.
SECRET = re.compile(
    r"(.*[_.-])?(origin|ur[il]s?|secrets?|passw(or)?d|passphrase|credentials?|signature|(api|access|private|auth)?keys?"
    r"|(?<!bos_|cls_|eos_|pad_|sep_|unk_)(?<!mask_)token)",
    re.IGNORECASE,
)
HIDDEN = "<not shown>"
URL = re.compile(r"(\w:/+)\S*@")  # what stands before an @ may have a / in it
QUERY = re.compile(r"(\w:/+[^\s?#]*)[?#][^\s'\"]*")  # of a signed address


class _Brief(reprlib.Repr):
    """Short, and without secrets."""

    def __init__(self) -> None:
        super().__init__()
        self.maxlevel = 2

    def repr_dict(self, x: dict[Any, Any], level: int) -> str:
        return super().repr_dict({key: HIDDEN if secret(key) else value for key, value in x.items()}, level)

    def repr_str(self, x: str, level: int) -> str:
        return super().repr_str(without_keys(x), level)


_BRIEF = _Brief()


class InputError(Exception):
    """Bad input; the message is one line: what is wrong, where (file, line, key) and what to do.

    What it quotes of the input cannot break that line, nor speak to the terminal.
    """

    def __str__(self) -> str:
        return one_line(super().__str__())


class InputErrors(InputError):
    """Several things are wrong: a line each, none of them twice."""

    def __init__(self, errors: Sequence[InputError]):
        self.lines = list(dict.fromkeys(line for error in errors for line in lines(error)))

    def __str__(self) -> str:
        return "\n".join(self.lines)


def one_line(text: str) -> str:
    """What somebody else says of an error, as a line of ours: printable, without secrets in urls, not too long."""
    line = printable(without_keys(text))
    return line if len(line) <= LONGEST else f"{line[: LONGEST // 2]} … {line[-LONGEST // 4 :]}"


def printable(text: str, also: str = "") -> str:
    """The text as a terminal may have it: what would break the line, steer the terminal, turn the direction of the
    writing or not be seen is escaped as Python writes it, but for the characters in `also`.
    """
    if text.isprintable():
        return text
    return "".join(each if each.isprintable() or each in also else ascii(each)[1:-1] for each in text)


def lines(error: InputError) -> list[str]:
    """What is wrong, a line each."""
    return error.lines if isinstance(error, InputErrors) else [str(error)]


def complaint(error: Exception) -> str:
    """What a command says on stderr before it ends with exit code 1: a line for each thing that is wrong."""
    said = lines(error) if isinstance(error, InputError) else [one_line(" ".join(str(error).split()))]
    return "\n".join(f"error: {line}" for line in said)


@contextmanager
def noted(errors: list[InputError]) -> Iterator[None]:
    """What is wrong within the block ends it and is added to `errors`: what comes after it is looked at, too."""
    try:
        yield
    except InputError as error:
        errors.append(error)


def brief(value: object, key: object = "") -> str:
    """A value from the input as a message quotes it: its repr, shortened; not that of a key that may hold a secret."""
    return HIDDEN if secret(key) else _BRIEF.repr(value)


def secret(key: object) -> bool:
    """Whether what stands under such a key may be a secret."""
    return isinstance(key, str) and SECRET.fullmatch(key) is not None


def without_keys(text: str) -> str:
    """The text without the user, password, query and fragment of every url in it."""
    return QUERY.sub(r"\1", URL.sub(r"\1", text)) if ":/" in text else text
