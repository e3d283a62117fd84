"""Rank the training dialogues by what the reward finds in their turns: where there is nothing, PPO has little to learn.

Reads  data/prepared/train.jsonl, the reward; params: reward, rank.
Writes data/risk.jsonl (id, P(toxic) of the most toxic turn, whether it is kept from PPO for the evaluation; the
       riskiest first), metrics/risk.json.
"""

from pathlib import Path

from stages import run_in_ranks

TRAIN, RISK, METRICS = Path("data/prepared/train.jsonl"), Path("data/risk.jsonl"), Path("metrics/risk.json")


def main() -> None:
    from functools import partial

    from detox import files
    from detox.corpus import dialogues, risk
    from detox.model.classifier import Classifier
    from detox.params import reading, sections, training
    from detox.runtime import devices, fingerprints, ranks

    p, judged = reading.load(training.Rank), reading.load(sections.Classifier, section="reward")
    fingerprints.check_alike([p, judged], [TRAIN])
    chosen = dialogues.evenly(dialogues.load(TRAIN), p.dialogues)
    reward = Classifier(judged, devices.chosen())
    toxicity = risk.toxicity(chosen, partial(ranks.shared_out, reward.toxicity))
    if ranks.rank() == 0:
        rows = risk.ranked(chosen, toxicity, p.hold_out)
        held_out = sum(row["held_out"] is True for row in rows)
        risky = sum(each >= risk.RISKY for each in toxicity)
        files.write_jsonl(RISK, rows)
        files.write_metrics(METRICS, {"ranked": len(chosen), "risky": risky, "held_out": held_out})


if __name__ == "__main__":
    run_in_ranks(main)
