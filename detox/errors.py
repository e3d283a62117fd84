"""The one exception that means: the input is wrong, not the program; and how several of it become one."""

import reprlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

LONGEST = 2000  # characters of a message: the input that it quotes may have more

_BRIEF = reprlib.Repr()
_BRIEF.maxlevel = 2


class InputError(Exception):
    """Bad input; the message is one line: what is wrong, where (file, line, key) and what to do.

    What it quotes of the input cannot break that line, nor speak to the terminal: control characters are escaped.
    """

    def __str__(self) -> str:
        line = "".join(each if each.isprintable() else ascii(each)[1:-1] for each in super().__str__())
        return line if len(line) <= LONGEST else f"{line[: LONGEST // 2]} … {line[-LONGEST // 4 :]}"


class InputErrors(InputError):
    """Several things are wrong: a line each, none of them twice."""

    def __init__(self, errors: Sequence[InputError]):
        self.lines = list(dict.fromkeys(line for error in errors for line in lines(error)))

    def __str__(self) -> str:
        return "\n".join(self.lines)


def lines(error: InputError) -> list[str]:
    """What is wrong, a line each."""
    return error.lines if isinstance(error, InputErrors) else [str(error)]


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
