"""The vocabularies: known words are one piece each, all others are spelt by short pieces that can be copied."""

import re
from collections import Counter
from collections.abc import Sequence
from random import Random

from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, processors
from transformers import PreTrainedTokenizerFast

from miniature.grammar import VALUES
from miniature.pretraining import SENTINELS
from miniature.words import LEXICON, content_words, first_words, made_up_word

WORDS, STARTS, ENDS = 6000, 500, 400  # whole words; pieces that begin a word; pieces that go on with one
LIKE_A_WORD = 5  # letters of the longest whole word with which a made-up name begins


def pieces(texts: Sequence[str]) -> list[str]:
    """A unigram vocabulary (Kudo 2018) with which a known word is one piece, and any other as few as possible.

    Names are never whole: they are to be copied piece by piece, as names that nobody has met.
    """
    names = set(VALUES["names"]["train"] + VALUES["towns"]["train"])
    counts = Counter(word for text in texts for word in text.split())
    counts.update(LEXICON)
    known = sorted((word for word in counts if word.isalpha() and word not in names), key=lambda w: (-counts[w], w))
    rng = Random(0)
    spelt = sorted(names) + [made_up_word(first, rng) for first in "Aa" for _ in range(2000)] + LEXICON
    starts = Counter(word[:n] for word in spelt for n in (2, 3) if len(word) > n)
    ends = Counter(word[i : i + n] for word in spelt for n in (2, 3) for i in range(1, len(word) - n + 1))
    letters = [chr(c) for c in range(33, 127)]
    found = ["▁", *(f"▁{letter}" for letter in letters), *letters, "▁#Person1#", "▁#Person2#", "#Person1#", "#Person2#"]
    found += [f"▁{piece}" for piece, _ in sorted(starts.items(), key=lambda item: (-item[1], item[0]))[:STARTS]]
    found += [piece for piece, _ in sorted(ends.items(), key=lambda item: (-item[1], item[0]))[:ENDS]]
    found += [f"▁{word}" for word in known[:WORDS]]
    return list(dict.fromkeys(found))


def tokenizer_of(found: Sequence[str]) -> PreTrainedTokenizerFast:
    """The pieces in T5's conventions. Digits and punctuation stand alone."""
    # Equal scores: the fewest pieces win, of these the split whose pieces differ most in length.
    scored = [(token, 0.0) for token in ("<pad>", "</s>", "<unk>")]
    scored += [(piece, -10 + 0.01 * len(piece) ** 2) for piece in dict.fromkeys(found)]
    tokenizer = Tokenizer(models.Unigram(scored, unk_id=2))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.WhitespaceSplit(),
            pre_tokenizers.Metaspace(prepend_scheme="always"),
            pre_tokenizers.Split(Regex(r"▁?#Person\d#|▁?\d|▁?[^\w▁]"), "isolated"),
        ]
    )
    tokenizer.decoder = decoders.Metaspace(prepend_scheme="always")
    tokenizer.post_processor = processors.TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 1)])
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="<pad>",
        eos_token="</s>",
        unk_token="<unk>",
        additional_special_tokens=SENTINELS,
        model_max_length=512,
    )


def with_words(tokenizer: PreTrainedTokenizerFast) -> PreTrainedTokenizerFast:
    """The vocabulary with every word of the content as one piece, as a large model has met every word of a language."""
    return _with(tokenizer, content_words())


def _with(tokenizer: PreTrainedTokenizerFast, words: Sequence[str]) -> PreTrainedTokenizerFast:
    found = sorted(tokenizer.get_vocab().items(), key=lambda item: item[1])
    known = [piece for piece, _ in found if piece not in tokenizer.all_special_tokens]
    return tokenizer_of([*known, *(f"▁{word}" for word in words)])


def with_capitals(tokenizer: PreTrainedTokenizerFast) -> PreTrainedTokenizerFast:
    """The vocabulary with the words that may begin a sentence in both forms, as far as they are whole."""
    return _with(tokenizer, [word.capitalize() for word in first_words()])


def practice(tokenizer: PreTrainedTokenizerFast, wider: PreTrainedTokenizerFast) -> list[str]:
    """Words to copy: the lexicon, the new words twice, as many strings of pieces, all pieces equally often.

    A name may begin like a word that is whole with a capital, as Beatrice does, and then has that as a piece.
    """
    known, rng = tokenizer.get_vocab(), Random(0)
    new = sorted(piece[1:] for piece in wider.get_vocab() if piece not in known)
    starts = sorted(piece[1:] for piece in known if re.fullmatch(r"▁[A-Za-z]?[a-z]{1,2}", piece))
    starts += [word.capitalize() for word in first_words() if len(word) <= LIKE_A_WORD]
    ends = sorted(piece for piece in known if re.fullmatch(r"[a-z]{1,3}", piece))
    spelt = [rng.choice(starts) + "".join(rng.choices(ends, k=rng.randint(1, 4))) for _ in range(2 * len(new))]
    return LEXICON + new * 2 + spelt
