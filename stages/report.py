"""Write the report page, the headline, and the release: the adapter with a model card.

Reads  metrics/{prepare,train,evaluate,claims,quarrels,rivals}.json, metrics/{train,progress}.csv, data/scores.jsonl,
       data/snapshots.jsonl, data/summaries/{sft,ppo}.jsonl, data/prepared/test.jsonl, params.yaml, profiles, the bad
       words, models/ppo.
Writes metrics/report.html   one page that needs nothing else and loads nothing
       metrics/headline.md   the short before-and-after table, for the terminal
       metrics/result.svg    the page's first pictures, for the README
       models/release        adapter_config.json, adapter_model.safetensors, README.md (the model card)
"""

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stages import run

if TYPE_CHECKING:
    from detox.reporting import cards

METRICS, PREPARED, SUMMARIES = Path("metrics"), Path("data/prepared"), Path("data/summaries")
POLICY = Path("models/ppo")
ADAPTER = ("adapter_config.json", "adapter_model.safetensors")
HASHED = (PREPARED / "test.jsonl", POLICY / "adapter_model.safetensors")
TREES, CURVES = ("evaluate", "prepare", "train", "claims", "quarrels", "rivals"), ("train", "progress")


def main() -> None:
    import pandas

    from detox import parsing
    from detox.params import profiles
    from detox.params.reading import PARAMS
    from detox.reporting import cards, examples, figures, page, provenance, tables, verdicts

    metrics = {name: parsing.read_metrics(METRICS / f"{name}.json") for name in TREES}
    training, progress = (pandas.read_csv(METRICS / f"{name}.csv") for name in CURVES)
    scores, test = parsing.read_jsonl(Path("data/scores.jsonl")), parsing.read_jsonl(PREPARED / "test.jsonl")
    before, after = (parsing.read_jsonl(SUMMARIES / f"{name}.jsonl") for name in ("sft", "ppo"))
    settings = profiles.read(PARAMS)
    about = provenance.described(settings, provenance.profile_of(settings, profiles.known()))
    contents = page.Contents(
        figures=figures.draw(training, scores, metrics, progress),
        examples=examples.choose(scores, test, before, after),
        along=parsing.read_jsonl(Path("data/snapshots.jsonl")),
        provenance=about,
        toy=provenance.toy(settings),
        insults=frozenset(parsing.entries(Path(settings["rivals"]["bad_words"]), "rivals.bad_words")),
        hashes={
            "params.yaml, its values but for compute and track": provenance.digest(settings),
            **page.sha256s(HASHED),
        },
    )
    frame, everything = tables.table(metrics["evaluate"]), metrics["evaluate"]["all"]
    said = verdicts.lead(metrics["evaluate"], metrics["claims"]["family"])
    sized = verdicts.sized(everything)
    pages = {
        "report.html": page.render(metrics, scores, contents),
        "headline.md": tables.headline(frame, [*said, provenance.line(sized, about)]),
        "result.svg": figures.overview(scores, metrics),
    }
    publish(pages, cards.render(frame, release(settings, about, sized)))


def release(settings: dict[str, Any], about: dict[str, str], sized: str) -> "cards.Release":
    """What the card says beside the figures."""
    from detox.reporting import cards, provenance

    return cards.Release(
        *provenance.base_of(settings),
        about=about,
        sized=sized,
        toy=provenance.toy(settings),
        max_prompt_tokens=settings["model"]["max_prompt_tokens"],
        max_new_tokens=settings["summarize"]["max_new_tokens"],
        prompt=str(settings["model"]["prompt"]),
    )


def publish(pages: dict[str, str], card: str) -> None:
    """All that the stage writes."""
    from detox import files

    for name, text in pages.items():
        with files.atomic(METRICS / name) as path:
            path.write_text(text, encoding="utf-8", newline="\n")
    with files.atomic(Path("models/release")) as folder:
        folder.mkdir()
        for name in ADAPTER:
            shutil.copyfile(POLICY / name, folder / name)
        (folder / "README.md").write_text(card, encoding="utf-8", newline="\n")


if __name__ == "__main__":
    run(main)
