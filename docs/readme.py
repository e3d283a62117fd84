"""Write into the README what stands between <!-- results --> and <!-- /results -->, from metrics/, and between
<!-- cost --> and <!-- /cost -->, from benchmarks/full_size.json; below every `$ … detox …` what that command prints.
"""

import re
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks import cost
from detox import files, parsing
from detox.errors import InputError
from detox.reporting import tables

README, METRICS = Path("README.md"), Path("metrics")
ANSWERED = re.compile(r"^(\$ .*\bdetox .*\n)((?:(?!\$ |```).*\n)*)", re.M)
SERVED = "served"
MARKED = re.compile(r"(?<=<!-- results -->\n).*(?=<!-- /results -->)", re.S)
COST = re.compile(r"(?<=<!-- cost -->\n).*(?=<!-- /cost -->)", re.S)

RESULTS = """```
{headline}The report is metrics/report.html
```

All {claims} headline claims {hold} as a family (Holm, 5 %): toxicity falls, ROUGE-L
loses less than {rouge_margin} (p = {rouge:.4f}), and so does slot recall, the share of names, numbers
and of who was insulted that stay (margin {slots_margin}, p = {slots:.4f}). Samples of one policy against
themselves differ at 5 % in {judge} (judge) and {reward} (reward) of {splits} random halvings.

Against the best of {best_of} samples before PPO, picked by the reward, PPO is {than}
by the judge ({ppo:.3f} against {rival:.3f}, change [{low:+.3f}, {high:+.3f}], p = {p:.2f})
at a ROUGE-L of {ppo_rouge:.3f} against {rival_rouge:.3f}; it costs one summary, not {best_of}.
A word filter at decoding leaves {filter:.3f} of {sft:.3f} (all on {dialogues} dialogues).

That is one seed. Over {seeds} of them, on all test dialogues (`make seeds`; `metrics/seeds.svg` draws each):

{table}
"""
CHANGES = {"judge": "toxicity, judge", "reward": "toxicity, reward", "rougeL": "ROUGE-L", "slots": "slot recall"}


def results(metrics: Path) -> str:
    """The results section, every number from the metrics."""
    claims, rivals, seeds = (parsing.read_metrics(metrics / f"{name}.json") for name in ("claims", "rivals", "seeds"))
    family, duel, systems = claims["family"], rivals["duel"], rivals["systems"]
    held = [claim["holds"] for claim in family.values()]
    return RESULTS.format(
        headline=(metrics / "headline.md").read_text(encoding="utf-8"),
        claims=len(held),
        hold="hold" if all(held) else f"do not hold, only {sum(held)} of them,",
        rouge_margin=family["rougeL"]["margin"],
        rouge=family["rougeL"]["p_holm"],
        slots_margin=family["slots"]["margin"],
        slots=family["slots"]["p_holm"],
        **claims["a_a"]["rejections"],
        splits=claims["a_a"]["splits"],
        best_of=rivals["best_of"],
        than=tables.compared(duel["judge"]["low"], duel["judge"]["high"]),
        **{key: duel["judge"][key] for key in ("ppo", "rival", "low", "high")},
        p=duel["p"],
        ppo_rouge=duel["rougeL"]["ppo"],
        rival_rouge=duel["rougeL"]["rival"],
        filter=systems["filter"]["judge"],
        sft=systems["sft"]["judge"],
        dialogues=rivals["dialogues"],
        seeds=seeds["seeds"],
        table=over_seeds(seeds),
    )


def over_seeds(seeds: Mapping[str, Any]) -> str:
    """Mean, spread and worst of each change: relative of toxicity, absolute of the rest."""
    rows = ["| change | mean | sd | worst seed | worst end of the intervals |", "|---|---:|---:|---:|---:|"]
    for name, label in CHANGES.items():
        numbers = [seeds[name][key] for key in ("mean", "sd", "worst", "bound")]
        relative = name in ("judge", "reward")
        rows.append(f"| {label} | {' | '.join(f'{100 * x:.1f} %' if relative else f'{x:.4f}' for x in numbers)} |")
    return "\n".join(rows)


def answered(text: str, root: Path) -> str:
    """The text with what each command of `detox` prints, in the project's root, below it.

    Raises InputError if there is a folder already that one of them writes.
    """
    if (root / SERVED).exists():
        raise InputError(f"{root / SERVED} is what the README's `detox merge` writes: remove it")

    def run(command: str) -> str:
        done = subprocess.run(["bash", "-c", command], cwd=root, check=True, stdout=subprocess.PIPE, text=True)  # noqa: S607
        return done.stdout

    try:
        return ANSWERED.sub(lambda match: match[1] + run(match[1].removeprefix("$ ")), text)
    finally:
        shutil.rmtree(root / SERVED, ignore_errors=True)


def main() -> None:
    text = MARKED.sub(lambda _: results(METRICS), README.read_text(encoding="utf-8"))
    text = COST.sub(lambda _: cost.read(), text)
    text = answered(text, Path())
    with files.atomic(README) as path:
        path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
