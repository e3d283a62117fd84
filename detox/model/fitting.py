"""Whether a LoRA adapter belongs to a base: what peft would save for it there, and nothing else of the base."""

from pathlib import Path
from typing import cast

import torch
from peft import LoraConfig, PeftModel, get_peft_model, get_peft_model_state_dict
from torch import Tensor, nn
from transformers import AutoModelForSeq2SeqLM, PreTrainedModel

from detox.errors import InputError
from detox.model import bases, library, lora, pretrained
from detox.model.weights import opened
from detox.params.training import Tuning

BASE, LORA, EMBEDDED = "base_model.model.", ".lora_", ".lora_embedding_"  # in names of weights
# What T5 reads from one table unless its checkpoint has more of them.
TABLE, TIED = "shared.weight", ("lm_head.weight", "encoder.embed_tokens.weight", "decoder.embed_tokens.weight")
Shapes = dict[str, tuple[int, ...]]


def check_fresh(p: Tuning, base: Path) -> None:
    """Raises InputError unless an adapter can be made so for this base: every target has to be a linear layer of it."""
    model = skeleton(base)
    paths = [name.split(".") for name, module in model.named_modules() if isinstance(module, nn.Linear)]
    for target in p.targets:
        parts = target.split(".")
        if not any(path[-len(parts) :] == parts for path in paths):
            known = ", ".join(sorted({path[-1] for path in paths}))
            raise InputError(
                f"params.yaml: adapter.tuning.targets has {target!r}, but the linear layers of the base {base} are "
                f"called {known}: choose among them"
            )
    fitted(model, lora.fresh(p), "new", "params.yaml: adapter.tuning", "correct it")


def skeleton(base: Path) -> PreTrainedModel:
    """The base without weights. Raises InputError if it is of another family, or damaged."""
    bases.check_family(base)
    model: PreTrainedModel = pretrained.skeleton(AutoModelForSeq2SeqLM, base)
    model.name_or_path = str(base)
    return model


def fitted(
    model: PreTrainedModel | PeftModel, config: LoraConfig, name: str, where: str, remedy: str
) -> tuple[PeftModel, Shapes]:
    """The model, which may be a `skeleton`, with one more adapter, of which the first is active; and the shapes that
    peft saves of it. The adapter has no weights yet: nothing is allocated.

    Raises InputError, which begins with where the configuration is, if they do not fit, or if LoRA is on an embedding.
    """
    base = model.get_base_model() if isinstance(model, PeftModel) else model
    try:
        with library.no_future():
            if isinstance(model, PeftModel):
                model.add_adapter(name, config, low_cpu_mem_usage=True)
                both = model
            else:
                both = cast(PeftModel, get_peft_model(model, config, name, low_cpu_mem_usage=True))
        found = {key: tuple(weight.shape) for key, weight in weights(both, name).items()}
    except Exception as error:  # whatever a damaged or hostile configuration makes of it
        reason = library.first_sentence(error)
        raise InputError(f"{where} does not fit the base {base.name_or_path}: {reason}: {remedy}") from error
    # T5 has one table for the encoder and the decoder, LoRA on it would have two: no plain T5 could be made of that.
    if tables := {key.split(".")[-2] for key in found if EMBEDDED in key}:
        raise InputError(
            f"{where}: target_modules has {', '.join(sorted(tables))}, an embedding, which is not trained here: choose "
            "linear layers alone"
        )
    return both, found


def check_shapes(path: Path, held: dict[str, Tensor], expected: Shapes, base: str) -> None:
    """Raises InputError if the adapter's weights are not what peft saves for the base."""
    given = {name: tuple(weight.shape) for name, weight in held.items()}
    for name in sorted(expected.keys() | given.keys()):
        if expected.get(name) != given.get(name):
            wanted, found = (_describe(each.get(name)) for each in (expected, given))
            raise InputError(
                f"{path} does not fit the base {base}: {name} should be {wanted}, is {found}: fetch the adapter that "
                "was trained on this base"
            )


def _describe(shape: tuple[int, ...] | None) -> str:
    return "absent" if shape is None else " x ".join(map(str, shape)) or "a number"


def without_own(found: dict[str, Tensor], base: Path, path: Path) -> dict[str, Tensor]:
    """The adapter's weights without the base's own: where the head has LoRA, peft saves the head beside it.

    Raises InputError for one that is not as it is in the base.
    """
    beside = {name: name.removeprefix(BASE).replace(".base_layer.", ".") for name in found if LORA not in name}
    if not beside:
        return found
    with opened(base, library.AGAIN) as held:
        for name, own in beside.items():
            table = TABLE if own in TIED and own not in held else own
            if table in held and not torch.equal(held[table][:].to(found[name].dtype), found[name]):
                raise InputError(
                    f"{path}: {name} is not what the base {base} has, but a plain LoRA leaves that as it is: fetch the "
                    "adapter that was trained on this base, or another"
                )
            if table in held:
                del found[name]
    return found


def weights(model: PeftModel, adapter_name: str) -> dict[str, Tensor]:
    """Those of one of the model's adapters, by the names that peft gives them in a file."""
    # peft would ask the hub whether the base's vocabulary was resized; ours never is.
    return get_peft_model_state_dict(model, adapter_name=adapter_name, save_embedding_layers=False)
