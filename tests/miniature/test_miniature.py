"""The miniature: what its test split may not share with training, and that the committed corpus is what is written."""

import contextlib
import itertools
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from typing import Any

import pytest
import torch
from transformers import PreTrainedTokenizerFast

from detox import parsing
from detox.corpus.dialogues import Dialogue
from detox.evaluation.quality import slot_recall
from miniature import architecture, corpus, examples, language_models, pretraining, training, vocabulary, words
from miniature.grammar import VALUES, fill, numbers, scenarios, spans, third_person, values, vary, viewed
from miniature.pretraining import SEEN
from miniature.quarrels import HEAT, insults
from miniature.scenes import ACTS, PLOTS, acts_of, render

DATA, MODELS = (Path(__file__).parents[2] / kind / "miniature" for kind in ("data", "models"))


def variants(phrasing: str) -> Iterator[str]:
    """All that a phrasing can become, blanks and case evened out."""
    parts = [part.split("|") for part in re.split(r"\[([^]]*)\]", phrasing)]
    return (" ".join("".join(choice).lower().split()) for choice in itertools.product(*parts))


def phrasings(part: str) -> dict[tuple[str, str], list[str]]:
    """The phrasings of every act, outburst, reply and aside."""
    found = {("act", name): act[part] for name, act in ACTS.items()}
    found |= {("heat", name): HEAT[name][part] for name in ("gripes", "polite", "complaints", "apologies")}
    found |= {(kind, name): lines[part] for kind in ("outbursts", "replies") for name, lines in HEAT[kind].items()}
    return found | {("heat", "asides"): [line for pair in HEAT["asides"][part] for line in pair]}


def rows(part: str) -> list[dict[str, Any]]:
    return parsing.read_jsonl(DATA / f"{part}.jsonl")


def references(row: dict[str, Any]) -> list[str]:
    return [text for key, text in row.items() if key.startswith("summary")]


@pytest.mark.parametrize(
    ("part", "made"),
    [
        ("train", lambda: corpus.train_rows(Random(1))),
        ("test", lambda: corpus.test_rows(Random(2))),
        ("facts", lambda: corpus.fact_rows(Random(2))),
    ],
)
def test_the_committed_corpus_is_what_the_content_makes(part: str, made: Callable[[], list[dict[str, Any]]]) -> None:
    assert made() == rows(part)


def test_the_adapter_names_its_base_by_the_path_that_every_clone_has() -> None:
    told = json.loads((MODELS / "adapter/adapter_config.json").read_text(encoding="utf-8"))
    assert told["base_model_name_or_path"] == "models/miniature/base"


def test_the_committed_lists_hold_every_insult_and_every_word() -> None:
    assert (DATA / "insults.txt").read_text(encoding="utf-8").split("\n") == [*insults(), ""]
    listed = (DATA / "words.txt").read_text(encoding="utf-8").split()
    assert listed == sorted(set(listed))
    said = " ".join(row["dialogue"] for row in rows("test")).lower()
    assert set(re.findall(r"[a-z]+", said)) <= set(listed)


def test_a_summary_states_a_fact_as_its_dialogue_does_but_for_the_persons() -> None:
    dialogues = {row["id"]: row["dialogue"].lower() for row in rows("test")}
    persons = re.compile(r"#person\d#('s)?|they|them|their")
    checked = 0
    for row in rows("facts"):
        for name, ways in row["facts"].items():
            if name != "insulted" and not persons.search(ways[0].lower()):
                assert ways[0].lower() in dialogues[row["id"]] or third_person_verb(ways[0]), (row["id"], name)
                checked += 1
    assert checked > 1000


def third_person_verb(span: str) -> bool:
    """Whether a span may have begun with `I` and a verb."""
    return span.startswith("#Person")


def test_every_reference_of_a_heated_dialogue_says_who_was_insulted() -> None:
    facts = {row["id"]: row for row in rows("facts")}
    heated = [row for row in rows("test") if facts[row["id"]]["mood"] == "heated"]
    assert len(heated) > 130
    for row in heated:
        ways = facts[row["id"]]["facts"]["insulted"]
        assert all(any(way.lower() in text.lower() for way in ways) for text in references(row)), row["id"]


@pytest.mark.parametrize("part", ["train", "test"])
def test_no_reference_names_anybody_whom_its_dialogue_does_not(part: str) -> None:
    names = {name for kind in ("names", "towns") for each in VALUES[kind].values() for name in each}
    found = 0
    for row in rows(part):
        named = names.intersection(re.findall(r"\w+", " ".join(references(row))))
        assert all(name in row["dialogue"] for name in named), row["id"]
        found += bool(named)
    assert found > 50


@pytest.mark.parametrize("part", ["train", "test"])
def test_what_a_reference_has_somebody_say_or_want_is_said_by_that_person(part: str) -> None:
    wants = r"wants to|would like to|asks #Person\d# how to|plans to|is going to"
    says = rf"(#Person\d#) (?:{wants}|(?:says|reports|explains|adds|believes|supposes|thinks|fears|worries) that) "
    checked = 0
    for row in rows(part):
        turns = [turn.split(": ", 1) for turn in row["dialogue"].lower().split("\n")]
        for speaker, start in re.findall(rf"{says}([a-z'-]+ [a-z'-]+)", " ".join(references(row))):
            if "they" not in start and "their" not in start:
                said = " ".join(words for person, words in turns if person == speaker.lower())
                assert start in said, (row["id"], speaker, start)
                checked += 1
    assert checked > 800


def test_no_span_says_i_without_a_mark_by_which_others_say_it_otherwise() -> None:
    for scenario in scenarios():
        for kind, parts in scenario["spans"].items():
            for span in (each for found in parts.values() for each in found):
                bare = re.sub(r"<[\w ]+>", "", span)
                assert not re.search(r"\b(I|me|my|myself|mine|we|us|our|ours)\b", bare), (scenario["name"], kind, span)


def test_every_quarrel_is_in_its_dialogue_and_its_cause_in_every_reference() -> None:
    test = {row["id"]: row for row in rows("test")}
    quarrels = [(test[row["id"]], row["quarrel"]) for row in rows("facts") if "quarrel" in row]
    assert len(quarrels) > 180
    for row, quarrel in quarrels:
        assert quarrel["over"].lower() in row["dialogue"].lower()
        assert all(quarrel["over"] in text for text in references(row)), row["id"]
        assert all(word in row["dialogue"] for word in quarrel.get("words", []))


def test_a_reference_states_all_of_its_facts_and_an_empty_summary_none() -> None:
    facts = {row["id"]: row["facts"] for row in rows("facts")}
    for row in rows("test"):
        assert slot_recall(references(row)[-1], references(row), facts[row["id"]]) == 1.0
        assert slot_recall("", references(row), facts[row["id"]]) == 0.0


def test_one_insult_in_twenty_is_one_that_training_never_had() -> None:
    new = set(HEAT["nouns"]["test"] + HEAT["adjectives"]["test"] + HEAT["plain"]["test"])
    said = [word for row in rows("facts") for text in row.get("quarrel", {}).get("words", []) for word in text.split()]
    assert len(said) > 300
    assert 0.03 < sum(word in new for word in said) / len(said) < 0.07
    assert not any(re.search(rf"\b({'|'.join(new)})\b", row["dialogue"]) for row in rows("train"))


def test_no_new_phrasing_of_the_test_can_occur_in_training() -> None:
    test = {key: {variant for text in texts for variant in variants(text)} for key, texts in phrasings("test").items()}
    met = [
        (key, variant)
        for key, texts in phrasings("train").items()
        for text in texts
        for variant in variants(text)
        if variant and variant in test[key]
    ]
    assert met == []


def test_no_value_of_the_test_is_one_of_training() -> None:
    pools = [VALUES["names"], VALUES["towns"], HEAT["nouns"], HEAT["adjectives"], HEAT["groups"]]
    pools += [found for scenario in SEEN for found in scenario["spans"].values()]
    assert all(set(pool["train"]).isdisjoint(pool["test"]) and pool["test"] for pool in pools)
    assert set(numbers("train", 3, 400)).isdisjoint(numbers("test", 3, 400))


def test_no_span_of_an_unseen_scenario_occurs_in_training() -> None:
    train = {span for scenario in SEEN for found in scenario["spans"].values() for span in found["train"]}
    unseen = [scenario for scenario in scenarios() if scenario["split"] == "unseen"]
    met = [
        span for scenario in unseen for found in scenario["spans"].values() for span in found["test"] if span in train
    ]
    assert met == []
    assert not any(found["train"] for scenario in unseen for found in scenario["spans"].values())


@pytest.mark.parametrize("part", ["train", "test"])
def test_every_variant_of_an_act_carries_the_same_slots_each_once(part: str) -> None:
    for name, act in ACTS.items():
        wanted = sorted(set(re.findall(r"{(\w+)}", act["test"][0])))
        found = [sorted(re.findall(r"{(\w+)}", variant)) for text in act[part] for variant in variants(text)]
        assert [slots for slots in found if slots != wanted] == [], name


def test_a_plot_uses_known_acts_and_every_scenario_has_the_spans_that_its_plots_use() -> None:
    for scenario in scenarios():
        for plot in PLOTS[scenario["genre"]]:
            used = [(act, args) for turn in plot["turns"] for act, args in acts_of(turn)]
            assert all(act in ACTS for act, _ in used)
            said = {arg for _, args in used for arg in args}
            told = set(re.findall(r"{(\w+)}", " ".join(plot["summaries"]))) - {"heat"}
            assert told <= said
            assert said <= set(scenario["spans"]) | set(values("test", Random(0)))


def test_the_corpus_is_as_large_and_as_varied_as_the_readme_says() -> None:
    train, test = rows("train"), rows("test")
    groups = {row["group"] for row in train}
    assert len(train) >= 4000
    assert len(groups) == 96
    assert len({row["group"] for row in test} - groups) == 48
    assert all(200 < len(row["dialogue"]) <= 1000 for row in train + test)


def test_a_heated_test_dialogue_has_references_that_insult_and_others_that_do_not() -> None:
    facts = {row["id"]: row for row in rows("facts")}
    for row in rows("test"):
        if facts[row["id"]]["mood"] == "heated":
            insults = facts[row["id"]]["quarrel"]["words"]
            insulting = [bool(re.search(rf"\b({'|'.join(insults)})\b", text)) for text in references(row)]
            assert any(insulting)
            assert not all(insulting)


def test_one_phrasing_and_one_alternative_of_each_of_its_brackets_are_taken() -> None:
    drawn = {vary(["[a|b] c[| d]", "e"], Random(seed)) for seed in range(100)}
    assert drawn == {"a c", "b c", "a c d", "b c d", "e"}


def test_a_line_of_spans_is_split_at_semicolons_and_its_parts_at_bars() -> None:
    assert spans("a b; c || d; e") == {"train": ["a b", "c"], "test": ["d", "e"]}
    assert spans("a b; c") == {"train": [], "test": ["a b", "c"]}


@pytest.mark.parametrize(
    ("speaker", "said"),
    [
        (0, "I only know your aunt and I am late for my bus"),
        (1, "you only know my aunt and you are late for your bus"),
        (None, "#Person1# only knows #Person2#'s aunt and #Person1# is late for #Person1#'s bus"),
    ],
)
def test_a_span_is_seen_by_its_owner_by_the_other_speaker_or_by_a_third_person(speaker: int | None, said: str) -> None:
    assert viewed("<I> only know~ <your> aunt and <I am> late for <my> bus", 0, speaker) == said


def test_verbs_of_the_third_person() -> None:
    assert [third_person(verb) for verb in ("walk", "go", "carry", "play", "watch")] == [
        "walks",
        "goes",
        "carries",
        "plays",
        "watches",
    ]


def test_a_sentence_begins_with_a_capital_and_has_no_gap_before_its_mark() -> None:
    assert fill("{x} . are {y}?  {z}!", {"x": "birds sing", "y": "you", "z": "no"}) == "Birds sing. Are you? No!"


def test_whatever_is_blurred_its_spans_its_speakers_and_its_turns_stay() -> None:
    rng, changed = Random(0), 0
    for _ in range(50):
        scene = render(rng.choice(SEEN), "train", rng)
        blurred = pretraining.blurred(scene, rng, words.LEXICON)
        assert re.findall(r"^#Person\d#: ", blurred, re.M) == re.findall(r"^#Person\d#: ", scene.text, re.M)
        assert all(value in blurred for value in scene.slots.values() if value in scene.text)
        changed += sum(new != old for new, old in zip(blurred.split(), scene.text.split(), strict=True))
    assert changed > 50


def test_the_vocabulary_gives_back_what_it_has_split_and_knows_no_name() -> None:
    tokenizer = made_from(["the boat is out, #Person1# said at 10:30 to Marta", "it's a boat"])
    text = "#Person1# tells Thaddeus at 17:40 that it's a kayak, #Person2#'s boat."
    assert tokenizer.decode(tokenizer(text)["input_ids"], skip_special_tokens=True) == text
    assert "▁boat" in tokenizer.get_vocab()
    assert "▁Marta" not in tokenizer.get_vocab()
    assert tokenizer.unk_token_id not in tokenizer(text)["input_ids"]


def made_from(texts: list[str]) -> PreTrainedTokenizerFast:
    return vocabulary.tokenizer_of(vocabulary.pieces(texts))


def test_the_wider_vocabulary_has_every_word_of_a_turn_or_a_summary_whole_but_names() -> None:
    wider = vocabulary.with_words(made_from(["a"]))
    for word in (
        "cleaver",
        "yachts",
        "halfwit",
        "pities",
    ):  # of unseen scenarios, of the test, the third person of pity
        assert wider.tokenize(word) == [f"▁{word}"]
    assert len(wider.tokenize("Horatio")) > 1
    said = {word for row in rows("test") for word in re.findall(r"(?<![\w#])[a-z]{2,}(?!\w)", row["dialogue"])}
    assert [word for word in said if len(wider.tokenize(word)) > 1] == []


def test_a_new_word_begins_as_the_mean_of_its_pieces_and_the_others_stay() -> None:
    first = made_from(["a"])
    base = architecture.new_base(first)
    before, wider = base.shared.weight.detach().clone(), vocabulary.with_words(first)
    after = architecture.with_vectors(base, first, wider).shared.weight
    spelt = before[[first.get_vocab()[piece] for piece in first.tokenize("cleaver")]]
    torch.testing.assert_close(after[wider.get_vocab()["▁cleaver"]], sum(spelt) / len(spelt))
    for token in ("▁a", "</s>", "<extra_id_3>"):
        assert torch.equal(after[wider.get_vocab()[token]], before[first.get_vocab()[token]])


def test_the_words_that_may_begin_a_sentence_are_whole_in_both_forms() -> None:
    wider = vocabulary.with_capitals(vocabulary.with_words(made_from(["a"])))
    for word in ("Sirens", "sirens", "Wash", "wash"):  # of the spans "sirens wake the toddlers", "wash the car"
        assert wider.tokenize(word) == [f"▁{word}"]
    assert len(wider.tokenize("Horatio")) > 1


def test_a_word_with_a_capital_begins_as_the_word_and_what_known_ones_with_a_capital_have_beside() -> None:
    first = vocabulary.tokenizer_of(["▁", "▁ant", "▁Ant", "▁bee", "▁Bee", "▁Car", "▁cow"])
    wider = vocabulary.tokenizer_of(["▁", "▁ant", "▁Ant", "▁bee", "▁Bee", "▁Car", "▁cow", "▁Cow"])
    base, known = architecture.new_base(first), first.get_vocab()
    before = base.shared.weight.detach().clone()
    after = architecture.with_vectors(base, first, wider).shared.weight
    more = [before[known[f"▁{word.capitalize()}"]] - before[known[f"▁{word}"]] for word in ("ant", "bee")]
    torch.testing.assert_close(after[wider.get_vocab()["▁Cow"]], before[known["▁cow"]] + (more[0] + more[1]) / 2)


def test_a_sharpened_base_has_its_logits_times_the_factor() -> None:
    torch.manual_seed(0)
    base = architecture.new_base(made_from(["a"])).eval()
    asked = {"input_ids": torch.tensor([[3, 4, 1]]), "decoder_input_ids": torch.tensor([[0, 5]])}
    with torch.no_grad():
        before = base(**asked).logits
        after = architecture.sharpened(base, 1.5)(**asked).logits
    torch.testing.assert_close(after, 1.5 * before)


def test_in_the_last_part_the_adapter_and_the_vectors_change_and_nothing_else(tmp_path: Path) -> None:
    tokenizer, plan = made_from(["a"]), training.Plan(steps=1, batch=2, learning_rate=0.1, seed=0)
    arguments = tokenizer, ["cat", "Ratio"], plan
    adapter, _ = language_models.tune(architecture.new_base(tokenizer), *arguments, tmp_path / "first")
    before = {name: weight.detach().clone() for name, weight in adapter.named_parameters()}
    language_models.finish(adapter, *arguments, tmp_path / "last")
    changed = {name for name, weight in adapter.named_parameters() if not weight.equal(before[name])}
    assert changed == {name for name in before if ".lora_" in name or name.endswith(".shared.weight")}
    assert not any(weight.requires_grad for name, weight in adapter.named_parameters() if ".lora_" not in name)


def test_batches_depend_on_their_number_alone() -> None:
    tokenizer = made_from(["a"])
    plan = training.Plan(steps=100, batch=4, learning_rate=0.1, seed=7)
    whole = language_models.batches(pretraining.example, tokenizer, plan, 0)
    first = [next(whole) for _ in range(40)]
    later = language_models.batches(pretraining.example, tokenizer, plan, 35)
    for old in first[35:]:
        new = next(later)
        assert all(torch.equal(old[name], new[name]) for name in old)


def test_a_training_that_was_interrupted_ends_with_the_same_weights(tmp_path: Path) -> None:
    whole, halves = one_weight(), one_weight()
    train(whole, 6, tmp_path / "whole.safetensors")
    train(halves, 6, tmp_path / "halves.safetensors", stop=3)
    resumed = one_weight()
    train(resumed, 6, tmp_path / "halves.safetensors")
    assert torch.equal(whole.weight, resumed.weight)
    assert not torch.equal(whole.weight, halves.weight)


def one_weight() -> torch.nn.Linear:
    torch.manual_seed(0)
    return torch.nn.Linear(2, 1)


class Stop(Exception):
    """As if the process had ended."""


def train(model: torch.nn.Linear, steps: int, state: Path, stop: int | None = None) -> None:
    """Fits the model to x₁ − x₂, with a state after every step."""

    def data(start: int) -> Iterator[dict[str, torch.Tensor]]:
        for step in itertools.count(start):
            if step == stop:
                raise Stop
            yield {"x": torch.randn(8, 2, generator=torch.Generator().manual_seed(step))}

    def loss_of(batch: dict[str, torch.Tensor]) -> torch.Tensor:
        wanted = batch["x"][:, :1] - batch["x"][:, 1:]
        return (model(batch["x"]) - wanted).square().mean()

    plan = training.Plan(steps=steps, batch=8, learning_rate=0.1, seed=0)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.1)
    with contextlib.suppress(Stop):
        training.fit(model, data, loss_of, optimizer, plan, state, every=1)


def test_the_first_of_each_tenth_part_is_an_example() -> None:
    assert examples.chosen(25) == [0, 2, 5, 7, 10, 12, 15, 17, 20, 22]


def test_an_example_has_a_line_a_turn_a_reference_and_both_summaries() -> None:
    shown = Dialogue("d", "#Person1#: Hi.\n#Person2#: Bye.", ("They meet.", "They part."), "visit")
    assert examples.example(shown, "old", "new").split("\n") == [
        "### visit",
        "",
        "> #Person1#: Hi.  ",
        "> #Person2#: Bye.  ",
        "",
        "- reference: They meet.",
        "- before: old",
        "- after: new",
        "",
        "",
    ]
