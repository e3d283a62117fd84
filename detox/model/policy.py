"""T5 with two LoRA adapters on one frozen base: the policy, which PPO trains, and the reference, which stays as it was.

Both start from the same supervised adapter, so that KL(policy ‖ reference) is 0 before the first update. Switching the
adapter off instead, as TRL's PPO did, compares with a model that cannot summarise.

TRL 1.12 is the last release with a value head for encoder–decoders; this is the only module that imports it.

The base may be in bfloat16; LoRA, both heads and all behind them are in float32 all the same. Rounded to bfloat16, a
token's log-probability may depend by some hundredths on what is computed beside it, so that only the same pass over the
same prompts gives it again. For rollouts all is `rounded`, which is faster; the loss corrects for the difference.

The decoder reads the response shifted right, so position t of its output belongs to token t of the response.
Axes: `batch`, `prompt`, `response` (padded on the right), `vocab`. No dropout: the model stays in eval mode.
"""

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import NamedTuple

import torch
from peft import PeftModel
from safetensors.torch import save as as_bytes
from torch import Tensor, nn
from transformers import LogitsProcessor
from transformers.modeling_outputs import BaseModelOutput
from trl.experimental.ppo import AutoModelForSeq2SeqLMWithValueHead

from detox.model import adapters, bases, distributions
from detox.model.sampling import Encoding, Sample, Step, draw, encoded
from detox.runtime.devices import CPU

POLICY, REFERENCE = "policy", "reference"


class Evaluation(NamedTuple):
    """One forward pass over given responses. The head computes no logits of padding."""

    logprobs: Tensor  # [batch response] log π of each token; 0 where the mask is False
    values: Tensor  # [batch response] value of the state before each token
    states: Tensor  # [batch response width] what the head reads
    logits: Tensor  # [tokens vocab] of the valid tokens, row by row


class Policy(nn.Module):
    """The trainable policy, its frozen reference and the value head, on one copy of the base model."""

    def __init__(self, base: Path, adapter: Path, dtype: str = "float32", device: torch.device = CPU):
        """Loads the base, in this type of numbers, and the adapter twice, onto the device on which inputs have to be.

        Raises InputError if one is damaged or they do not fit.
        """
        super().__init__()
        start = adapters.load(adapter, base)
        self.adapter = adapter
        model = bases.load(base, dtype)
        self.dtype, self.base_parameters = model.dtype, bases.size(model)
        peft_model = adapters.attached(model, start, POLICY, trainable=True)
        peft_model = adapters.attached(peft_model, start, REFERENCE)
        self.model = AutoModelForSeq2SeqLMWithValueHead.from_pretrained(peft_model, summary_dropout_prob=0.0)
        nn.init.zeros_(self.model.v_head.summary.weight)
        nn.init.zeros_(self.model.v_head.summary.bias)
        # What it gets wrong is no business of the adapter's.
        self.model.v_head.register_forward_pre_hook(lambda head, args: (args[0].detach(),))
        self.eval().to(device)

    @property
    def device(self) -> torch.device:
        """Where its weights are."""
        return self.model.v_head.summary.weight.device

    @property
    def exact(self) -> bool:
        """Whether decoding gives the log-probabilities of a fresh pass but for 1e-4: in float32 alone."""
        return self.dtype == torch.float32

    def merged(self, half: nn.Module) -> AbstractContextManager[None]:
        """Within the block the adapter is part of this half of the base; not in bfloat16, where much would be lost."""
        return adapters.merged(half) if self.exact else nullcontext()

    @contextmanager
    def rounded(self) -> Iterator[None]:
        """Within the block `sample` computes in the base's type of numbers: the adapter is merged, the head rounded.

        In float32 nothing changes. In bfloat16 other tokens are likely: `losses.importance_weights` makes up for it.
        """
        with nullcontext() if self.exact else adapters.merged(self.language_model), bases.rounded(self.language_model):
            yield

    @property
    def language_model(self) -> PeftModel:
        """The T5 below the value head."""
        return self.model.pretrained_model

    def adapter_parameters(self) -> list[nn.Parameter]:
        """The LoRA weights that PPO trains."""
        return [weight for name, weight in self.language_model.named_parameters() if f".{POLICY}." in name]

    def value_head_parameters(self) -> list[nn.Parameter]:
        """Weight and bias of the value head."""
        return list(self.model.v_head.parameters())

    @contextmanager
    def reference(self) -> Iterator[None]:
        """Within the block the model is the reference. No gradients: peft would unfreeze what it switches to."""
        self.language_model.set_adapter(REFERENCE, inference_mode=True)
        try:
            with torch.no_grad():
                yield
        finally:
            self.language_model.set_adapter(POLICY)

    @torch.no_grad()
    def sample(
        self,
        prompt_ids: Tensor,
        prompt_mask: Tensor,
        seeds: Sequence[int | None],
        max_new_tokens: int,
        constraint: LogitsProcessor | None = None,
    ) -> Sample:
        """One response per seed, drawn at temperature 1 from the whole distribution; the most probable tokens for None.

        Under a constraint the distribution is what that leaves of it.

        With k times as many seeds as prompts, the first k are for the first prompt and so on: each prompt is encoded
        once. Log-probabilities and values are those of the very pass that decoded, so if it is `exact`, none has to be
        run again. Tokens are picked in float32.
        """
        with self.merged(self.language_model.get_encoder()):
            states = encoded(self.language_model.get_encoder(), prompt_ids, prompt_mask)
            encoding = Encoding(states, prompt_mask.long(), max_new_tokens)
        with self.merged(self.language_model.get_decoder()), self._head_reads() as read:

            def step(tokens: Tensor) -> Step:
                logits, _, values = self.model(**encoding.inputs(), decoder_input_ids=tokens[:, None])
                return Step(logits[:, 0].float(), values[:, 0], read.pop()[:, 0])

            return draw(step, encoding, seeds, max_new_tokens, self.language_model.config, constraint)

    def evaluate(
        self, prompt_ids: Tensor, prompt_mask: Tensor, response_ids: Tensor, response_mask: Tensor
    ) -> Evaluation:
        """Log-probabilities, values and logits of given responses under the active adapter, with gradients.

        With k times as many responses as prompts, the first k answer the first prompt and so on; they share its
        encoding, through which the gradients of all of them flow.
        """
        with self._head_reads(response_mask) as states:
            attention_mask = prompt_mask.long()
            hidden = self.language_model.get_encoder()(input_ids=prompt_ids, attention_mask=attention_mask)[0]
            logits, _, values = self.model(
                encoder_outputs=BaseModelOutput(hidden),
                attention_mask=attention_mask,
                decoder_input_ids=self._shifted(response_ids),
                use_cache=False,
            )
        logprobs = distributions.token_logprobs(logits, response_ids[response_mask])
        tokens = torch.zeros_like(values).masked_scatter(response_mask, logprobs)
        return Evaluation(tokens, values, states[0], logits)

    def logits(self, states: Tensor) -> Tensor:
        """What the head makes of states that it has read before: `[… width]` → `[… vocab]`."""
        return self.language_model.get_output_embeddings()(states)

    def save(self, folder: Path) -> None:
        """The adapter's two files, which PeftModel.from_pretrained reads, and beside them value_head.safetensors."""
        adapters.save(self.language_model, POLICY, self.adapter, folder)
        head = self.model.v_head.summary
        tensors = {"weight": head.weight.detach(), "bias": head.bias.detach()}
        (folder / "value_head.safetensors").write_bytes(as_bytes(tensors))

    def sizes(self) -> dict[str, int | float]:
        """Trainable weights of the adapter, their share of base and adapter in percent, weights of the value head."""
        adapter = sum(weight.numel() for weight in self.adapter_parameters())
        return {
            "trainable_parameters": adapter,
            "trainable_percent": 100 * adapter / (self.base_parameters + adapter),
            "value_head_parameters": sum(weight.numel() for weight in self.value_head_parameters()),
        }

    @contextmanager
    def _head_reads(self, mask: Tensor | None = None) -> Iterator[list[Tensor]]:
        """Within the block, keeps what the head is given; with a mask it reads the valid tokens alone."""
        states: list[Tensor] = []

        def keep(module: nn.Module, args: tuple[Tensor]) -> tuple[Tensor]:
            states.append(args[0])
            return args if mask is None else (args[0][mask],)

        hook = self.language_model.get_output_embeddings().register_forward_pre_hook(keep)
        try:
            yield states
        finally:
            hook.remove()

    def _shifted(self, ids: Tensor) -> Tensor:
        """What the decoder reads to predict `ids`: the start token, then all but the last."""
        start = torch.full_like(ids[:, :1], self.language_model.config.decoder_start_token_id)
        return torch.cat([start, ids[:, :-1]], dim=1)
