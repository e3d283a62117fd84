"""Summaries → scores. The only module that knows a classifier; it judges the summary alone, never the dialogue."""

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor
from transformers import AutoModelForSequenceClassification, PreTrainedConfig, PreTrainedModel

from detox.errors import InputError
from detox.model import labels, library, linear, pretrained
from detox.params import sections
from detox.runtime import memory
from detox.runtime.devices import CPU
from detox.sources import local

UNSTATED = 512  # tokens of a text that a classifier reads which states no limit: more than any summary has
NO_LIMIT = 10**9  # a limit from here on is none, like the 10^30 of a tokenizer that states none; so is one below 1


def check(folder: Path, toxic_label: str) -> PreTrainedModel:
    """The classifier without its weights, once it is whole, has the label and a tokenizer. Raises InputError."""
    skeleton: PreTrainedModel = pretrained.check(AutoModelForSequenceClassification, folder)
    pretrained.tokenizer(folder, "pad")
    labels.toxic(skeleton.config, toxic_label, folder)
    return skeleton


class Classifier:
    """A classifier of texts, one of whose labels, found by its name, means toxic.

    Its labels exclude one another (softmax) or do not (sigmoid), as its configuration's problem_type says; where that
    says nothing, they do.
    """

    def __init__(self, p: sections.Classifier, device: torch.device = CPU):
        """Loads model and tokenizer, the model onto this device.

        Raises InputError if they are missing, are no such classifier, lack the label.
        """
        path = local.path(p.source)
        self.model = pretrained.model(AutoModelForSequenceClassification, path)
        self.tokenizer = pretrained.tokenizer(path, "pad")
        linear.freeze(self.model)
        self.model.to(device)
        self.toxic = labels.toxic(self.model.config, p.toxic_label, path)
        self.batch_size = p.batch_size
        self.longest = _longest(self.tokenizer.model_max_length, self.model.config)

    def margin(self, texts: Sequence[str]) -> Tensor:
        """log p(not toxic) − log p(toxic) of each text, `[batch]`.

        The difference of two logits for two labels that exclude one another; minus the label's logit for a sigmoid.
        Raises InputError if the classifier gives no number for a text.
        """
        logits = self._logits(texts)
        if not logits.isfinite().all():
            raise InputError(f"{self.model.name_or_path}: gives a text a logit that is not finite: use another")
        output, independent = self.toxic
        if independent:
            return -logits[:, output]
        others = torch.cat([logits[:, :output], logits[:, output + 1 :]], dim=1)
        return others.logsumexp(dim=1) - logits[:, output]

    def toxicity(self, texts: Sequence[str]) -> Tensor:
        """p(toxic) of each text, `[batch]`."""
        return torch.sigmoid(-self.margin(texts))

    @torch.no_grad()
    def _logits(self, texts: Sequence[str]) -> Tensor:
        """`[batch labels]`. Texts of similar length share a batch, so that little is padding; too long ones are cut."""
        tokens = library.tokens(self.tokenizer, list(texts), truncation=True, max_length=self.longest)
        order = sorted(range(len(texts)), key=lambda i: len(tokens[i]))
        logits = torch.empty(len(texts), self.model.config.num_labels)

        def read(rows: list[int]) -> dict[int, Tensor]:
            batch = self.tokenizer.pad({"input_ids": [tokens[i] for i in rows]}, return_tensors="pt")
            return dict(zip(rows, self.model(**batch.to(self.model.device)).logits.cpu(), strict=True))

        batches = (order[start : start + self.batch_size] for start in range(0, len(order), self.batch_size))
        for found in memory.in_parts(read, batches, f"one text for {self.model.name_or_path}: use another classifier"):
            logits[list(found)] = torch.stack(list(found.values()))
        return logits


def _longest(stated: int, config: PreTrainedConfig) -> int:
    """Tokens of a text that the classifier reads: its tokenizer states a limit, its model has so many positions."""
    positions = getattr(config, "max_position_embeddings", None) or 0
    # RoBERTa's positions begin at 2, so it has room for two tokens fewer; to other models they are no loss.
    return min([limit for limit in (stated, positions - 2) if 0 < limit < NO_LIMIT], default=UNSTATED)
