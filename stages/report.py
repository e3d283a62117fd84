"""Write the report page, the headline, and the release: the adapter with a model card.

Reads  metrics/{prepare,train,evaluate,claims,rivals}.json, metrics/{train,tradeoff,progress}.csv, data/scores.jsonl,
       data/summaries/{sft,ppo}.jsonl, data/prepared/test.jsonl, params.yaml (its sha256, the prompt), models/ppo.
Writes metrics/report.html   one page that needs nothing else and loads nothing
       metrics/headline.md   the short before-and-after table, for the terminal
       models/release        adapter_config.json, adapter_model.safetensors, README.md (the model card)
"""

import shutil
from pathlib import Path

from stages import run

METRICS, PREPARED, SUMMARIES = Path("metrics"), Path("data/prepared"), Path("data/summaries")
POLICY = Path("models/ppo")
ADAPTER = ("adapter_config.json", "adapter_model.safetensors")
HASHED = (Path("params.yaml"), PREPARED / "test.jsonl", POLICY / "adapter_model.safetensors")


def main() -> None:
    import pandas

    from detox import files, parsing
    from detox.params import reading, sections
    from detox.reporting import cards, figures, page, tables

    frame = tables.table(parsing.read_metrics(METRICS / "evaluate.json"))
    scores, test = parsing.read_jsonl(Path("data/scores.jsonl")), parsing.read_jsonl(PREPARED / "test.jsonl")
    before, after = (parsing.read_jsonl(SUMMARIES / f"{name}.jsonl") for name in ("sft", "ppo"))
    curves = {name: pandas.read_csv(METRICS / f"{name}.csv") for name in ("train", "tradeoff", "progress")}
    html = page.render(
        frame,
        figures.draw(curves["train"], scores, curves["tradeoff"], curves["progress"]),
        page.choose_examples(scores, test, before, after),
        {name: parsing.read_metrics(METRICS / f"{name}.json") for name in ("prepare", "train", "claims", "rivals")},
        page.sha256s(HASHED),
    )
    base = parsing.read_metrics(POLICY / "adapter_config.json").get("base_model_name_or_path")
    card = cards.render(frame, base or "base", reading.load(sections.Model).prompt)
    with files.atomic(METRICS / "report.html") as path:
        path.write_text(html, encoding="utf-8", newline="\n")
    with files.atomic(METRICS / "headline.md") as path:
        path.write_text(tables.headline(frame), encoding="utf-8", newline="\n")
    with files.atomic(Path("models/release")) as folder:
        folder.mkdir()
        for name in ADAPTER:
            shutil.copyfile(POLICY / name, folder / name)
        (folder / "README.md").write_text(card, encoding="utf-8", newline="\n")


if __name__ == "__main__":
    run(main)
