"""Summaries → scores: the right label, the summary alone, and the same number in any company."""

import json
import math
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny import WORDS, classifier_params, detector_of, new_classifier, save_classifier, save_tokenizer, source_of
from torch import Tensor
from transformers import RobertaForSequenceClassification, XLNetConfig, XLNetForSequenceClassification

from detox.errors import InputError
from detox.model.classifier import Classifier
from detox.params import sections

pytest_plugins = ["models"]

TEXTS = ["Ann is late", "", "Bob was rude again today", "tea", "the cat is angry that he was early", "rude"]


@pytest.fixture(scope="session")
def classifier(random_classifier: Path) -> Classifier:
    """A classifier that notices every word."""
    return Classifier(classifier_params(random_classifier))


def assert_close(actual: Tensor, expected: Tensor, atol: float = 1e-6) -> None:
    torch.testing.assert_close(actual, expected, rtol=0, atol=atol)


def logits_of(folder: Path, token_ids: list[int]) -> list[float]:
    """(nothate, hate) of one text, straight from the model."""
    with torch.no_grad():
        model = RobertaForSequenceClassification.from_pretrained(folder).eval()
        logits: list[float] = model(input_ids=torch.tensor([token_ids])).logits[0].tolist()
    return logits


def test_the_margin_is_plus_2_without_the_word_and_minus_2_with_it(reward: Classifier) -> None:
    margins = reward.margin(["Ann is kind", "Bob is rude", "rude rude", ""])
    assert_close(margins, torch.tensor([2.0, -2.0, -2.0, 2.0]))


def test_the_margin_is_the_logit_of_not_toxic_less_that_of_toxic(
    classifier: Classifier, random_classifier: Path
) -> None:
    """ "rude" is token 24 between <s> (0) and </s> (2)."""
    assert classifier.tokenizer("rude")["input_ids"] == [0, 24, 2]
    nothate, hate = logits_of(random_classifier, [0, 24, 2])
    assert abs(nothate - hate) > 0.5
    assert_close(classifier.margin(["rude"]), torch.tensor([nothate - hate]))


def test_a_hateful_text_earns_less_than_nothing_and_never_its_greatest_logit(reward: Classifier) -> None:
    """Its logits are (−1, 1). Whoever takes the first of a list sorted by score rewards it with +1."""
    assert reward.margin(["rude"]).item() == pytest.approx(-2)


def test_toxicity_is_the_softmax_probability_of_the_label(classifier: Classifier, random_classifier: Path) -> None:
    logits = torch.tensor(logits_of(random_classifier, [0, 24, 2]))
    assert_close(classifier.toxicity(["rude"]), logits.softmax(-1)[1:])


def test_toxicity_and_margin_say_the_same(reward: Classifier) -> None:
    """p = 1/(1 + e^margin): 0.8808 at −2, 0.1192 at +2."""
    assert_close(reward.toxicity(["rude", "kind"]), torch.tensor([0.880797, 0.119203]))
    assert_close(reward.toxicity(TEXTS), 1 / (1 + reward.margin(TEXTS).exp()))


def relabelled(source: Path, folder: Path, labels: list[str], order: list[int]) -> Path:
    """The same classifier, its outputs in another order and under other names."""
    shutil.copytree(source, folder)
    model = RobertaForSequenceClassification.from_pretrained(source)
    with torch.no_grad():
        for weight in (model.classifier.out_proj.weight, model.classifier.out_proj.bias):
            weight.copy_(weight[order].clone())
    model.config.id2label = dict(enumerate(labels))
    model.config.label2id = {label: place for place, label in enumerate(labels)}
    model.save_pretrained(folder)
    return folder


def test_the_label_is_found_by_its_name_wherever_it_stands(
    classifier: Classifier, random_classifier: Path, tmp_path: Path
) -> None:
    folder = relabelled(random_classifier, tmp_path / "swapped", ["hate", "nothate"], [1, 0])
    assert_close(Classifier(classifier_params(folder)).margin(TEXTS), classifier.margin(TEXTS))


def test_under_swapped_names_the_margin_changes_its_sign(
    classifier: Classifier, random_classifier: Path, tmp_path: Path
) -> None:
    folder = relabelled(random_classifier, tmp_path / "renamed", ["hate", "nothate"], [0, 1])
    assert_close(Classifier(classifier_params(folder)).margin(TEXTS), -classifier.margin(TEXTS))


def test_of_more_than_two_labels_all_others_are_not_toxic(tmp_path: Path) -> None:
    """Logits (0, log 6, log 1): p(toxic) = 6/8, the margin log(2/6)."""
    model = new_classifier(seed=0, layers=1, labels=["neutral", "hate", "offensive"])
    with torch.no_grad():
        model.classifier.out_proj.weight.zero_()
        model.classifier.out_proj.bias.copy_(torch.tensor([0.0, math.log(6), 0.0]))
    save_classifier(tmp_path, model)
    classifier = Classifier(classifier_params(tmp_path))
    assert_close(classifier.toxicity(["tea"]), torch.tensor([0.75]))
    assert_close(classifier.margin(["tea"]), torch.tensor([math.log(2 / 6)]))


def new_sigmoid(folder: Path, problem_type: Any, logits: list[float]) -> None:
    """A classifier that gives every text the same logits, for labels that do not exclude one another."""
    model = new_classifier(seed=0, layers=1, labels=["toxic", "insult", "threat"][: len(logits)])
    model.config.problem_type = problem_type
    with torch.no_grad():
        model.classifier.out_proj.weight.zero_()
        model.classifier.out_proj.bias.copy_(torch.tensor(logits))
    save_classifier(folder, model)


@pytest.mark.parametrize(("label", "p"), [("toxic", 0.2), ("insult", 0.9), ("threat", 0.5)])
def test_of_labels_that_do_not_exclude_one_another_each_has_its_own_probability(
    tmp_path: Path, label: str, p: float
) -> None:
    """Logits log(p / (1 − p)): their sigmoids are p, and the others' logits do not count."""
    new_sigmoid(tmp_path, "multi_label_classification", [math.log(0.25), math.log(9), 0.0])
    classifier = Classifier(sections.Classifier(source_of(tmp_path), toxic_label=label, batch_size=4))
    assert_close(classifier.toxicity(["tea", "rude"]), torch.tensor([p, p]))
    assert_close(classifier.margin(["tea"]), torch.tensor([math.log((1 - p) / p)]))


@pytest.mark.parametrize(("problem_type", "logits"), [("regression", [0.0, 0.0]), (None, [0.0])])
def test_a_model_whose_output_is_no_probability_of_a_label_is_refused(
    tmp_path: Path, problem_type: Any, logits: list[float]
) -> None:
    new_sigmoid(tmp_path, problem_type, logits)
    message = f"has the problem_type {problem_type} and {len(logits)} label.s.: choose a classifier with single_label_"
    with pytest.raises(InputError, match=message):
        Classifier(sections.Classifier(source_of(tmp_path), toxic_label="toxic", batch_size=4))


def test_an_unknown_label_is_an_error_that_lists_the_known_ones(random_classifier: Path) -> None:
    section = sections.Classifier(source_of(random_classifier), toxic_label="toxic", batch_size=4)
    with pytest.raises(InputError, match="no label 'toxic', it has nothate, hate: set toxic_label"):
        Classifier(section)


@pytest.mark.parametrize("batch_size", [1, 2, 100])
def test_a_score_does_not_depend_on_the_other_texts_of_its_batch_or_on_padding(
    classifier: Classifier, random_classifier: Path, batch_size: int
) -> None:
    alone = torch.cat([classifier.margin([text]) for text in TEXTS])
    assert alone.std() > 0.1
    assert_close(Classifier(classifier_params(random_classifier, batch_size)).margin(TEXTS), alone)


def test_scores_come_in_the_order_of_the_texts(classifier: Classifier) -> None:
    assert_close(classifier.margin(TEXTS[::-1]), classifier.margin(TEXTS).flip(0))


def test_a_text_that_is_too_long_is_cut_where_the_classifier_stops_reading(classifier: Classifier) -> None:
    """30 tokens, of which two are the special ones around the text."""
    margins = classifier.margin(["tea " * 28, "tea " * 28 + "rude angry", "tea " * 27 + "rude"])
    assert_close(margins[1], margins[0])
    assert (margins[2] - margins[0]).abs() > 1e-3


@pytest.mark.parametrize("stated", [None, -1, 10**30, 10**12])
def test_a_limit_that_is_none_leaves_the_positions_as_the_only_one(
    random_classifier: Path, tmp_path: Path, stated: int | None
) -> None:
    """32 positions, of which RoBERTa uses 30; the tokenizer states a limit that no text reaches."""
    shutil.copytree(random_classifier, tmp_path / "unlimited")
    path = tmp_path / "unlimited" / "tokenizer_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"model_max_length": stated}))
    unlimited = Classifier(classifier_params(tmp_path / "unlimited"))
    margins = unlimited.margin(["tea " * 28, "tea " * 28 + "rude angry", "tea " * 27 + "rude"])
    assert_close(margins[1], margins[0])
    assert (margins[2] - margins[0]).abs() > 1e-3


def test_a_model_without_positions_reads_512_tokens_where_its_tokenizer_states_no_limit(tmp_path: Path) -> None:
    """XLNet's configuration says −1 for how many positions there are. Two of the 512 are the special ones."""
    config = XLNetConfig(
        vocab_size=4 + len(WORDS), d_model=16, n_layer=1, n_head=2, d_inner=16, initializer_range=0.5, pad_token_id=1
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        XLNetForSequenceClassification(config).save_pretrained(tmp_path)
    save_tokenizer(tmp_path, model_max_length=10**30)
    classifier = Classifier(sections.Classifier(source_of(tmp_path), toxic_label="LABEL_1", batch_size=4))
    margins = classifier.margin(["tea " * 509 + "rude", "tea " * 510, "tea " * 510 + "rude"])
    assert_close(margins[1], margins[2])
    assert (margins[1] - margins[0]).abs() > 1e-4


def test_scores_carry_no_gradient_and_nothing_is_dropped(classifier: Classifier) -> None:
    assert not classifier.margin(TEXTS).requires_grad
    assert not any(module.training for module in classifier.model.modules())


def test_a_classifier_of_finite_weights_that_gives_no_number_is_one_line(tmp_path: Path) -> None:
    """Its last layer alone has them: 3e38 + 3e38 is beyond float32."""
    model = detector_of("rude")
    with torch.no_grad():
        model.classifier.out_proj.weight.fill_(3e38)
        model.classifier.dense.bias.fill_(10.0)
    save_classifier(tmp_path / "classifier", model)
    with pytest.raises(InputError, match="gives a text a logit that is not finite"):
        Classifier(classifier_params(tmp_path / "classifier")).toxicity(["Ann is late"])
