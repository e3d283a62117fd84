"""ROUGE of summaries in every script."""

from collections.abc import Sequence
from functools import cache

import evaluate
from datasets import List, Value
from nltk.stem.porter import PorterStemmer
from rouge_score import rouge_scorer, tokenizers

from detox.errors import InputError
from detox.evaluation import modules, words
from detox.runtime import ranks

ROUGE = ("rouge1", "rouge2", "rougeL", "rougeLsum")

_PORTER = PorterStemmer()


class _Terms(tokenizers.Tokenizer):
    """The terms of a text in any script; of English words the stems, as rouge_score stems them."""

    def __init__(self, english: bool):
        self.english = english

    def tokenize(self, text: str) -> list[str]:
        return [_stem(term) if self.english else term for term in words.terms(text)]


@cache  # stemming is most of ROUGE's time, and a corpus has few different words
def _stem(term: str) -> str:
    return str(_PORTER.stem(term)) if len(term) > 3 and term.isascii() else term


@cache  # every third summary is the same before and after
def _rouge(summary: str, references: tuple[str, ...], english: bool) -> dict[str, float]:
    # Of single lines rougeLsum is rougeL, and as slow to compute.
    several_lines = any("\n" in text for text in (summary, *references))
    measures = ROUGE if several_lines else ROUGE[:-1]
    scores = rouge_scorer.RougeScorer(measures, tokenizer=_Terms(english)).score_multi(references, summary)
    return {name: scores[name if name in measures else "rougeL"].fmeasure for name in ROUGE}


class Rouge(evaluate.Metric):
    """ROUGE-1, -2, -L, -Lsum: F1 of words, a list per measure, the best over each example's references.

    The maths is `rouge_score`'s (Lin 2004), and so are words of a–z and their stems; words.py has those of other
    scripts, and no stems where the references are not English. rougeLsum takes lines for sentences, as everywhere.
    """

    def _info(self) -> evaluate.EvaluationModuleInfo:
        texts = {"predictions": Value("string"), "references": List(Value("string"))}
        return modules.info("ROUGE F1 of each summary, the best over its references.", texts)

    def _compute(self, predictions: Sequence[str], references: Sequence[Sequence[str]]) -> dict[str, list[float]]:
        modules.require_texts(predictions)
        if not all(references):
            raise InputError("ROUGE needs at least one reference summary for every summary")
        pairs = list(zip(predictions, map(tuple, references), strict=True))
        english = words.english(text for texts in references for text in texts)
        scores = ranks.shared_out(lambda share: [_rouge(*pair, english) for pair in share], pairs)
        return {name: [score[name] for score in scores] for name in ROUGE}
