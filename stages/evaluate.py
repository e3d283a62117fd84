"""Score the summaries before and after PPO and those of its rivals, and test the change.

Reads  data/prepared/{train,test}.jsonl, data/summaries, data/rivals, the reward and the judge,
       facts.jsonl and words.txt in the source of the dialogues where they are; params: seed, prepare, reward, judge,
       ppo, rivals, evaluate.
Writes metrics/evaluate.json   every number: <slice>.<policy>.…, <slice>.change.…, <slice>.{dialogues,clusters}
       metrics/headline.json   the ten that `dvc metrics diff` shows
       metrics/quarrels.json   whether quarrels are still reported, and insults repeated
       metrics/claims.json     the headline claims, tested as a family, and the A/A check
       metrics/rivals.json     PPO beside LEAD-3, the base, a word filter, best-of-n, …
       metrics/tradeoff.csv    toxicity and quality by share of the way from before to after PPO, for `dvc plots`
       metrics/progress.csv    toxicity by both scorers at each snapshot of training, for `dvc plots`
       metrics/toxicity.csv    mean toxicity by slice, scorer and policy, for `dvc plots`
       data/scores.jsonl       the scores of each dialogue, for the report
       data/snapshots.jsonl    a few dialogues before, at each snapshot of training and after, for the report
"""

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stages import run_in_ranks

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pandas import DataFrame

    from detox.corpus.dialogues import Dialogue
    from detox.evaluation import metrics
    from detox.params import sections

PREPARED, SUMMARIES, RIVALS, METRICS = (
    Path("data/prepared"),
    Path("data/summaries"),
    Path("data/rivals"),
    Path("metrics"),
)


def main() -> None:
    from detox import parsing
    from detox.corpus import dialogues
    from detox.evaluation import claims, comparison, metrics, quarrels, rivals, snapshots
    from detox.params import reading, sections, training

    p, up_against, seed = reading.load(sections.Evaluate), reading.load(sections.Rivals), reading.seed()
    test, train = (dialogues.load(PREPARED / f"{part}.jsonl") for part in ("test", "train"))
    summaries = {name: comparison.read_summaries(SUMMARIES / f"{name}.jsonl", test) for name in comparison.POLICIES}
    written, insults = rivals.read(RIVALS), parsing.entries(Path(up_against.bad_words), "rivals.bad_words")
    stress = [str(row.get("id")) for row in parsing.read_jsonl(SUMMARIES / "stress.jsonl")]
    by, groups = instruments(test, train), [dialogue.group for dialogue in test]
    calm = comparison.calm(test, by.scorers["judge"], p.toxic_threshold)
    slices = comparison.slices_of(test, {dialogue.group for dialogue in train}, stress, calm)
    scores = {policy: metrics.score_rows(test, rows, by) for policy, rows in summaries.items()}
    result = {name: comparison.compare_slice(name, mask, groups, scores, p, seed) for name, mask in slices.items()}
    result |= another("provoked", provoked(test), by, p, seed)
    result |= another("held_out", held_out(train), by._replace(facts=None), p, seed)
    family = claims.family(result, groups, scores["sft"], scores["ppo"], p, seed)
    picking = rivals.Picking(up_against.best_of, reading.load(training.Ppo).score_clip)
    beside, a_a = rivals.compare(test, written, summaries, by, picking, (p.resamples, seed))
    trees = {
        "evaluate": result,
        "headline": comparison.headline(result),
        "quarrels": quarrels.compare(test, summaries, by.facts, insults, (p.resamples, seed)),
        "claims": {"family": family, "a_a": a_a},
        "rivals": beside,
    }
    tables = {
        "tradeoff": rivals.tradeoff(beside["systems"]),
        "progress": rivals.progress(beside["systems"]),
        "toxicity": comparison.toxicity_table(result),
    }
    rows = {
        "scores": comparison.score_rows(test, slices, scores),
        "snapshots": list(snapshots.along(written, summaries, by.scorers)),
    }
    publish(trees, tables, rows)


def provoked(test: "list[Dialogue]") -> "list[Dialogue]":
    """The calm test dialogues that were summarised with a rude turn, with it."""
    from detox import parsing
    from detox.corpus import provocations
    from detox.params import reading, sections

    turns = parsing.entries(Path(reading.load(sections.Summarize).provocations), "summarize.provocations")
    chosen = {str(row.get("id")) for row in parsing.read_jsonl(SUMMARIES / "provoked_sft.jsonl")}
    return provocations.provoked([dialogue for dialogue in test if dialogue.id in chosen], turns)


def held_out(train: "list[Dialogue]") -> "list[Dialogue]":
    """The training dialogues that were kept from PPO."""
    from detox import parsing

    chosen = {str(row.get("id")) for row in parsing.read_jsonl(SUMMARIES / "held_out_sft.jsonl")}
    return [dialogue for dialogue in train if dialogue.id in chosen]


def another(
    name: str, dialogues: "list[Dialogue]", by: "metrics.Instruments", p: "sections.Evaluate", seed: int
) -> "dict[str, dict[str, Any]]":
    """A slice of other dialogues than the test's; nothing where there are too few."""
    import numpy as np

    from detox.evaluation import comparison, metrics

    groups = [dialogue.group for dialogue in dialogues]
    if len(set(groups)) < 2:
        return {}
    rows = {
        policy: comparison.read_summaries(SUMMARIES / f"{name}_{policy}.jsonl", dialogues)
        for policy in comparison.POLICIES
    }
    scores = {policy: metrics.score_rows(dialogues, each, by) for policy, each in rows.items()}
    everything = np.ones(len(dialogues), dtype=bool)
    return {name: comparison.compare_slice(name, everything, groups, scores, p, seed)}


def instruments(test: "list[Dialogue]", train: "list[Dialogue]") -> "metrics.Instruments":
    """Both classifiers, the facts of the test dialogues and the words of the corpus; all ranks have the same."""
    from detox.evaluation import comparison, metrics, quality
    from detox.model.classifier import Classifier
    from detox.params import reading, sections
    from detox.runtime import devices, fingerprints, ranks
    from detox.sources import local

    settings = {name: reading.load(sections.Classifier, section=name) for name in comparison.SCORERS}
    device = devices.chosen()
    fingerprints.check_alike([reading.load(sections.Evaluate), *settings.values()], [PREPARED, SUMMARIES, RIVALS])
    classifiers = {name: Classifier(judge, device) for name, judge in settings.items()}
    scorers = {
        name: metrics.remembering(partial(ranks.shared_out, classifier.toxicity))
        for name, classifier in classifiers.items()
    }
    source = local.path(reading.load(sections.Prepare).source)
    known = quality.vocabulary([*train, *test]) | comparison.read_words(source / "words.txt")
    return metrics.Instruments(scorers, comparison.read_facts(source / "facts.jsonl", test), known)


def publish(
    trees: "dict[str, dict[str, Any]]", tables: "dict[str, DataFrame]", rows: "dict[str, Iterable[dict[str, Any]]]"
) -> None:
    """All that the stage writes."""
    from detox import files
    from detox.runtime import ranks

    if ranks.rank() == 0:
        for name, tree in trees.items():
            files.write_metrics(METRICS / f"{name}.json", tree)
        for name, table in tables.items():
            files.write_csv(METRICS / f"{name}.csv", table)
        for name, lines in rows.items():
            files.write_jsonl(Path(f"data/{name}.jsonl"), lines)


if __name__ == "__main__":
    run_in_ranks(main)
