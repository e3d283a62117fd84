"""Score the summaries before and after PPO and those of its rivals, and test the change.

Reads  data/prepared/{train,test}.jsonl, data/summaries/{sft,ppo,stress}.jsonl, data/rivals, the reward and the judge,
       facts.jsonl in the source of the dialogues where there is one; params: seed, prepare, reward, judge, evaluate.
Writes metrics/evaluate.json   every number: <slice>.<policy>.…, <slice>.change.…, <slice>.{dialogues,clusters}
       metrics/headline.json   the ten that `dvc metrics diff` shows
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

from stages import run_in_ranks

PREPARED, SUMMARIES, RIVALS, METRICS = (
    Path("data/prepared"),
    Path("data/summaries"),
    Path("data/rivals"),
    Path("metrics"),
)


def main() -> None:
    from detox import files, parsing
    from detox.corpus import dialogues
    from detox.evaluation import claims, comparison, metrics, rivals, snapshots
    from detox.model.classifier import Classifier
    from detox.params import reading, sections
    from detox.runtime import devices, fingerprints, ranks
    from detox.sources import local

    p, seed, device = reading.load(sections.Evaluate), reading.seed(), devices.chosen()
    test, train = (dialogues.load(PREPARED / f"{part}.jsonl") for part in ("test", "train"))
    facts = comparison.read_facts(local.path(reading.load(sections.Prepare).source) / "facts.jsonl", test)
    summaries = {name: comparison.read_summaries(SUMMARIES / f"{name}.jsonl", test) for name in comparison.POLICIES}
    written = rivals.read(RIVALS)
    stress = [str(row.get("id")) for row in parsing.read_jsonl(SUMMARIES / "stress.jsonl")]
    judges = {name: reading.load(sections.Classifier, section=name) for name in comparison.SCORERS}
    fingerprints.check_alike([p, seed, *judges.values()], [PREPARED, SUMMARIES, RIVALS])
    classifiers = {name: Classifier(judge, device) for name, judge in judges.items()}
    scorers = {name: partial(ranks.shared_out, classifier.toxicity) for name, classifier in classifiers.items()}
    by = metrics.Instruments(scorers, facts, metrics.vocabulary([*train, *test]))
    calm = comparison.civil(test, scorers["judge"], p.toxic_threshold)
    slices = comparison.slices_of(test, {dialogue.group for dialogue in train}, stress, calm)
    groups = [dialogue.group for dialogue in test]
    scores = {
        policy: metrics.score(test, [row["summary"] for row in rows], [row["samples"] for row in rows], by)
        for policy, rows in summaries.items()
    }
    result = {name: comparison.compare_slice(name, mask, groups, scores, p, seed) for name, mask in slices.items()}
    family = claims.family(result, groups, scores["sft"], scores["ppo"], p, seed)
    beside, a_a = rivals.compare(test, written, summaries, by, p, seed)
    along = list(snapshots.along(written, summaries, by.scorers))
    if ranks.rank() == 0:
        files.write_metrics(METRICS / "evaluate.json", result)
        files.write_metrics(METRICS / "headline.json", comparison.headline(result))
        files.write_metrics(METRICS / "claims.json", {"family": family, "a_a": a_a})
        files.write_metrics(METRICS / "rivals.json", beside)
        files.write_csv(METRICS / "tradeoff.csv", rivals.tradeoff(beside["systems"]))
        files.write_csv(METRICS / "progress.csv", rivals.progress(beside["systems"]))
        files.write_csv(METRICS / "toxicity.csv", comparison.toxicity_table(result))
        files.write_jsonl(Path("data/scores.jsonl"), comparison.score_rows(test, slices, scores))
        files.write_jsonl(Path("data/snapshots.jsonl"), along)


if __name__ == "__main__":
    run_in_ranks(main)
