"""Kinds of values, each with its limits; and how a section's own check says what is wrong."""

from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field, StringConstraints

STRICT = ConfigDict(extra="forbid", allow_inf_nan=False)

# Strict: true is not an integer and "3e-06" in quotes is not a number; an integer is a fine float.
Count = Annotated[int, Field(strict=True, ge=1)]
PromptTokens = Annotated[int, Field(strict=True, ge=16)]  # instruction and cue alone take about a dozen
Whole = Annotated[int, Field(strict=True, ge=0)]
Positive = Annotated[float, Field(strict=True, gt=0)]
NonNegative = Annotated[float, Field(strict=True, ge=0)]
Share = Annotated[float, Field(strict=True, ge=0, le=1)]
Fraction = Annotated[float, Field(strict=True, ge=0, lt=1)]
PositiveFraction = Annotated[float, Field(strict=True, gt=0, lt=1)]
Switch = Annotated[bool, Field(strict=True)]
Text = Annotated[str, StringConstraints(min_length=1)]
Names = Annotated[
    tuple[Text, ...], Field(min_length=1), BeforeValidator(lambda value: [value] if isinstance(value, str) else value)
]
DIALOGUE = "{dialogue}"  # in a prompt
PROMPT = f"Summarize the following conversation.\n\n{DIALOGUE}\n\nSummary:\n"


def require(condition: object, message: str) -> None:
    """Raises ValueError, which pydantic makes part of its own, unless the condition holds."""
    if not condition:
        raise ValueError(message)


def _prompt(value: str) -> str:
    require(value.count(DIALOGUE) == 1, f"must hold {DIALOGUE} once, where the dialogue goes")
    return value


Prompt = Annotated[Text, AfterValidator(_prompt)]
