"""Scores of summaries: ROUGE, toxicity, length and diversity on texts that can be counted by hand."""

import numpy as np
import pytest
from rouge_score import rouge_scorer

from detox.corpus.dialogues import Dialogue
from detox.errors import InputError
from detox.evaluation.metrics import (
    Instruments,
    Scores,
    Toxicity,
    agreement,
    describe_toxicity,
    distinct2,
    remembering,
    score,
    toxicity_of,
)
from detox.evaluation.rouge import ROUGE, Rouge

WORDS = {"calm": 0.0625, "rude": 0.5, "awful": 0.9375, "a b c": 0.0, "x": 0.25}


def by_word(texts: list[str]) -> list[float]:
    """A scorer whose values are exact in binary."""
    return [WORDS[text] for text in texts]


def rouge(summary: str, *references: str) -> dict[str, float]:
    """ROUGE of one summary."""
    scores = Rouge(keep_in_memory=True).compute(predictions=[summary], references=[list(references)])
    return {name: values[0] for name, values in scores.items()}


@pytest.fixture(autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """`evaluate` makes a folder per module: keep those of the tests together."""
    monkeypatch.setattr("evaluate.config.HF_METRICS_CACHE", str(tmp_path_factory.getbasetemp() / "evaluate"))


def test_rouge_of_one_changed_word() -> None:
    # "the cat on the mat" is common: 5 of 6 words, in order; 3 of 5 pairs: the-cat, on-the, the-mat.
    scores = rouge("the cat sat on the mat", "the cat is on the mat")

    assert scores == pytest.approx({"rouge1": 5 / 6, "rouge2": 3 / 5, "rougeL": 5 / 6, "rougeLsum": 5 / 6})


def test_rouge_f1_of_a_short_summary() -> None:
    # Precision 1, recall 2/4.
    assert rouge("Anna sings", "Anna sings and dances")["rouge1"] == pytest.approx(2 / 3)


def test_rouge_compares_stems() -> None:
    assert rouge("dogs barking", "dog barks")["rouge2"] == 1.0


def test_rouge_lsum_takes_lines_for_sentences() -> None:
    scores = rouge("a b\nc d", "c d\na b")

    assert (scores["rougeL"], scores["rougeLsum"]) == (0.5, 1.0)


def test_rouge_takes_the_best_reference_for_each_measure() -> None:
    # The first reference has all words in another order, the second the first two words only.
    scores = rouge("a b c d", "d c b a", "a b x y")

    assert scores == {"rouge1": 1.0, "rouge2": pytest.approx(1 / 3), "rougeL": 0.5, "rougeLsum": 0.5}


def test_rouge_is_rouge_scores_own() -> None:
    summary = "#Person1# is returning the lamps because 2 of them were broken, and demands £45."
    reference = "#Person1# returns two broken lamps and is demanding 45 pounds."
    own = rouge_scorer.RougeScorer(ROUGE, use_stemmer=True).score(reference, summary)

    assert rouge(summary, reference) == {name: value.fmeasure for name, value in own.items()}


def test_rouge_of_an_empty_summary_is_zero() -> None:
    assert set(rouge("", "the cat").values()) == {0.0}


def test_rouge_needs_references() -> None:
    with pytest.raises(InputError, match="at least one reference"):
        rouge("the cat")


def test_toxicity_is_what_the_scorer_says_of_each_text() -> None:
    scores = Toxicity(keep_in_memory=True).compute(predictions=["rude", "calm", "rude"], scorer=by_word)

    assert scores == {"toxicity": [0.5, 0.0625, 0.5]}


def test_no_summaries_are_an_error_rather_than_an_empty_list() -> None:
    with pytest.raises(InputError, match="no summaries to score"):
        Toxicity(keep_in_memory=True).compute(predictions=[], scorer=by_word)
    with pytest.raises(InputError, match="no summaries to score"):
        Rouge(keep_in_memory=True).compute(predictions=[], references=[])


def test_a_scorer_must_score_every_text() -> None:
    with pytest.raises(InputError, match="1 scores for 2 texts"):
        Toxicity(keep_in_memory=True).compute(predictions=["rude", "calm"], scorer=lambda texts: [0.5])


def test_equal_samples_are_scored_once() -> None:
    seen: list[str] = []

    def scorer(texts: list[str]) -> list[float]:
        seen.extend(texts)
        return by_word(texts)

    toxicity = toxicity_of([["rude", "calm"], ["calm", "calm"]], scorer)

    assert toxicity.tolist() == [[0.5, 0.0625], [0.0625, 0.0625]]
    assert sorted(seen) == ["calm", "rude"]


def test_toxicity_is_averaged_per_dialogue_and_its_rate_is_of_samples() -> None:
    # Dialogues at 0.3 and 0.7: std 0.2, 95th percentile 0.3 + 0.95 · 0.4; two of four samples reach 0.6.
    described = describe_toxicity(np.array([[0.2, 0.4], [0.6, 0.8]]), threshold=0.6)

    # The most toxic samples are 0.4 and 0.8: 0.6 on average, and one of the two dialogues reaches 0.6.
    assert described == pytest.approx({"mean": 0.5, "std": 0.2, "p95": 0.68, "rate": 0.5, "max": 0.6, "any": 0.5})


def test_agreement_is_the_share_on_one_side_and_kappa_takes_chance_out() -> None:
    # At 0.5 the first calls 2 of 4 toxic, the second 1 of 4: 3 the same; by chance 1/2 · 1/4 + 1/2 · 3/4 = 1/2.
    first, second = np.array([[0.9, 0.5], [0.1, 0.2]]), np.array([[0.8, 0.4], [0.1, 0.3]])

    assert agreement({"reward": first, "judge": second}, 0.5) == {"same": 0.75, "kappa": 0.5}
    assert agreement({"reward": first * 0, "judge": second * 0}, 0.5) == {"same": 1.0, "kappa": 1.0}


def test_distinct2_counts_word_pairs_over_all_summaries() -> None:
    # a-b, b-a, a-b and a-b: 2 different of 4.
    assert distinct2(["a b A b", "a b"]) == 0.5
    assert distinct2(["alone", ""]) == 0.0


def test_score_keeps_the_order_of_the_dialogues() -> None:
    dialogues = [Dialogue("d0", "a b", ("a b c",), "d0"), Dialogue("d1", "z", ("y",), "d1")]
    samples = [["rude", "calm"], ["awful", "awful"]]
    by = Instruments({"judge": by_word}, {"d0": {"n": ["b"], "m": ["c"]}, "d1": {}}, {"rude", "calm", "x"})
    scores = score(dialogues, ["a b c", "x"], samples, by)

    assert scores.toxicity["judge"].tolist() == [[0.5, 0.0625], [0.9375, 0.9375]]
    assert scores.quality["rougeL"].tolist() == [1.0, 0.0]
    assert scores.quality["words"].tolist() == [3.0, 1.0]
    assert scores.quality["copied"].tolist() == [pytest.approx(2 / 3), 0.0]
    assert scores.quality["slots"].tolist() == [1.0, 1.0]
    assert scores.greedy["judge"].tolist() == [0.0, 0.25]
    assert scores.quality["rougeL_samples"].tolist() == [0.0, 0.0]
    assert scores.quality["slots_samples"].tolist() == [0.0, 1.0]
    assert scores.quality["nonwords_greedy"].tolist() == [1.0, 0.0]
    assert scores.quality["nonwords"].tolist() == [0.0, 1.0]
    assert "slots" not in score(dialogues, ["a b c", "x"], samples, by._replace(facts=None)).quality


def test_a_text_is_read_once() -> None:
    asked: list[list[str]] = []

    def length(texts: list[str]) -> list[float]:
        asked.append(texts)
        return [len(text) / 8 for text in texts]

    scorer = remembering(length)
    assert scorer(["a", "abc", "a"]) == [0.125, 0.375, 0.125]
    assert scorer(["ab", "abc"]) == [0.25, 0.375]
    assert scorer(["a"]) == [0.125]
    assert asked == [["a", "abc"], ["ab"]]


def test_a_slice_is_described_by_its_dialogues_alone() -> None:
    toxicity = {"judge": np.array([[0.0], [1.0], [0.5]])}
    greedy, words = {"judge": np.array([0.25, 1.0, 0.5])}, {"words": np.array([3.0, 9.0, 5.0])}
    scores = Scores(toxicity, greedy, words, np.array(["a b a b", "c d", "a b"]))

    described = scores.select(np.array([True, False, True])).describe(threshold=0.5)

    assert described == {
        "judge": {"mean": 0.25, "std": 0.25, "p95": pytest.approx(0.475), "rate": 0.5, "max": 0.25, "any": 0.5},
        "words": 4.0,
        "judge_greedy": 0.375,
        "distinct2": 0.5,
    }
