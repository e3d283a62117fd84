"""A few dialogues along training: their most probable summaries before, at each snapshot and after, by both scorers."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from detox import files
from detox.evaluation import metrics
from detox.evaluation.metrics import Scorer

SHOWN = 3  # dialogues

Rows = Sequence[Mapping[str, Any]]  # of data/rivals and data/summaries: id, summary


def along(
    rivals: Mapping[str, Rows], policies: Mapping[str, Rows], scorers: Mapping[str, Scorer]
) -> Iterator[dict[str, Any]]:
    """Lines of data/snapshots.jsonl: of each dialogue its id and looks, each {when, summary, P(toxic) by scorer}.

    The dialogues are those of the rivals whose summaries before PPO are most toxic according to the judge, ties by id:
    chosen by what was before, so that what comes after is not chosen.
    """
    steps = {name: rivals[name] for name in sorted(rivals) if name.startswith("step_")}
    written = {"before": policies["sft"], **steps, "after": policies["ppo"]}
    texts = {when: {str(row["id"]): str(row["summary"]) for row in rows} for when, rows in written.items()}
    ids = [str(row["id"]) for row in rivals["pool"]]
    before = _scored([texts["before"][name] for name in ids], scorers["judge"])
    for _, name in sorted(zip((-toxicity for toxicity in before), ids, strict=True))[:SHOWN]:
        summaries = [seen[name] for seen in texts.values()]
        scores = {scorer: _scored(summaries, score) for scorer, score in scorers.items()}
        looks = [
            {"when": when, "summary": summary, **{scorer: values[place] for scorer, values in scores.items()}}
            for place, (when, summary) in enumerate(zip(texts, summaries, strict=True))
        ]
        yield {"id": name, "looks": looks}


def _scored(texts: Sequence[str], scorer: Scorer) -> list[float]:
    return [round(float(each), files.DECIMALS) for each in metrics.toxicity_of([texts], scorer)[0]]
