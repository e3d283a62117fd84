"""The one exception that means: the input is wrong, not the program."""

import reprlib

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


def brief(value: object) -> str:
    """A value from the input as a message quotes it: its repr, shortened."""
    return _BRIEF.repr(value)
