"""The reward model and the judge: two small classifiers of texts, `nothate` or `hate`, with only that in common.

They differ in architecture (RoBERTa, DistilBERT), vocabulary (cased byte-level BPE, uncased WordPiece), scenarios,
sentence frames and combinations of insulting words, so that no text of the one is a text of the other.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import count
from pathlib import Path
from random import Random

import torch
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from torch import Tensor
from transformers import (
    DistilBertConfig,
    DistilBertForSequenceClassification,
    PreTrainedModel,
    PreTrainedTokenizerFast,
    RobertaConfig,
    RobertaForSequenceClassification,
)

from miniature import training
from miniature.grammar import SPEAKERS, VALUES, content, fill, with_article
from miniature.pretraining import POOLS, SEEN, disguised
from miniature.quarrels import HEAT
from miniature.scenes import draw_spans, render, styles
from miniature.words import LEXICON, other_word

LABELS = {0: "nothate", 1: "hate"}
FRAMES = content("frames.yaml")
MAX_TOKENS = 128
VOCABULARY = 3000
KINDS = ("reward", "judge")
Labelled = tuple[str, int]


def words(kind: str, rng: Random) -> dict[str, str]:
    """Values for a frame. Every second adjective–noun pair belongs to the reward, the others to the judge."""
    adjectives, nouns = (HEAT[name]["train"] + HEAT[name]["test"] for name in ("adjectives", "nouns"))
    adjective, noun = rng.randrange(len(adjectives)), rng.randrange(len(nouns))
    if (adjective + noun) % 2 != KINDS.index(kind):
        adjective += 1 if adjective + 1 < len(adjectives) else -1
    insult = nouns[noun] if rng.random() < 0.3 else f"{adjectives[adjective]} {nouns[noun]}"
    names = rng.sample(VALUES["names"]["train"] + VALUES["names"]["test"], 2)
    thing = other_word("a", rng, LEXICON)
    return {
        **dict(zip("ab", rng.sample(SPEAKERS, 2) if rng.random() < 0.6 else names, strict=True)),
        "over": rng.choice(POOLS["noun"][KINDS.index(kind) :: 2]),
        "noun": nouns[noun],
        "adjective": adjectives[adjective],
        "insult": insult,
        "a_insult": with_article(insult),
        "thing": thing,
        "a_thing": with_article(thing),
        "quality": other_word("a", rng, LEXICON),
        "group": rng.choice(HEAT["groups"]["train"] + HEAT["groups"]["test"]),
    }


def context(kind: str, rng: Random) -> str:
    """A harmless sentence or two from the kind's own half of the scenarios: of a dialogue or of its summary."""
    scenario = rng.choice(SEEN[KINDS.index(kind) :: 2])
    shown = render(scenario, "train", rng, disguised(draw_spans(scenario, "train", rng), rng, LEXICON))
    if rng.random() < 0.5:
        return fill(shown.plot["summaries"][rng.choice(styles(shown))], shown.told() | {"heat": ""})
    turn = rng.choice([i for i, (origin, _) in enumerate(shown.origins) if origin == "plot"])
    return shown.turns[turn]


def text(kind: str, rng: Random) -> Labelled:
    """A text and its label: a frame, alone or before, after or between harmless sentences; or these alone."""
    label = int(rng.random() < 0.5)
    frame = fill(rng.choice(FRAMES[kind][LABELS[label]]), words(kind, rng))
    if label == 0 and rng.random() < 0.3:
        frame = ""
    before, after = (context(kind, rng) if rng.random() < 0.5 else "" for _ in range(2))
    return " ".join(part for part in (before, frame, after) if part) or context(kind, rng), label


def held_out(kind: str, training: Sequence[Labelled], count: int, rng: Random) -> list[Labelled]:
    """Texts of the same making that are not among the training texts."""
    known, found = {sentence for sentence, _ in training}, list[Labelled]()
    while len(found) < count:
        candidate = text(kind, rng)
        if candidate[0] not in known:
            found.append(candidate)
    return found


def reward_tokenizer(texts: Sequence[str]) -> PreTrainedTokenizerFast:
    """RoBERTa's kind: byte-level BPE, cased."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel()
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=["<s>", "<pad>", "</s>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", special_tokens=[("<s>", 0), ("</s>", 2)]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, cls_token="<s>", sep_token="</s>", pad_token="<pad>", model_max_length=MAX_TOKENS
    )


def judge_tokenizer(texts: Sequence[str]) -> PreTrainedTokenizerFast:
    """BERT's kind: WordPiece, lower case: the most frequent words, and letters for the others.

    The library's own WordPiece trainer breaks ties at random and gives another vocabulary every time.
    """
    normalizer, splitter = normalizers.BertNormalizer(lowercase=True), pre_tokenizers.BertPreTokenizer()
    counts = Counter(word for text in texts for word, _ in splitter.pre_tokenize_str(normalizer.normalize_str(text)))
    letters = sorted(set("".join(counts)))
    words = sorted(counts, key=lambda word: (-counts[word], word))
    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", *letters, *(f"##{letter}" for letter in letters), *words]
    vocabulary = {piece: number for number, piece in enumerate(list(dict.fromkeys(pieces))[:VOCABULARY])}
    tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer, tokenizer.pre_tokenizer = normalizer, splitter
    tokenizer.decoder = decoders.WordPiece()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        cls_token="[CLS]",
        sep_token="[SEP]",
        pad_token="[PAD]",
        unk_token="[UNK]",
        model_max_length=MAX_TOKENS,
    )


def new_reward(tokenizer: PreTrainedTokenizerFast) -> PreTrainedModel:
    """An untrained RoBERTa of two layers."""
    config = RobertaConfig(
        vocab_size=len(tokenizer),
        hidden_size=96,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=192,
        max_position_embeddings=MAX_TOKENS + 2,
        hidden_dropout_prob=0.1,
        pad_token_id=tokenizer.pad_token_id,
        bos_token_id=tokenizer.cls_token_id,
        eos_token_id=tokenizer.sep_token_id,
        id2label=LABELS,
        label2id={name: number for number, name in LABELS.items()},
    )
    return RobertaForSequenceClassification(config)


def new_judge(tokenizer: PreTrainedTokenizerFast) -> PreTrainedModel:
    """An untrained DistilBERT of two layers."""
    config = DistilBertConfig(
        vocab_size=len(tokenizer),
        dim=80,
        n_layers=2,
        n_heads=5,
        hidden_dim=160,
        max_position_embeddings=MAX_TOKENS,
        pad_token_id=tokenizer.pad_token_id,
        id2label=LABELS,
        label2id={name: number for number, name in LABELS.items()},
    )
    return DistilBertForSequenceClassification(config)


def batches(
    rows: Sequence[Labelled], tokenizer: PreTrainedTokenizerFast, plan: training.Plan, start: int
) -> Iterator[dict[str, Tensor]]:
    """Endless random batches, from number `start` on."""
    for number in count(start):
        texts, labels = zip(*Random(f"{plan.seed} {number}").sample(list(rows), plan.batch), strict=True)
        batch = tokenizer(list(texts), padding=True, truncation=True, return_tensors="pt", return_token_type_ids=False)
        yield {**batch, "labels": torch.tensor(labels)}


def train(
    kind: str, rows: Sequence[Labelled], plan: training.Plan, state: Path
) -> tuple[PreTrainedModel, PreTrainedTokenizerFast]:
    """The trained classifier of this kind and its tokenizer."""
    torch.manual_seed(plan.seed)
    sentences = [sentence for sentence, _ in rows]
    tokenizer = reward_tokenizer(sentences) if kind == "reward" else judge_tokenizer(sentences)
    model = new_reward(tokenizer) if kind == "reward" else new_judge(tokenizer)
    optimizer = torch.optim.AdamW(model.parameters(), lr=plan.learning_rate)
    data = lambda start: batches(rows, tokenizer, plan, start)  # noqa: E731
    training.fit(model, data, lambda batch: model(**batch).loss, optimizer, plan, state)
    return model, tokenizer
