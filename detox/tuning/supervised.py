"""An adapter tuned under supervision: LoRA on the base learns to write the references of the training dialogues.

Or a fresh one, which has learnt nothing: a base that summarises already needs none.
"""

import math
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple, cast

import torch
from peft import PeftModel, get_peft_model
from transformers import (
    DataCollatorForSeq2Seq,
    EarlyStoppingCallback,
    PrinterCallback,
    Seq2SeqTrainer,
    Seq2SeqTrainingArguments,
    set_seed,
)
from transformers.trainer_pt_utils import get_length_grouped_indices

from detox import files
from detox.corpus.dialogues import Dialogue
from detox.errors import InputError, one_line
from detox.evaluation.rouge import Rouge
from detox.model import bases, dropout, lora
from detox.model.prompts import Prompt
from detox.model.sampling import seed_of
from detox.params.training import Tuning
from detox.runtime import devices, fingerprints, memory
from detox.tuning import checkpoints
from detox.tuning.curve import Curve, Row

EVALUATIONS = 5  # looks at the dev part, and checkpoints to resume from, in a pass over the training dialogues

Example = dict[str, list[int]]
Told = Callable[[list[Row]], None]  # is given the curve so far


class Plan(NamedTuple):
    """What an adapter is made on, and how."""

    base: Path
    dtype: str  # of the base, which is frozen; LoRA is in float32 all the same
    tuning: Tuning
    prompt: Prompt
    seed: int
    device: torch.device

    def fingerprint(self, prepared: Path) -> str:
        """What the tuned adapter depends on, as a name for the folder in which an interrupted run is kept."""
        inputs = [self.base, prepared / "train.jsonl", prepared / "dev.jsonl"]
        prompt = [self.prompt.max_tokens, self.prompt.text]
        settings = [self.tuning, self.dtype, *prompt, self.seed, devices.name(self.device)]
        return fingerprints.fingerprint(settings, inputs)


def tune(
    plan: Plan,
    train: Sequence[Dialogue],
    dev: Sequence[Dialogue],
    unfinished: Path,
    folder: Path,
    told: Told,
) -> dict[str, Any]:
    """Tunes a LoRA adapter, writes it into `folder`, and returns how it went: steps, losses in nats a token, ROUGE.

    Every reference of a dialogue is an example. With dev dialogues, the adapter of the lowest dev loss is kept, and
    training ends when that has not fallen for `p.patience` looks. What was interrupted goes on from the last whole
    checkpoint in `unfinished`. `told` is given the curve so far at each look.
    """
    examples, held_out = (_examples(part, plan) for part in (train, dev))
    held_out.sort(key=lambda row: len(row["input_ids"]))
    trainer = _trained(plan, examples, held_out, unfinished, told)
    model = cast(PeftModel, trainer.model)
    model.save_pretrained(str(folder), save_embedding_layers=False)
    result: dict[str, Any] = {"steps": trainer.state.global_step}
    if dev:
        result |= {"dev_loss": trainer.state.best_metric, **_rouge(model, dev, plan)}
    return result


def _trained(
    plan: Plan, examples: list[Example], held_out: list[Example], unfinished: Path, told: Told
) -> Seq2SeqTrainer:
    """Trains to the end. A checkpoint from which no step can be taken is named on stderr and removed."""
    while True:
        begun, trainer = checkpoints.newest(unfinished), _trainer(plan, examples, held_out, unfinished)
        trainer.add_callback(Curve(told))
        try:
            trainer.train(resume_from_checkpoint=str(begun) if begun else None)
            return trainer
        except Exception as error:
            if memory.exhausted(error):
                said = memory.reason(error)
                raise InputError(
                    f"out of memory: lower adapter.tuning.batch_size, {plan.tuning.batch_size} ({said})"
                ) from error
            if begun is None or trainer.state.global_step > checkpoints.step(begun):
                raise
            reason = f"{type(error).__name__} in what it holds"
            print(one_line(f"warning: {begun} is damaged ({reason}): going back"), file=sys.stderr)
            files.remove(begun)


def _trainer(plan: Plan, examples: list[Example], held_out: list[Example], unfinished: Path) -> Seq2SeqTrainer:
    set_seed(plan.seed)
    p, dev = plan.tuning, bool(held_out)
    model = get_peft_model(bases.load(plan.base, plan.dtype), lora.fresh(p))
    dropout.install(model)
    passes = [row for number in range(p.epochs) for row in one_pass(examples, p.batch_size, seed_of(plan.seed, number))]
    trainer = Seq2SeqTrainer(
        model=model,
        args=_arguments(unfinished, plan, len(examples), dev),
        train_dataset=passes,
        eval_dataset=held_out if dev else None,  # type: ignore[arg-type]
        data_collator=DataCollatorForSeq2Seq(plan.prompt.tokenizer, model=model),
        callbacks=[EarlyStoppingCallback(p.patience)] if dev else [],
    )
    trainer.remove_callback(PrinterCallback)  # Curve speaks
    return trainer


def begin(plan: Plan, dev: Sequence[Dialogue], folder: Path) -> dict[str, float]:
    """Writes a fresh LoRA adapter into `folder`, and returns the ROUGE of the base, which says whether it summarises.

    LoRA adds B·A to a weight (Hu et al. 2021, arXiv 2106.09685): A is drawn from the seed and B is 0, so the policy is
    the base itself. Without dev dialogues nothing is returned.
    """
    set_seed(plan.seed)
    model = get_peft_model(bases.load(plan.base, plan.dtype), lora.fresh(plan.tuning))
    model.save_pretrained(str(folder), save_embedding_layers=False)
    return _rouge(model.to(plan.device), dev, plan) if dev else {}


def _examples(dialogues: Sequence[Dialogue], plan: Plan) -> list[Example]:
    """Prompt and reference as token ids, one row for each reference."""
    rows, longest = [], plan.tuning.max_summary_tokens
    for dialogue in dialogues:
        ids, mask = plan.prompt.encode([dialogue.text])
        for reference in dialogue.references:
            labels = plan.prompt.tokenizer(reference, truncation=True, max_length=longest)["input_ids"]
            rows.append({"input_ids": ids[0].tolist(), "attention_mask": mask[0].long().tolist(), "labels": labels})
    return rows


def one_pass(examples: Sequence[Example], batch_size: int, seed: int) -> list[Example]:
    """All of them in an order by chance that puts prompts of similar length into a batch: a third less to compute."""
    lengths = [len(row["input_ids"]) for row in examples]
    order = get_length_grouped_indices(lengths, batch_size, generator=torch.Generator().manual_seed(seed))
    return [examples[place] for place in order]


@torch.no_grad()
def _rouge(model: PeftModel, dialogues: Sequence[Dialogue], plan: Plan) -> dict[str, float]:
    """Mean ROUGE of greedy summaries, the best over the references."""
    p = plan.tuning
    dialogues = sorted(dialogues, key=lambda dialogue: len(dialogue.text))
    model.eval()
    texts: list[str] = []
    for start in range(0, len(dialogues), p.batch_size):
        ids, mask = plan.prompt.encode(
            [dialogue.text for dialogue in dialogues[start : start + p.batch_size]], model.device
        )
        drawn = model.generate(
            input_ids=ids, attention_mask=mask, max_new_tokens=p.max_summary_tokens, do_sample=False, num_beams=1
        )
        texts += plan.prompt.tokenizer.batch_decode(drawn, skip_special_tokens=True)
    rouge = Rouge().compute(predictions=texts, references=[list(each.references) for each in dialogues])
    return {name: sum(values) / len(values) for name, values in rouge.items()}


def _arguments(unfinished: Path, plan: Plan, examples: int, dev: bool) -> Seq2SeqTrainingArguments:
    p = plan.tuning
    interval = max(1, math.ceil(examples / p.batch_size) // EVALUATIONS)
    when = "steps" if dev else "no"
    return Seq2SeqTrainingArguments(
        output_dir=str(unfinished),
        seed=plan.seed,
        use_cpu=plan.device.type == "cpu",
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
        disable_tqdm=True,
        dataloader_pin_memory=False,
    )
