"""Fetch the LoRA adapter that PPO starts from, and check that it fits the base.

Reads  the folder at adapter.source.path and the base; params: model, adapter.
Writes models/adapter: adapter_config.json, adapter_model.safetensors.
"""

from pathlib import Path

from stages import run


def main() -> None:
    from detox import adapters, files, params, sources

    source = sources.local(params.load(params.Adapter).source)
    base = sources.local(params.load(params.Model).source)
    adapters.check(source, base)
    with files.atomic(Path("models/adapter")) as folder:
        adapters.copy(source, folder)


if __name__ == "__main__":
    run(main)
