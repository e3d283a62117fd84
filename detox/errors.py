"""The one exception that means: the input is wrong, not the program."""


class InputError(Exception):
    """Bad input; the message is one line: what is wrong, where (file, line, key) and what to do."""
