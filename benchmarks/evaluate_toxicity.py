"""evaluate's measurement `toxicity`: a text-classification pipeline called with one text at a time.

The package evaluate holds only the loader; its measurements lie on a hub. This is what that one computes, in the same
way (github.com/huggingface/evaluate, measurements/toxicity/toxicity.py).
"""

from pathlib import Path
from typing import Any

import datasets
import evaluate
from transformers import pipeline


class Toxicity(evaluate.Measurement):
    """p(hate) of each text."""

    def __init__(self, classifier: Path, cache: Path):
        super().__init__(cache_dir=str(cache), keep_in_memory=True)
        self.classifier: Any = pipeline("text-classification", model=str(classifier), top_k=2, truncation=True)

    def _info(self) -> evaluate.MeasurementInfo:
        features = datasets.Features({"predictions": datasets.Value("string")})
        return evaluate.MeasurementInfo(description="", citation="", inputs_description="", features=features)

    def _compute(self, predictions: list[str]) -> dict[str, Any]:
        return {"toxicity": [self._score(text) for text in predictions]}

    def _score(self, text: str) -> float:
        (labels,) = self.classifier(text)
        (score,) = (label["score"] for label in labels if label["label"] == "hate")
        return float(score)
