"""Time the toxicity scoring of texts, ours or evaluate's; prints a line of JSON."""

import argparse
import json
import resource
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks.evaluate_toxicity import Toxicity
from detox.model.classifier import Classifier
from detox.params import origins, reading, sections
from detox.runtime import allocator
from detox.sources import local

Scorer = Callable[[list[str]], list[float]]


def ours(classifier: Path) -> Scorer:
    """That of the pipeline, in batches as params.yaml has them."""
    allocator.keep_freed()
    p = reading.load(sections.Classifier, section="reward")
    source = origins.Source(path=str(classifier), sha256=local.digest(classifier))
    scorer = Classifier(sections.Classifier(source=source, toxic_label="hate", batch_size=p.batch_size))
    return lambda texts: scorer.toxicity(texts).tolist()


def theirs(classifier: Path) -> Scorer:
    """evaluate's."""
    measurement = Toxicity(classifier, Path(tempfile.gettempdir()))
    return lambda texts: measurement.compute(predictions=texts)["toxicity"]


def main() -> None:
    scorers = {"ours": ours, "evaluate": theirs}
    parser = argparse.ArgumentParser("python -m benchmarks.scoring", description=__doc__)
    parser.add_argument("scorer", choices=scorers)
    parser.add_argument("classifier", type=Path)
    parser.add_argument("texts", type=Path, help="a list of texts as JSON")
    arguments = parser.parse_args()
    texts = json.loads(arguments.texts.read_text(encoding="utf-8"))
    score = scorers[arguments.scorer](arguments.classifier)
    start = time.perf_counter()
    scores = score(texts)
    seconds = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(json.dumps({"seconds": seconds, "peak_gb": peak, "mean": sum(scores) / len(scores)}))


if __name__ == "__main__":
    main()
