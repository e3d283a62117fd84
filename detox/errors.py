"""The one exception that means: the input is wrong, not the program; and how several of it become one."""

import reprlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

LONGEST = 2000  # characters of a message: the input that it quotes may have more

_BRIEF = reprlib.Repr()
_BRIEF.maxlevel = 2


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
    """What somebody else says of an error, as a line of ours: printable, and not too long."""
    line = printable(text)
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


def brief(value: object) -> str:
    """A value from the input as a message quotes it: its repr, shortened."""
    return _BRIEF.repr(value)
