"""An adapter tuned under supervision: LoRA on the base learns to write the references of the training dialogues.

Or a fresh one, which has learnt nothing: a base that summarises already needs none.
"""

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from peft import PeftModel, get_peft_model
from transformers import (
    DataCollatorForSeq2Seq,
    EarlyStoppingCallback,
    PreTrainedTokenizerBase,
    Seq2SeqTrainer,
    Seq2SeqTrainingArguments,
    set_seed,
)
from transformers.trainer import OPTIMIZER_NAME, SCHEDULER_NAME, TRAINER_STATE_NAME
from transformers.trainer_pt_utils import get_length_grouped_indices

from detox import files
from detox.corpus.dialogues import Dialogue
from detox.evaluation import metrics
from detox.model import adapters, bases, lora, prompts
from detox.model.sampling import seed_of
from detox.params import Tuning
from detox.runtime import checkpoints, devices

PARTS = (adapters.CONFIG, adapters.WEIGHTS, OPTIMIZER_NAME, SCHEDULER_NAME, "rng_state.pth")  # of a checkpoint
EVALUATIONS = 5  # looks at the dev part, and checkpoints to resume from, in a pass over the training dialogues

Example = dict[str, list[int]]


def fingerprint(base: Path, prepared: Path, p: Tuning, max_prompt_tokens: int, seed: int, device: torch.device) -> str:
    """What the tuned adapter depends on, as a name for the folder in which an interrupted run is kept."""
    inputs = [base, prepared / "train.jsonl", prepared / "dev.jsonl"]
    return checkpoints.fingerprint([p, max_prompt_tokens, seed, devices.name(device)], inputs)


def tune(
    base: Path,
    train: Sequence[Dialogue],
    dev: Sequence[Dialogue],
    p: Tuning,
    max_prompt_tokens: int,
    seed: int,
    device: torch.device,
    unfinished: Path,
    folder: Path,
) -> dict[str, Any]:
    """Tunes a LoRA adapter, writes it into `folder`, and returns how it went: steps, losses in nats a token, ROUGE.

    Every reference of a dialogue is an example. With dev dialogues, the adapter of the lowest dev loss is kept, and
    training ends when that has not fallen for `p.patience` looks. What was interrupted goes on from the last whole
    checkpoint in `unfinished`.
    """
    set_seed(seed)
    tokenizer = prompts.tokenizer(base)
    model = get_peft_model(bases.load(base), lora.fresh(p))
    examples, held_out = (_examples(tokenizer, part, max_prompt_tokens, p.max_summary_tokens) for part in (train, dev))
    held_out.sort(key=lambda row: len(row["input_ids"]))
    passes = [row for number in range(p.epochs) for row in one_pass(examples, p.batch_size, seed_of(seed, number))]
    trainer = Seq2SeqTrainer(
        model=model,
        args=_arguments(unfinished, p, len(examples), bool(dev), seed, device),
        train_dataset=passes,
        eval_dataset=held_out if dev else None,  # type: ignore[arg-type]
        data_collator=DataCollatorForSeq2Seq(tokenizer, model=model),
        callbacks=[EarlyStoppingCallback(p.patience)] if dev else [],
    )
    trainer.train(resume_from_checkpoint=_newest(unfinished))
    model.save_pretrained(str(folder), save_embedding_layers=False)
    result: dict[str, Any] = {"steps": trainer.state.global_step}
    if dev:
        result |= {"dev_loss": trainer.state.best_metric, **_rouge(model, tokenizer, dev, p, max_prompt_tokens)}
    return result


def begin(
    base: Path,
    dev: Sequence[Dialogue],
    p: Tuning,
    max_prompt_tokens: int,
    seed: int,
    device: torch.device,
    folder: Path,
) -> dict[str, float]:
    """Writes a fresh LoRA adapter into `folder`, and returns the ROUGE of the base, which says whether it summarises.

    LoRA adds B·A to a weight (Hu et al. 2021, arXiv 2106.09685): A is drawn from the seed and B is 0, so the policy is
    the base itself. Without dev dialogues nothing is returned.
    """
    set_seed(seed)
    model = get_peft_model(bases.load(base), lora.fresh(p))
    model.save_pretrained(str(folder), save_embedding_layers=False)
    tokenizer = prompts.tokenizer(base)
    return _rouge(model.to(device), tokenizer, dev, p, max_prompt_tokens) if dev else {}


def _newest(unfinished: Path) -> str | None:
    """The newest checkpoint from which training goes on as if nothing had been; those after it are removed."""
    found = {int(path.name.partition("-")[2]): path for path in unfinished.glob("checkpoint-*")}
    for _, path in sorted(found.items(), reverse=True):
        if _is_sound(path):
            _keep_inside(path / TRAINER_STATE_NAME)
            return str(path)
        files.remove(path)
    return None


def _is_sound(checkpoint: Path) -> bool:
    """Whether the trainer wrote all of it, and went on.

    From one without its last file the trainer would silently begin again, with its weights; from one at which it had
    stopped early it would train on.
    """
    parts = [checkpoint / name for name in (*PARTS, TRAINER_STATE_NAME)]
    if any(part.is_symlink() or not part.is_file() for part in parts):
        return False
    try:
        state = json.loads((checkpoint / TRAINER_STATE_NAME).read_bytes())
        return not state["stateful_callbacks"]["TrainerControl"]["args"]["should_training_stop"]
    except (ValueError, LookupError, TypeError, RecursionError):
        return False


def _keep_inside(path: Path) -> None:
    """Has a trainer's state name its best checkpoint as the one beside it: the trainer would read any folder."""
    state = json.loads(path.read_bytes())
    if (best := state.get("best_model_checkpoint")) is not None:
        own = str(path.parents[1] / Path(str(best)).name)
        if own != best:
            files.write_jsonl(path, [state | {"best_model_checkpoint": own}])


def _examples(
    tokenizer: PreTrainedTokenizerBase, dialogues: Sequence[Dialogue], max_prompt_tokens: int, max_summary_tokens: int
) -> list[Example]:
    """Prompt and reference as token ids, one row for each reference."""
    rows = []
    for dialogue in dialogues:
        ids, mask = prompts.encode(tokenizer, [prompts.prompt(dialogue.text)], max_prompt_tokens)
        for reference in dialogue.references:
            labels = tokenizer(reference, truncation=True, max_length=max_summary_tokens)["input_ids"]
            rows.append({"input_ids": ids[0].tolist(), "attention_mask": mask[0].long().tolist(), "labels": labels})
    return rows


def one_pass(examples: Sequence[Example], batch_size: int, seed: int) -> list[Example]:
    """All of them in an order by chance that puts prompts of similar length into a batch: a third less to compute."""
    lengths = [len(row["input_ids"]) for row in examples]
    order = get_length_grouped_indices(lengths, batch_size, generator=torch.Generator().manual_seed(seed))
    return [examples[place] for place in order]


@torch.no_grad()
def _rouge(
    model: PeftModel,
    tokenizer: PreTrainedTokenizerBase,
    dialogues: Sequence[Dialogue],
    p: Tuning,
    max_prompt_tokens: int,
) -> dict[str, float]:
    """Mean ROUGE of greedy summaries, the best over the references."""
    dialogues = sorted(dialogues, key=lambda dialogue: len(dialogue.text))
    model.eval()
    texts: list[str] = []
    for start in range(0, len(dialogues), p.batch_size):
        batch = [prompts.prompt(dialogue.text) for dialogue in dialogues[start : start + p.batch_size]]
        ids, mask = prompts.encode(tokenizer, batch, max_prompt_tokens, model.device)
        drawn = model.generate(
            input_ids=ids, attention_mask=mask, max_new_tokens=p.max_summary_tokens, do_sample=False, num_beams=1
        )
        texts += tokenizer.batch_decode(drawn, skip_special_tokens=True)
    rouge = metrics.Rouge().compute(predictions=texts, references=[list(each.references) for each in dialogues])
    return {name: sum(values) / len(values) for name, values in rouge.items()}


def _arguments(
    unfinished: Path, p: Tuning, examples: int, dev: bool, seed: int, device: torch.device
) -> Seq2SeqTrainingArguments:
    interval = max(1, math.ceil(examples / p.batch_size) // EVALUATIONS)
    when = "steps" if dev else "no"
    return Seq2SeqTrainingArguments(
        output_dir=str(unfinished),
        seed=seed,
        use_cpu=device.type == "cpu",
        learning_rate=p.learning_rate,
        per_device_train_batch_size=p.batch_size,
        per_device_eval_batch_size=p.batch_size,
        num_train_epochs=1,  # over all passes at once
        train_sampling_strategy="sequential",
        eval_strategy=when,
        eval_steps=interval,
        save_strategy="steps",
        save_steps=interval,
        save_total_limit=2,
        restore_callback_states_from_checkpoint=True,  # how long patience has lasted
        load_best_model_at_end=dev,
        metric_for_best_model="eval_loss" if dev else None,
        logging_steps=interval,
        report_to="none",
        dataloader_pin_memory=False,
    )
