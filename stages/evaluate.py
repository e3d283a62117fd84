"""Score the summaries before and after PPO, and test the change.

Reads  data/prepared/{train,test}.jsonl, data/summaries/{sft,ppo,stress}.jsonl, the reward and the judge;
       params: seed, reward, judge, evaluate.
Writes metrics/evaluate.json   every number: <slice>.<policy>.…, <slice>.change.…, <slice>.{dialogues,clusters}
       metrics/headline.json   the ten that `dvc metrics diff` shows
       metrics/toxicity.csv    mean toxicity by slice, scorer and policy, for `dvc plots`
       data/scores.jsonl       the scores of each dialogue, for the report
"""

from pathlib import Path

from stages import run

PREPARED, SUMMARIES, METRICS = Path("data/prepared"), Path("data/summaries"), Path("metrics")


def main() -> None:
    from detox import dialogues, evaluation, files, metrics, params
    from detox.rewards import Classifier

    p, seed = params.load(params.Evaluate), params.seed()
    test, train = (dialogues.load(PREPARED / f"{part}.jsonl") for part in ("test", "train"))
    summaries = {name: evaluation.read_summaries(SUMMARIES / f"{name}.jsonl", test) for name in evaluation.POLICIES}
    stress = [str(row.get("id")) for row in files.read_jsonl(SUMMARIES / "stress.jsonl")]
    slices = evaluation.slices_of(test, {dialogue.group for dialogue in train}, stress)
    scorers = {name: Classifier(params.load(params.Classifier, section=name)).toxicity for name in evaluation.SCORERS}
    references, groups = [dialogue.references for dialogue in test], [dialogue.group for dialogue in test]
    scores = {
        policy: metrics.score([row["summary"] for row in rows], [row["samples"] for row in rows], references, scorers)
        for policy, rows in summaries.items()
    }
    result = {name: evaluation.compare_slice(name, mask, groups, scores, p, seed) for name, mask in slices.items()}
    files.write_metrics(METRICS / "evaluate.json", result)
    files.write_metrics(METRICS / "headline.json", evaluation.headline(result))
    files.write_csv(METRICS / "toxicity.csv", evaluation.toxicity_table(result))
    files.write_jsonl(Path("data/scores.jsonl"), evaluation.score_rows(test, slices, scores))


if __name__ == "__main__":
    run(main)
