"""An adapter tuned under supervision: LoRA on the base learns to write the references of the training dialogues."""

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from transformers import (
    AutoModelForSeq2SeqLM,
    DataCollatorForSeq2Seq,
    EarlyStoppingCallback,
    PreTrainedTokenizerBase,
    Seq2SeqTrainer,
    Seq2SeqTrainingArguments,
    set_seed,
)
from transformers.trainer import OPTIMIZER_NAME, SCHEDULER_NAME, TRAINER_STATE_NAME

from detox import adapters, checkpoints, files, metrics, pretrained, prompts
from detox.dialogues import Dialogue
from detox.params import Tuning

PARTS = (adapters.CONFIG, adapters.WEIGHTS, OPTIMIZER_NAME, SCHEDULER_NAME, "rng_state.pth")  # of a checkpoint
EVALUATIONS = 5  # looks at the dev part, and checkpoints to resume from, in a pass over the training dialogues


def fingerprint(base: Path, prepared: Path, p: Tuning, max_prompt_tokens: int, seed: int) -> str:
    """What the tuned adapter depends on, as a name for the folder in which an interrupted run is kept."""
    inputs = [base, prepared / "train.jsonl", prepared / "dev.jsonl"]
    return checkpoints.fingerprint([p, max_prompt_tokens, seed], inputs)


def tune(
    base: Path,
    train: Sequence[Dialogue],
    dev: Sequence[Dialogue],
    p: Tuning,
    max_prompt_tokens: int,
    seed: int,
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
    model = _with_lora(base, p)
    examples, held_out = (_examples(tokenizer, part, max_prompt_tokens, p.max_summary_tokens) for part in (train, dev))
    trainer = Seq2SeqTrainer(
        model=model,
        args=_arguments(unfinished, p, len(examples), bool(dev), seed),
        train_dataset=examples,
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


def _newest(unfinished: Path) -> str | None:
    """The newest checkpoint from which training goes on as if nothing had been; those after it are removed."""
    found = {int(path.name.partition("-")[2]): path for path in unfinished.glob("checkpoint-*")}
    for _, path in sorted(found.items(), reverse=True):
        if _is_sound(path):
            return str(path)
        files.remove(path)
    return None


def _is_sound(checkpoint: Path) -> bool:
    """Whether the trainer wrote all of it, and went on.

    From one without its last file the trainer would silently begin again, with its weights; from one at which it had
    stopped early it would train on.
    """
    try:
        state = json.loads((checkpoint / TRAINER_STATE_NAME).read_bytes())
    except (OSError, ValueError):
        return False
    stopped = state["stateful_callbacks"]["TrainerControl"]["args"]["should_training_stop"]
    return not stopped and all((checkpoint / name).is_file() for name in PARTS)


def _with_lora(base: Path, p: Tuning) -> PeftModel:
    model = pretrained.model(AutoModelForSeq2SeqLM, base)
    config = LoraConfig(
        r=p.rank,
        lora_alpha=p.alpha,
        lora_dropout=p.dropout,
        target_modules=list(p.targets),
        task_type="SEQ_2_SEQ_LM",
        base_model_name_or_path=base.as_posix(),
    )
    config.target_modules = sorted(p.targets)  # peft has made a set of them, and would save it in an order by chance
    return get_peft_model(model, config)


def _examples(
    tokenizer: PreTrainedTokenizerBase, dialogues: Sequence[Dialogue], max_prompt_tokens: int, max_summary_tokens: int
) -> list[dict[str, list[int]]]:
    """Prompt and reference as token ids, one row for each reference."""
    rows = []
    for dialogue in dialogues:
        ids, mask = prompts.encode(tokenizer, [prompts.prompt(dialogue.text)], max_prompt_tokens)
        for reference in dialogue.references:
            labels = tokenizer(reference, truncation=True, max_length=max_summary_tokens)["input_ids"]
            rows.append({"input_ids": ids[0].tolist(), "attention_mask": mask[0].long().tolist(), "labels": labels})
    return rows


@torch.no_grad()
def _rouge(
    model: PeftModel,
    tokenizer: PreTrainedTokenizerBase,
    dialogues: Sequence[Dialogue],
    p: Tuning,
    max_prompt_tokens: int,
) -> dict[str, float]:
    """Mean ROUGE of greedy summaries, the best over the references."""
    model.eval()
    texts: list[str] = []
    for start in range(0, len(dialogues), p.batch_size):
        batch = [prompts.prompt(dialogue.text) for dialogue in dialogues[start : start + p.batch_size]]
        ids, mask = (tensor.to(model.device) for tensor in prompts.encode(tokenizer, batch, max_prompt_tokens))
        drawn = model.generate(
            input_ids=ids, attention_mask=mask, max_new_tokens=p.max_summary_tokens, do_sample=False, num_beams=1
        )
        texts += tokenizer.batch_decode(drawn, skip_special_tokens=True)
    rouge = metrics.Rouge().compute(predictions=texts, references=[list(each.references) for each in dialogues])
    return {name: sum(values) / len(values) for name, values in rouge.items()}


def _arguments(unfinished: Path, p: Tuning, examples: int, dev: bool, seed: int) -> Seq2SeqTrainingArguments:
    interval = max(1, math.ceil(examples / p.batch_size) // EVALUATIONS)
    when = "steps" if dev else "no"
    return Seq2SeqTrainingArguments(
        output_dir=str(unfinished),
        seed=seed,
        learning_rate=p.learning_rate,
        per_device_train_batch_size=p.batch_size,
        per_device_eval_batch_size=p.batch_size,
        num_train_epochs=p.epochs,
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
