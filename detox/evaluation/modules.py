"""What is common to the metrics that the library `evaluate` knows as modules."""

import tempfile
from collections.abc import Sequence

import evaluate
from datasets import Features

from detox.errors import InputError


def info(description: str, features: dict[str, object]) -> evaluate.EvaluationModuleInfo:
    """What a module says of itself: what it computes, and the types of what it is given."""
    return evaluate.EvaluationModuleInfo(
        description=description, citation="", inputs_description="", features=Features(features)
    )


def computed(module: type[evaluate.EvaluationModule], **inputs: object) -> dict[str, list[float]]:
    """A module's results for these inputs."""
    # `evaluate` makes a cache folder even where it keeps everything in memory: give it one that vanishes.
    with tempfile.TemporaryDirectory() as folder:
        return module(cache_dir=folder, keep_in_memory=True).compute(**inputs)


def require_texts(texts: Sequence[str]) -> None:
    """Raises InputError if there are none."""
    if not texts:
        raise InputError("there are no summaries to score: give at least one")
