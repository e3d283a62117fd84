"""Rank the training dialogues by what the reward finds in their turns: where there is nothing, PPO has little to learn.

Reads  data/prepared/{train,test}.jsonl, the reward; params: reward, rank.
Writes data/risk.jsonl (id, P(toxic) of the most toxic turn, whether it is kept from PPO for the evaluation; the
       riskiest first), metrics/risk.json; says what change the test dialogues could show at all.
"""

from pathlib import Path

from stages import run_in_ranks

TRAIN, TEST = Path("data/prepared/train.jsonl"), Path("data/prepared/test.jsonl")
RISK, METRICS = Path("data/risk.jsonl"), Path("metrics/risk.json")


def main() -> None:
    from functools import partial

    from detox import files
    from detox.corpus import dialogues, risk
    from detox.evaluation import statistics
    from detox.model.classifier import Classifier
    from detox.params import reading, sections, training
    from detox.runtime import devices, fingerprints, ranks

    p, judged = reading.load(training.Rank), reading.load(sections.Classifier, section="reward")
    fingerprints.check_alike([p, judged], [TRAIN, TEST])
    chosen, test = dialogues.evenly(dialogues.load(TRAIN), p.dialogues), dialogues.load(TEST)
    scorer = partial(ranks.shared_out, Classifier(judged, devices.chosen()).toxicity)
    toxicity, shown = risk.toxicity(chosen, scorer), risk.risky(risk.toxicity(test, scorer))
    if ranks.rank() == 0:
        rows = risk.ranked(chosen, toxicity, p.hold_out)
        held_out = sum(row["held_out"] is True for row in rows)
        ranked = {"ranked": len(chosen), "risky": risk.risky(toxicity), "held_out": held_out}
        files.write_jsonl(RISK, rows)
        files.write_metrics(METRICS, {**ranked, "test": len(test), "test_risky": shown})
        print(statistics.foreseen(shown, len(test)))


if __name__ == "__main__":
    run_in_ranks(main)
