"""Take the LoRA adapter that PPO starts from, or tune it on the training dialogues, and check that it fits the base.

Reads  what lies at adapter.source.path and the base; params: seed, compute.device, model, adapter.
Writes models/adapter: adapter_config.json, adapter_model.safetensors; metrics/adapter.json: its size, and if it was
       tuned here the steps, loss and ROUGE on the dev part. An interrupted tuning goes on where .resume has it.
"""

import os
from pathlib import Path

from stages import run

RESUME = Path(os.environ.get("DVC_ROOT", ".")) / ".resume" / "fetch_adapter"


def main() -> None:
    from detox import files, params
    from detox.model import adapters
    from detox.sources import local

    p, model, seed = params.load(params.Adapter), params.load(params.Model), params.seed()
    base, source = local.path(model.source), local.path(p.source)
    metrics = {}
    if p.tuning is not None and p.source.origin == params.TRAIN:
        # Only here, because it takes seconds.
        from detox.corpus import dialogues
        from detox.runtime import devices
        from detox.tuning import supervised

        device = devices.chosen()
        interrupted = RESUME / supervised.fingerprint(base, source, p.tuning, model.max_prompt_tokens, seed, device)
        train, dev = (dialogues.load(source / f"{part}.jsonl") for part in ("train", "dev"))
        source = interrupted / "adapter"
        metrics = supervised.tune(
            base, train, dev, p.tuning, model.max_prompt_tokens, seed, device, interrupted, source
        )
    adapters.check(source, base)
    with files.atomic(Path("models/adapter")) as folder:
        adapters.copy(source, folder)
    files.write_metrics(Path("metrics/adapter.json"), adapters.describe(source) | metrics)
    if metrics:
        files.remove(interrupted)


if __name__ == "__main__":
    run(main)
