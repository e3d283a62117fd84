"""Write into README.md and docs/*.md what a command can write: `make readme`.

Between <!-- NAME --> and <!-- /NAME --> stands what PARTS makes, from metrics/ and benchmarks/; below every
`$ … detox …` what that command prints.
"""

import re
import shutil
import subprocess
import textwrap
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks import cost
from benchmarks.tables import markdown
from detox import files, parsing
from detox.errors import InputError
from detox.reporting import tables, verdicts

METRICS = Path("metrics")
ANSWERED = re.compile(r"^(\$ .*\bdetox .*\n)((?:(?!\$ |```).*\n)*)", re.M)
SERVED = "served"
MARKED = re.compile(r"^(<!-- (?P<name>\w+) -->\n)(.*?)(?=^<!-- /(?P=name) -->)", re.S | re.M)
WIDTH = 110  # of a sentence's lines
CHANGES = {
    "judge": "toxicity by the judge",
    "reward": "toxicity by the reward",
    "rougeL": "ROUGE-L",
    "slots": "slot recall",
    "calm_slots": "slot recall, calm dialogues",
}

Tree = Mapping[str, Any]


def pages() -> list[Path]:
    """What is written."""
    return [Path("README.md"), *sorted(Path("docs").glob("*.md"))]


def result() -> str:
    """What `make repro` prints at its end, its picture, and what else is to be known of it."""
    claims, rivals = _metrics("claims"), _metrics("rivals")
    said = [verdicts.claims(claims["family"]), verdicts.alternative(rivals), *_filter(rivals), *_unseen()]
    return (
        f"```text\n{(METRICS / 'headline.md').read_text(encoding='utf-8')}The report is metrics/report.html\n```\n\n"
        f"![Toxicity before and after PPO, the change of quality, and what else one could do](RESULT)\n\n"
        + "".join(_bullet(sentence) for sentence in said)
    )


def _filter(rivals: Tree) -> list[str]:
    systems = rivals["systems"]
    if "filter" not in systems:
        return []
    before, left, ppo = (systems[name]["judge"] for name in ("sft", "filter", "ppo"))
    beside = f"PPO to {ppo:.3f}" if left > ppo else "no higher than PPO"
    return [
        f"Forbidding bad words while generating brings mean toxicity from {before:.3f} to {left:.3f} "
        f"(judge, {rivals['dialogues']} test dialogues), {beside}."
    ]


def _unseen() -> list[str]:
    evaluation = _metrics("evaluate")
    if not {"seen", "unseen"} <= set(evaluation):
        return []
    seen, unseen = (evaluation[name]["ppo"]["rougeL"] for name in ("seen", "unseen"))
    change = verdicts.interval(evaluation["unseen"]["change"]["rougeL"])
    return [
        f"On scenarios that training has seen, ROUGE-L is {seen:.2f}; on others it is {unseen:.2f}. There PPO "
        f"changes it by {change}."
    ]


def over_seeds(name: str) -> str:
    """Mean, spread and worst of each change over the seeds: relative of toxicity, absolute of the rest."""
    seeds = _metrics(name)
    rows = []
    for kind, of in (("samples", "samples"), ("greedy", "most probable")):
        for measure, label in CHANGES.items():
            if not (found := seeds[kind].get(measure)):
                continue
            relative, keys = measure in ("judge", "reward"), ("mean", "low", "high", "sd", "worst")
            mean, low, high, *rest = (_change(found[key], relative) for key in keys)
            rows.append([f"{label}, {of}", mean, f"[{low}, {high}]", *rest])
    head = ["change by PPO", "mean", "95 % interval", "sd", "worst seed"]
    return f"{markdown(head, rows)}\n"


def trust() -> str:
    """What the seeds have shown of toxicity and of quality on the sealed test part, all together."""
    seeds, said = _metrics("sealed"), []
    for kind, of in (("samples", "samples"), ("greedy", "most probable summaries")):
        found = seeds[kind]
        said.append(
            f"toxicity of {of} falls by {-100 * found['judge']['mean']:.1f} % (worst seed "
            f"{-100 * found['judge']['worst']:.1f} %), their slot recall changes by {_interval(found['slots'])}, their "
            f"ROUGE-L by {_interval(found['rougeL'])}"
        )
    return _bullet(
        "**Other seeds, other dialogues?** The table above is one seed, on test dialogues looked at before. "
        f"Of {seeds['seeds']} seeds, on others that were rendered anew and opened once: {'; '.join(said)}."
    )


def checked() -> str:
    """The claims and the check of the tests themselves."""
    claims = _metrics("claims")
    rows = [
        [
            f"`{name}`",
            f"{claim['margin']:g}" if "margin" in claim else "",
            *([f"{claim['p']:.4f}", f"{claim['p_holm']:.4f}"] if "p" in claim else ["not measured", ""]),
            "yes" if claim["holds"] else "no",
        ]
        for name, claim in claims["family"].items()
    ]
    a_a = claims["a_a"]
    by_chance = round(verdicts.LEVEL * a_a["splits"])
    found = (
        f"Check of the test itself: the samples of one and the same model were split at random into halves "
        f"{a_a['splits']} times. The test found a difference {a_a['rejections']['judge']} (judge) and "
        f"{a_a['rejections']['reward']} (reward) times; about {by_chance} are expected by chance."
    )
    return f"{markdown(['claim', 'margin', 'p', 'p, corrected', 'holds'], rows)}\n\n{_filled(found)}\n"


def systems() -> str:
    """PPO beside what else one could do."""
    rivals = _metrics("rivals")
    frame = tables.systems(rivals["systems"])
    table = markdown(list(frame.columns), frame.to_numpy().tolist())
    duels = tables.duels(rivals)
    beside = markdown(list(duels.columns), duels.to_numpy().tolist())
    said = _filled(f"On {verdicts.sized(rivals)}, evenly spaced. {verdicts.alternative(rivals)}")
    return f"{table}\n\n{said}\n\n{beside}\n"


def slices() -> str:
    """Toxicity and quality of each slice."""
    evaluation = _metrics("evaluate")
    rows = []
    for name, part in evaluation.items():
        change = part["change"]
        judged = change["judge"]
        toxic = [f"{part[policy]['judge']['mean']:.3f}" for policy in ("sft", "ppo")]
        moved = _change(judged.get("relative", judged["absolute"]), "relative" in judged)
        quality = [verdicts.interval(change[key]) if key in change else "" for key in ("rougeL", "slots")]
        rows.append([f"`{name}`", f"{part['dialogues']:,}", *toxic, moved, *quality])
    head = ["slice", "dialogues", "toxicity before", "after", "change", "ROUGE-L, change", "slot recall, change"]
    return f"{markdown(head, rows)}\n"


def quarrelled() -> str:
    """What became of quarrels and insults."""
    frame = tables.quarrels(_metrics("quarrels"))
    return f"{markdown(list(frame.columns), frame.to_numpy().tolist())}\n"


PARTS: dict[str, Callable[[], str]] = {
    "result": result,
    "seeds": partial(over_seeds, "seeds"),
    "sealed": partial(over_seeds, "sealed"),
    "trust": trust,
    "claims": checked,
    "systems": systems,
    "quarrels": quarrelled,
    "slices": slices,
    "cost": lambda: cost.read(),
}


def filled(text: str, page: Path) -> str:
    """The page's text with every part as it is now."""
    up = "../" * (len(page.parts) - 1)
    return MARKED.sub(
        lambda part: part[1] + PARTS[part["name"]]().replace("(RESULT)", f"({up}metrics/result.svg)"), text
    )


def _metrics(name: str) -> dict[str, Any]:
    return parsing.read_metrics(METRICS / f"{name}.json")


def _change(number: float, relative: bool) -> str:
    return f"{100 * number:.1f} %" if relative else f"{number:.4f}"


def _interval(found: Tree) -> str:
    return "{mean:+.3f} [{low:+.3f}, {high:+.3f}]".format(**found)


def _filled(text: str) -> str:
    return textwrap.fill(text, WIDTH, break_long_words=False, break_on_hyphens=False)


def _bullet(text: str) -> str:
    return textwrap.indent(_filled(text), "  ").replace("  ", "- ", 1) + "\n"


def answered(text: str, root: Path) -> str:
    """The text with what each command of `detox` prints, in the project's root, below it.

    Raises InputError if there is a folder already that one of them writes.
    """
    if (root / SERVED).exists():
        raise InputError(f"{root / SERVED} is what `detox merge` of the docs writes: remove it")

    def run(command: str) -> str:
        done = subprocess.run(["bash", "-c", command], cwd=root, check=True, stdout=subprocess.PIPE, text=True)  # noqa: S607
        return done.stdout

    try:
        return ANSWERED.sub(lambda match: match[1] + run(match[1].removeprefix("$ ")), text)
    finally:
        shutil.rmtree(root / SERVED, ignore_errors=True)


def main() -> None:
    for page in pages():
        text = answered(filled(page.read_text(encoding="utf-8"), page), Path())
        with files.atomic(page) as path:
            path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
