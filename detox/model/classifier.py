"""Summaries → scores. The only module that knows a classifier; it judges the summary alone, never the dialogue."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor
from transformers import AutoModelForSequenceClassification

from detox import params
from detox.errors import InputError
from detox.model import linear, pretrained
from detox.runtime.devices import CPU
from detox.sources import local

SOFTMAX, SIGMOID = "single_label_classification", "multi_label_classification"  # problem_type in a config.json


class Classifier:
    """A classifier of texts, one of whose labels, found by its name, means toxic.

    Its labels exclude one another (softmax) or do not (sigmoid), as its configuration's problem_type says; where that
    says nothing, they do.
    """

    def __init__(self, p: params.Classifier, device: torch.device = CPU):
        """Loads model and tokenizer, the model onto this device.

        Raises InputError if they are missing, are no such classifier, lack the label.
        """
        path = local.path(p.source)
        self.model = pretrained.model(AutoModelForSequenceClassification, path)
        self.tokenizer = pretrained.tokenizer(path, "pad")
        linear.freeze(self.model)
        self.model.to(device)
        config = self.model.config
        self.kind = config.problem_type or SOFTMAX
        if self.kind not in (SOFTMAX, SIGMOID) or (self.kind == SOFTMAX and config.num_labels < 2):
            raise InputError(
                f"{path} has the problem_type {config.problem_type} and {config.num_labels} label(s): "
                f"choose a classifier with {SOFTMAX} and two labels or more, or with {SIGMOID}"
            )
        labels = config.id2label
        if config.label2id != {label: place for place, label in labels.items()} or len(config.label2id) < len(labels):
            raise InputError(f"{path / 'config.json'}: id2label and label2id contradict each other: correct one")
        if p.toxic_label not in config.label2id:
            known = ", ".join(labels[place] for place in sorted(labels))
            raise InputError(f"{path} has no label {p.toxic_label!r}, it has {known}: set toxic_label to one of these")
        self.toxic = config.label2id[p.toxic_label]
        self.batch_size = p.batch_size
        stated, positions = self.tokenizer.model_max_length, getattr(config, "max_position_embeddings", math.inf)
        self.longest = None if stated <= positions else positions - 2  # RoBERTa's positions begin at 2

    def margin(self, texts: Sequence[str]) -> Tensor:
        """log p(not toxic) − log p(toxic) of each text, `[batch]`.

        The difference of two logits for two labels that exclude one another; minus the label's logit for a sigmoid.
        """
        logits = self._logits(texts)
        if self.kind == SIGMOID:
            return -logits[:, self.toxic]
        others = torch.cat([logits[:, : self.toxic], logits[:, self.toxic + 1 :]], dim=1)
        return others.logsumexp(dim=1) - logits[:, self.toxic]

    def toxicity(self, texts: Sequence[str]) -> Tensor:
        """p(toxic) of each text, `[batch]`."""
        return torch.sigmoid(-self.margin(texts))

    @torch.no_grad()
    def _logits(self, texts: Sequence[str]) -> Tensor:
        """`[batch labels]`. Texts of similar length share a batch, so that little is padding; too long ones are cut."""
        tokens = self.tokenizer(list(texts), truncation=True, max_length=self.longest)["input_ids"]
        order = sorted(range(len(texts)), key=lambda i: len(tokens[i]))
        logits = torch.empty(len(texts), self.model.config.num_labels)
        for start in range(0, len(order), self.batch_size):
            rows = order[start : start + self.batch_size]
            batch = self.tokenizer.pad({"input_ids": [tokens[i] for i in rows]}, return_tensors="pt")
            logits[rows] = self.model(**batch.to(self.model.device)).logits.cpu()
        return logits
