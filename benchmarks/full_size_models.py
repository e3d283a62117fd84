"""Write the models of the flan-t5-base profile with random weights: base, adapter, reward and judge.

Their memory, time and size on the disk are those of the real ones. The classifiers' own tokenizers are not needed for
that: they get FLAN-T5's, and the judge as many embeddings as this has tokens, 5 % more than its own.
"""

import argparse
from pathlib import Path

import torch
from transformers import AutoTokenizer, BertConfig, BertForSequenceClassification

from benchmarks import shapes
from detox.model import vocabularies

ROBERTA_VOCABULARY = 50_265
JIGSAW = ["toxic", "severe_toxic", "obscene", "threat", "insult", "identity_hate"]  # the labels of toxic-bert


def new_bert(width: int, layers: int) -> BertForSequenceClassification:
    """BERT's architecture with random weights and six labels that do not exclude one another."""
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=shapes.VOCABULARY,
        hidden_size=width,
        intermediate_size=4 * width,
        num_attention_heads=width // 64,
        num_hidden_layers=layers,
        problem_type="multi_label_classification",
        id2label=dict(enumerate(JIGSAW)),
        label2id={label: place for place, label in enumerate(JIGSAW)},
        pad_token_id=0,
    )
    return BertForSequenceClassification(config)


def main() -> None:
    """Writes the models, in a process of its own: a measured process would begin with its parent's memory as peak."""
    parser = argparse.ArgumentParser("python -m benchmarks.full_size_models", description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--tokenizer", type=Path, required=True, help="a folder with FLAN-T5's own tokenizer")
    parser.add_argument("--width", type=int, required=True)
    parser.add_argument("--layers", type=int, required=True)
    arguments = parser.parse_args()
    width, layers = arguments.width, arguments.layers
    with vocabularies.cleaned(arguments.tokenizer, "get it again from its source") as copy:
        tokenizer = AutoTokenizer.from_pretrained(copy, trust_remote_code=False)
    base = shapes.new_t5(width, layers)
    base.save_pretrained(arguments.folder / "base")
    shapes.new_adapter(base).save_pretrained(str(arguments.folder / "adapter"), save_embedding_layers=False)
    shapes.new_roberta(width, layers, ROBERTA_VOCABULARY).save_pretrained(arguments.folder / "reward")
    new_bert(width, layers).save_pretrained(arguments.folder / "judge")
    for name in ("base", "reward", "judge"):
        tokenizer.save_pretrained(arguments.folder / name)


if __name__ == "__main__":
    main()
