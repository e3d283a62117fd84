"""When training must stop: numbers that are not finite, and a policy that has run away from its reference."""

from pathlib import Path

from safetensors.torch import save
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from detox import files
from detox.errors import InputError
from detox.model import prompts
from detox.ppo.rollouts import Rollout
from detox.runtime import ranks


class Diverged(Exception):
    """Says what is wrong with a batch from which nothing has been learnt."""

    def __init__(self, reason: str, rollout: Rollout):
        super().__init__(reason)
        self.rollout = rollout


def check_rollout(rollout: Rollout, kl_limit: float) -> None:
    """Raises Diverged unless rewards, values and KL are finite, and the mean KL is within the limit."""
    for name, numbers in (("reward", rollout.scores), ("value", rollout.values), ("KL", rollout.kl)):
        if not numbers.isfinite().all():
            raise Diverged(f"a {name} is not finite", rollout)
    if (kl := rollout.kl.sum(1).mean().item()) > kl_limit:
        raise Diverged(f"the KL is {kl:.4g} nats a summary, above ppo.kl_limit ({kl_limit:g})", rollout)


def check_gradient(norm: Tensor, rollout: Rollout) -> None:
    """Raises Diverged unless the gradient's norm is finite, which it is not where a loss is not."""
    if not norm.isfinite():
        raise Diverged("the loss or its gradient is not finite", rollout)


def report(error: Diverged, step: int, folder: Path, tokenizer: PreTrainedTokenizerBase) -> InputError:
    """Saves the batch, batch.safetensors for its numbers and batch.jsonl for its texts, and says where it is."""
    if ranks.rank() == 0:
        save_batch(error.rollout, folder, tokenizer)
    remedy = "lower ppo.learning_rate or raise ppo.kl_coef"
    return InputError(f"PPO step {step} diverged: {error}: see its batch in {folder}; {remedy}")


def save_batch(batch: Rollout, folder: Path, tokenizer: PreTrainedTokenizerBase) -> None:
    """What a rollout holds, in numbers and in texts."""
    dialogues = prompts.decode(tokenizer, batch.prompt_ids, batch.prompt_mask)
    summaries = prompts.decode(tokenizer, batch.response_ids, batch.response_mask)
    k = len(summaries) // len(dialogues)
    with files.atomic(folder) as new:
        new.mkdir()
        (new / "batch.safetensors").write_bytes(save(batch._asdict()))
        rows = [{"prompt": dialogues[row // k], "summary": summary} for row, summary in enumerate(summaries)]
        files.write_jsonl(new / "batch.jsonl", rows)
