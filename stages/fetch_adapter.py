"""Take the LoRA adapter that PPO starts from, tune it on the training dialogues or begin a new one; check that it fits.

Reads  what lies at adapter.source.path and the base; params: seed, compute.device, model, adapter.
Writes models/adapter: adapter_config.json, adapter_model.safetensors; metrics/adapter.json: its size, and if it was
       made here the ROUGE on the dev part, if it was tuned the steps and the loss, too; metrics/adapter.csv: the losses
       while it is tuned, at each look at the dev part. An interrupted tuning goes on where .resume has it.
"""

import os
import tempfile
from pathlib import Path

from stages import run

RESUME = Path(os.environ.get("DVC_ROOT", ".")) / ".resume" / "fetch_adapter"


def main() -> None:
    from detox import files
    from detox.model import fitting, prompts
    from detox.params import origins, reading, sections, training
    from detox.sources import local

    p, model, seed = reading.load(training.Adapter), reading.load(sections.Model), reading.seed()
    base, source = local.path(model.source), local.path(p.source)
    if p.tuning is None or not p.source.made_here:
        publish(source, base, {})
        record([])
        return
    # Only here, because it takes seconds.
    from detox.corpus import dialogues
    from detox.runtime import devices, trackers, tracking
    from detox.tuning import supervised

    wanted = trackers.wanted()
    device = devices.chosen()
    plan = supervised.Plan(base, p.tuning, prompts.load(base, model), seed, device)
    fitting.check_fresh(p.tuning, base)
    train, dev = (dialogues.load(source / f"{part}.jsonl") for part in ("train", "dev"))
    if p.source.origin == origins.NEW:
        with tempfile.TemporaryDirectory() as folder:
            publish(Path(folder), base, supervised.begin(plan, dev, Path(folder)))
        record([])
    else:
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
        adapters.load(adapter, base)
        adapters.copy(adapter, folder)
        metrics = adapters.describe(adapter) | metrics
    files.write_metrics(Path("metrics/adapter.json"), metrics)


if __name__ == "__main__":
    run(main)
