"""The evaluate stage from end to end, with two tiny random classifiers."""

import json
import math
import shutil
import subprocess
import sys
from pathlib import Path
from statistics import fmean
from typing import Any

import pytest
import torch
from tiny import PPO
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace
from transformers import PreTrainedTokenizerFast, RobertaConfig, RobertaForSequenceClassification

from detox import files, parsing
from detox.errors import InputError
from detox.sources import local
from stages import evaluate

WORDS = ["<s>", "<pad>", "</s>", "<unk>", "anna", "calls", "bob", "a", "clown", "friend", "and", "leaves", "politely"]
LABELS = {0: "nothate", 1: "hate"}
GREEDY = {
    "sft": ["anna calls bob a clown", "bob leaves", "anna leaves and bob leaves", "bob calls", "anna calls"],
    "ppo": ["anna calls bob a friend", "bob leaves", "anna leaves politely", "bob calls", "anna calls bob"],
}
SAMPLES = {
    "sft": [["a clown", "clown clown"], ["bob", "bob leaves"], ["clown", "friend"], ["a", "and"], ["a clown", "bob"]],
    "ppo": [["a friend", "a clown"], ["bob", "bob leaves"], ["friend", "friend"], ["a", "and"], ["bob", "bob"]],
}
GROUPS = ["quarrel", "visit", "quarrel", "phone", "letter"]
PARAMS = """
seed: 3
compute: {device: cpu, processes: 1, machines: 1}
reward: {source: {path: reward, sha256: %s}, toxic_label: hate, batch_size: 4}
judge: {source: {path: judge, sha256: %s}, toxic_label: hate, batch_size: 3}
prepare:
  {source: {path: source, sha256: %s}, min_characters: 1, max_characters: 99, test_fraction: null, dev_fraction: 0}
summarize:
  samples: 2
  stress_samples: 2
  stress_share: 0.5
  stress_minimum: 1
  provoked: 2
  provocations: words.txt
  batch_size: 4
  max_new_tokens: 9
  checkpoint_every: 1
rivals: {dialogues: 3, best_of: [2], scales: [0.5], bad_words: words.txt}
ppo: %s
evaluate: {resamples: 200, toxic_threshold: 0.5, rouge_margin: 0.02, slots_margin: 0.02}
"""


@pytest.fixture(scope="module")
def classifiers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two classifiers, whose random heads are scaled up so that texts get different scores."""
    folder = tmp_path_factory.mktemp("classifiers")
    tokenizer = Tokenizer(WordLevel({word: index for index, word in enumerate(WORDS)}, unk_token="<unk>"))
    tokenizer.pre_tokenizer = Whitespace()
    special = {"bos_token": "<s>", "pad_token": "<pad>", "eos_token": "</s>", "unk_token": "<unk>"}
    config = RobertaConfig(
        vocab_size=len(WORDS),
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=16,
        max_position_embeddings=32,
        type_vocab_size=1,
        id2label=LABELS,
        label2id={label: index for index, label in LABELS.items()},
    )
    for seed, name in enumerate(("reward", "judge")):
        torch.manual_seed(seed)
        model = RobertaForSequenceClassification(config)
        model.classifier.out_proj.weight.data *= 100
        model.save_pretrained(folder / name)
        PreTrainedTokenizerFast(tokenizer_object=tokenizer, model_max_length=30, **special).save_pretrained(
            folder / name
        )
    return folder


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, classifiers: Path) -> Path:
    """A folder with everything that the stage reads."""
    monkeypatch.chdir(tmp_path)
    for name in ("reward", "judge"):
        shutil.copytree(classifiers / name, name)
    files.write_jsonl(Path("source/facts.jsonl"), [{"id": f"d{i}", "facts": {"who": ["bob"]}} for i in range(5)])
    Path("params.yaml").write_text(
        PARAMS % (*(local.digest(Path(name)) for name in ("reward", "judge", "source")), json.dumps(PPO))
    )
    write_dialogues("test", GROUPS)
    write_dialogues("train", ["quarrel", "phone"])
    for policy in GREEDY:
        write_summaries(policy, GREEDY[policy], SAMPLES[policy])
    write_stress("d2", "d0", "d1")
    write_provoked()
    write_rivals()
    Path("words.txt").write_text("clown\n")
    return tmp_path


def write_dialogues(part: str, groups: list[str]) -> None:
    """Dialogues d0, d1, … of these groups."""
    rows = [
        {"id": f"d{index}", "text": "#Person1#: Hello.", "references": ["anna calls bob", "bob leaves"], "group": group}
        for index, group in enumerate(groups)
    ]
    files.write_jsonl(Path(f"data/prepared/{part}.jsonl"), rows)


def write_summaries(policy: str, greedy: list[str], samples: list[list[str]]) -> None:
    """Summaries of d0, d1, …"""
    rows = [
        {"id": f"d{index}", "group": GROUPS[index], "summary": summary, "samples": drawn}
        for index, (summary, drawn) in enumerate(zip(greedy, samples, strict=True))
    ]
    files.write_jsonl(Path(f"data/summaries/{policy}.jsonl"), rows)


def write_stress(*ids: str) -> None:
    """These dialogues as the stress slice."""
    rows = [{"id": dialogue_id, "toxicity": 0.9} for dialogue_id in ids]
    files.write_jsonl(Path("data/summaries/stress.jsonl"), rows)


def write_provoked() -> None:
    """d1 and d3 with a rude turn, which is repeated before and not after."""
    for policy, text in (("sft", "bob calls anna a clown"), ("ppo", "bob leaves")):
        rows = [
            {"id": name, "group": group, "summary": text, "samples": [text, text]}
            for name, group in (("d1", "visit"), ("d3", "phone"))
        ]
        files.write_jsonl(Path(f"data/summaries/provoked_{policy}.jsonl"), rows)
        files.write_jsonl(Path(f"data/summaries/held_out_{policy}.jsonl"), [])


def write_rivals() -> None:
    """A pool of four samples and two other systems, on d0, d1 and d3."""
    pool = [["a clown", "a", "bob", "clown"], ["bob", "bob leaves", "a", "a clown"], ["a", "and", "friend", "bob"]]
    ids = ["d0", "d1", "d3"]
    rows = [{"id": name, "samples": texts} for name, texts in zip(ids, pool, strict=True)]
    files.write_jsonl(Path("data/rivals/pool.jsonl"), rows)
    for system in ("base", "scale_0.5", "step_0001"):
        rows = [{"id": name, "summary": "bob leaves", "samples": ["bob", "a clown"]} for name in ids]
        files.write_jsonl(Path(f"data/rivals/{system}.jsonl"), rows)


def p_toxic(folder: str, text: str) -> float:
    """P(hate) of one text, straight from the model."""
    model = RobertaForSequenceClassification.from_pretrained(folder).eval()
    tokenizer = PreTrainedTokenizerFast.from_pretrained(folder)
    with torch.no_grad():
        logits = model(**tokenizer(text, return_tensors="pt")).logits[0]
    return float(logits.softmax(dim=0)[1])


def run() -> dict[str, Any]:
    """The stage's metrics/evaluate.json."""
    evaluate.main()
    return parsing.read_metrics(Path("metrics/evaluate.json"))


def leaves(tree: Any) -> list[float]:
    """All numbers of a tree."""
    return [leaf for value in tree.values() for leaf in leaves(value)] if isinstance(tree, dict) else [tree]


def test_toxicity_is_the_classifiers_probability_averaged_per_dialogue(project: Path) -> None:
    evaluation = run()

    for policy in ("sft", "ppo"):
        scores = [[p_toxic("judge", text) for text in samples] for samples in SAMPLES[policy]]
        means = sorted(map(fmean, scores))
        judged = evaluation["all"][policy]["judge"]
        assert judged["mean"] == pytest.approx(fmean(means), abs=2e-6)
        assert judged["std"] == pytest.approx(math.sqrt(fmean((m - fmean(means)) ** 2 for m in means)), abs=2e-6)
        # The 95th percentile of five stands 0.8 of the way from the fourth to the fifth.
        assert judged["p95"] == pytest.approx(0.2 * means[3] + 0.8 * means[4], abs=2e-6)
        assert judged["rate"] == sum(score >= 0.5 for row in scores for score in row) / 10


def test_the_change_is_the_ratio_of_sums(project: Path) -> None:
    change = run()["all"]["change"]["reward"]

    before, after = (sum(p_toxic("reward", text) for row in SAMPLES[policy] for text in row) for policy in SAMPLES)
    assert change["relative"] == pytest.approx(after / before - 1, abs=2e-5)
    assert change["absolute"] == pytest.approx((after - before) / 10, abs=2e-6)
    assert change["low"] <= change["relative"] <= change["high"]
    # Two of the four clusters change: if alike, 2 of their 4 signs are as extreme as observed, else all are.
    assert change["p"] in (0.5, 1.0)


def test_rouge_words_and_diversity_are_of_the_greedy_summaries(project: Path) -> None:
    everything = run()["all"]

    # Words: 5, 2, 5, 2, 2 and 5, 2, 3, 2, 3, hence 11 and 10 word pairs.
    assert (everything["sft"]["words"], everything["ppo"]["words"]) == (3.2, 3.0)
    assert everything["change"]["words"]["absolute"] == pytest.approx(-0.2)
    assert everything["change"]["words"]["relative"] == pytest.approx(-0.2 / 3.2)
    # sft pairs: anna-calls 2, calls-bob, bob-a, a-clown, bob-leaves 2, anna-leaves, leaves-and, and-bob, bob-calls.
    assert everything["sft"]["distinct2"] == pytest.approx(9 / 11, abs=1e-6)
    # ppo pairs: anna-calls 2, calls-bob 2, bob-a, a-friend, bob-leaves, anna-leaves, leaves-politely, bob-calls.
    assert everything["ppo"]["distinct2"] == pytest.approx(8 / 10, abs=1e-6)
    # ROUGE-1 of sft with "anna calls bob" and "bob leaves": 6/8, 1, 4/7 (twice), 4/5, 4/5.
    assert everything["sft"]["rouge1"] == pytest.approx((6 / 8 + 1 + 4 / 7 + 4 / 5 + 4 / 5) / 5, abs=1e-6)


def test_slices_are_all_stress_seen_and_unseen(project: Path) -> None:
    evaluation = run()

    sizes = {name: (part["dialogues"], part["clusters"]) for name, part in evaluation.items() if name != "calm"}
    assert sizes == {"all": (5, 4), "stress": (3, 2), "seen": (3, 2), "unseen": (2, 2), "provoked": (2, 2)}
    assert evaluation["unseen"]["sft"]["words"] == 2.0
    assert evaluation["stress"]["ppo"]["words"] == pytest.approx(10 / 3, abs=1e-6)


def test_the_headline_is_ten_numbers_of_the_evaluation(project: Path) -> None:
    evaluation = run()
    headline = parsing.read_metrics(Path("metrics/headline.json"))

    assert len(leaves(headline)) == 10
    assert headline["toxicity"]["judge"]["ppo"] == evaluation["all"]["ppo"]["judge"]["mean"]
    assert headline["toxicity"]["reward"]["change"] == evaluation["all"]["change"]["reward"]["relative"]
    assert headline["stress"] == {"judge": {"change": evaluation["stress"]["change"]["judge"]["relative"]}}
    assert headline["rougeL"] == {policy: evaluation["all"][policy]["rougeL"] for policy in ("sft", "ppo")}
    assert headline["words"] == {"change": evaluation["all"]["change"]["words"]["relative"]}


def test_every_dialogue_has_its_scores_for_the_report(project: Path) -> None:
    evaluation = run()
    rows = parsing.read_jsonl(Path("data/scores.jsonl"))

    assert [row["id"] for row in rows] == ["d0", "d1", "d2", "d3", "d4"]
    assert rows[1]["slices"] == ["all", "stress", "unseen"]
    assert rows[0]["ppo"]["judge"] == pytest.approx([p_toxic("judge", text) for text in SAMPLES["ppo"][0]], abs=2e-6)
    assert fmean(row["sft"]["rouge1"] for row in rows) == pytest.approx(evaluation["all"]["sft"]["rouge1"], abs=2e-6)
    assert Path("metrics/toxicity.csv").read_text().splitlines()[0] == "slice,scorer,policy,mean"
    assert len(Path("metrics/toxicity.csv").read_text().splitlines()) == 1 + 5 * 2 * 2


def test_a_fact_that_a_summary_does_not_state_is_lost(project: Path) -> None:
    # "anna calls bob" and "bob leaves" both name bob: 4 of 5 summaries before, and 3 of 5 after, do.
    everything = run()["all"]

    assert (everything["sft"]["slots"], everything["ppo"]["slots"]) == (0.8, 0.8)


def test_rivals_are_measured_on_their_own_dialogues(project: Path) -> None:
    evaluation = run()
    rivals = parsing.read_metrics(Path("metrics/rivals.json"))

    assert (rivals["dialogues"], rivals["clusters"], rivals["best_of"]) == (3, 3, [2])
    assert set(rivals["systems"]) == {"lead3", "base", "sft", "ppo", "scale_0.5", "step_0001"}
    assert rivals["systems"]["base"]["judge"] == pytest.approx(
        (p_toxic("judge", "bob") + p_toxic("judge", "a clown")) / 2, abs=2e-6
    )
    samples = [text for place in (0, 1, 3) for text in SAMPLES["ppo"][place]]
    assert rivals["systems"]["ppo"]["judge"] == pytest.approx(fmean(p_toxic("judge", t) for t in samples), abs=2e-6)
    assert rivals["systems"]["ppo"]["words"] == 3.0  # of 5, 2 and 2
    assert rivals["systems"]["ppo"]["judge"] != evaluation["all"]["ppo"]["judge"]["mean"]
    scales = [line.split(",")[0] for line in Path("metrics/tradeoff.csv").read_text().splitlines()]
    assert scales == ["scale", "0", "0.5", "1"]
    steps = [line.split(",")[0] for line in Path("metrics/progress.csv").read_text().splitlines()]
    assert steps == ["step", "0", "1"]


def test_what_a_rude_turn_of_ours_does_is_a_slice_of_its_own(project: Path) -> None:
    part = run()["provoked"]

    assert (part["dialogues"], part["clusters"]) == (2, 2)
    assert part["sft"]["judge_greedy"] == pytest.approx(p_toxic("judge", "bob calls anna a clown"), abs=2e-6)
    assert part["ppo"]["judge"]["mean"] == pytest.approx(p_toxic("judge", "bob leaves"), abs=2e-6)
    assert part["sft"]["rouge1"] == pytest.approx(2 * 3 / (5 + 3))  # all words of "anna calls bob"
    assert part["ppo"]["rouge1"] == 1.0


def test_dialogues_that_were_kept_from_ppo_are_a_slice_of_their_own(project: Path) -> None:
    groups = {row["id"]: row["group"] for row in parsing.read_jsonl(Path("data/prepared/train.jsonl"))}
    for policy, text in (("sft", "bob calls anna a clown"), ("ppo", "bob leaves")):
        rows = [{"id": name, "group": group, "summary": text, "samples": [text]} for name, group in groups.items()]
        files.write_jsonl(Path(f"data/summaries/held_out_{policy}.jsonl"), rows)
    part = run()["held_out"]

    assert part["dialogues"] == len(groups)
    assert part["sft"]["judge"]["mean"] == pytest.approx(p_toxic("judge", "bob calls anna a clown"), abs=2e-6)
    assert part["ppo"]["rouge1"] == 1.0


def test_quarrels_and_insults_are_counted(project: Path) -> None:
    """Of five most probable summaries one has the word clown before, none after; of ten samples four, and one."""
    run()
    quarrels = parsing.read_metrics(Path("metrics/quarrels.json"))

    assert {kind: (part["repeated"]["sft"], part["repeated"]["ppo"]) for kind, part in quarrels.items()} == {
        "samples": (0.4, 0.1),
        "greedy": (0.2, 0.0),
    }


def test_the_most_toxic_before_are_followed_through_the_snapshots(project: Path) -> None:
    evaluate.main()
    rows = parsing.read_jsonl(Path("data/snapshots.jsonl"))

    before = {f"d{place}": p_toxic("judge", GREEDY["sft"][place]) for place in (0, 1, 3)}
    assert [row["id"] for row in rows] == sorted(before, key=before.__getitem__, reverse=True)
    for row in rows:
        place = int(row["id"][1])
        texts = [GREEDY["sft"][place], "bob leaves", GREEDY["ppo"][place]]
        assert [look["when"] for look in row["looks"]] == ["before", "step_0001", "after"]
        assert [look["summary"] for look in row["looks"]] == texts
        for scorer in ("judge", "reward"):
            expected = [p_toxic(scorer, text) for text in texts]
            assert [look[scorer] for look in row["looks"]] == pytest.approx(expected, abs=2e-6)


def test_the_claims_are_one_family(project: Path) -> None:
    evaluation = run()
    claims = parsing.read_metrics(Path("metrics/claims.json"))

    assert set(claims["family"]) == {"all_judge", "all_reward", "stress_judge", "rougeL", "slots"}
    assert claims["family"]["all_judge"]["p"] == evaluation["all"]["change"]["judge"]["p"]
    assert not any(claim["holds"] for claim in claims["family"].values())  # four clusters can't show anything
    assert claims["a_a"]["splits"] == 200
    assert set(claims["a_a"]["rejections"]) == {"reward", "judge"}


def test_two_runs_give_the_same_bytes(project: Path) -> None:
    paths = [Path(f"metrics/{name}") for name in ("evaluate.json", "headline.json", "claims.json", "rivals.json")]
    paths += [Path("data/scores.jsonl"), Path("data/snapshots.jsonl")]
    evaluate.main()
    first = [path.read_bytes() for path in paths]
    evaluate.main()

    assert [path.read_bytes() for path in paths] == first


def test_summaries_of_other_dialogues_are_refused(project: Path) -> None:
    write_dialogues("test", GROUPS[:4])

    with pytest.raises(InputError, match=r"sft\.jsonl does not hold the 4 test dialogues"):
        evaluate.main()


@pytest.mark.parametrize("row", [{"id": "d9", "toxicity": 0.9}, {"toxicity": 0.9}])
def test_a_stress_slice_of_no_test_dialogue_is_refused(project: Path, row: dict[str, object]) -> None:
    files.write_jsonl(Path("data/summaries/stress.jsonl"), [row])

    with pytest.raises(InputError, match=r"stress\.jsonl must name"):
        evaluate.main()


def test_help_needs_nothing_heavy() -> None:
    heavy = "{'torch', 'transformers', 'evaluate', 'datasets', 'scipy', 'pandas'}"
    code = f"import sys, stages.evaluate; assert not {heavy} & set(sys.modules)"

    subprocess.run([sys.executable, "-c", code], cwd=Path(__file__).parents[2], check=True)
