"""Take the LoRA adapter that PPO starts from, tune it on the training dialogues or begin a new one; check that it fits.

Reads  what lies at adapter.source.path and the base; params: seed, compute.device, model, adapter.
Writes models/adapter: adapter_config.json, adapter_model.safetensors; metrics/adapter.json: its size, and if it was
       made here the ROUGE on the dev part, if it was tuned the steps and the loss, too; metrics/adapter.csv: the losses
       while it is tuned, at each look at the dev part. An interrupted tuning goes on where .resume has it.
"""

import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from stages import run

if TYPE_CHECKING:  # loaded by functions, so that --help is quick
    from detox.params import sections, training
    from detox.params.origins import Source

RESUME = Path(os.environ.get("DVC_ROOT", ".")) / ".resume" / "fetch_adapter"


def main() -> None:
    from detox.params import reading, sections, training
    from detox.sources import local

    p, model = reading.load(training.Adapter), reading.load(sections.Model)
    base, source = local.path(model.source), local.path(p.source)
    if p.tuning and p.source.made_here:
        make(p.source, p.tuning, model, reading.seed())
    else:
        publish(source, base, {})
        record([])


def make(dialogues_of: "Source", tuning: "training.Tuning", model: "sections.Model", seed: int) -> None:
    """Begins a new adapter, or tunes one on the source's dialogues, and publishes it."""
    from detox import files
    from detox.corpus import dialogues
    from detox.model import fitting, prompts
    from detox.params import origins
    from detox.runtime import devices, trackers, tracking
    from detox.sources import local
    from detox.tuning import supervised

    wanted, base, source = trackers.wanted(), local.path(model.source), local.path(dialogues_of)
    plan = supervised.Plan(base, model.dtype, tuning, prompts.load(base, model), seed, devices.chosen())
    fitting.check_fresh(tuning, base)
    train, dev = (dialogues.load(source / f"{part}.jsonl") for part in ("train", "dev"))
    if dialogues_of.origin == origins.NEW:
        with tempfile.TemporaryDirectory() as folder:
            publish(Path(folder), base, supervised.begin(plan, dev, Path(folder)))
        record([])
        return
    interrupted = RESUME / plan.fingerprint(source)
    made = interrupted / "adapter"
    with tracking.tracked(wanted, f"tuning-{interrupted.name}", {"seed": seed}) as told:

        def looked(rows: "list[dict[str, float]]") -> None:
            record(rows)
            if rows and ("dev_loss" in rows[-1] or not dev):
                told(int(rows[-1]["step"]), rows[-1])

        tuned = supervised.tune(plan, train, dev, interrupted, made, looked)
    publish(made, base, tuned)
    files.remove(interrupted)


def record(rows: "list[dict[str, float]]") -> None:
    """The curve so far: `dvc plots` follows it while the stage runs. There is none where nothing is tuned."""
    import pandas

    from detox import files

    files.write_csv(Path("metrics/adapter.csv"), pandas.DataFrame(rows, columns=["step", "loss", "dev_loss"]))


def publish(adapter: Path, base: Path, metrics: dict[str, float]) -> None:
    """All that the stage writes, once the adapter fits."""
    from detox import files
    from detox.model import adapters

    with files.atomic(Path("models/adapter")) as folder, adapters.still(adapter):
        adapters.check(adapter, base)
        adapters.copy(adapter, folder)
        metrics = adapters.describe(adapter) | metrics
    files.write_metrics(Path("metrics/adapter.json"), metrics)


if __name__ == "__main__":
    run(main)
