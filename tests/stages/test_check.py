"""`make check` and the stage `check`: each thing that would end a run after hours is named, all at once."""

import csv
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from projects import contents, pinned
from tiny import PPO, new_base, new_classifier, save_adapter, save_classifier, word_tokenizer
from transformers import BartConfig, BartForConditionalGeneration

import stages
from detox.errors import InputErrors
from detox.files import write_jsonl
from detox.runtime import capacity
from stages import check, plan, prepare

pytest_plugins = ["models"]

DATA, WORDS = Path("data/source"), Path("words.txt")
ORDER = ["fetch_sources", "prepare", "check", "fetch_adapter", "train_ppo", "summarize", "evaluate", "report"]
OWN = "put the model's own there"

Spoil = Callable[[dict[str, Any]], object]


def dialogues(part: str, count: int) -> list[dict[str, str]]:
    """Rows of a source, each of another text."""
    return [
        {
            "id": f"{part}_{n}",
            "dialogue": f"#Person1#: Ann was {part} #Person2#: tea {'tea ' * n}",
            "summary": "Ann was late",
        }
        for n in range(count)
    ]


@pytest.fixture(autouse=True)
def params(
    tmp_path: Path, base: Path, adapter: Path, word_classifier: Path, monkeypatch: pytest.MonkeyPatch
) -> dict[str, Any]:
    """The sections of a sound project, which the test stands in, to spoil; `faults` pins what is there."""
    monkeypatch.chdir(tmp_path)
    for name, folder in (("base", base), ("adapter", adapter), ("reward", word_classifier), ("judge", word_classifier)):
        shutil.copytree(folder, name)
    for part, count in {"train": 20, "test": 6}.items():
        write_jsonl(DATA / f"{part}.jsonl", dialogues(part, count))
    WORDS.write_text("rude\n")
    classifier = {"toxic_label": "hate", "batch_size": 4}
    return {
        "seed": 1,
        "compute": {"device": "cpu", "processes": 1, "machines": 1},
        "track": [],
        "model": {"source": {"path": "base"}, "max_prompt_tokens": 30, "dtype": "float32"},
        "prepare": {
            "source": {"path": str(DATA)},
            "min_characters": 10,
            "max_characters": 1000,
            "test_fraction": None,
            "dev_fraction": 0,
        },
        "adapter": {"source": {"path": "adapter"}, "tuning": None},
        "reward": {"source": {"path": "reward"}, **classifier},
        "judge": {"source": {"path": "judge"}, **classifier},
        "rank": {"dialogues": None, "hold_out": None},
        "ppo": PPO,
        "summarize": {
            "samples": 2,
            "stress_samples": 2,
            "stress_share": 0.5,
            "stress_minimum": 1,
            "provoked": 2,
            "provocations": str(WORDS),
            "batch_size": 4,
            "max_new_tokens": 10,
            "checkpoint_every": 1,
        },
        "rivals": {"dialogues": 4, "best_of": [2, 4], "scales": [0.5], "bad_words": str(WORDS)},
        "evaluate": {
            "resamples": 99,
            "toxic_threshold": 0.5,
            "rouge_margin": 0.02,
            "slots_margin": 0.02,
        },
    }


def write(params: dict[str, Any]) -> None:
    """params.yaml; every source of one's own that has no pin yet gets that of what is there."""
    for section in ("model", "prepare", "adapter", "reward", "judge"):
        source = params[section]["source"]
        if "sha256" not in source and "origin" not in source:
            params[section]["source"] = pinned(Path(source["path"]))
    Path("params.yaml").write_text(json.dumps(params))


def faults(params: dict[str, Any], todo: list[str] = ORDER[1:]) -> list[str]:
    """What `make check` says is wrong; it writes nothing."""
    write(params)
    before = contents(".")
    try:
        said = plan.plan(plan.Pending(todo, Path(".dvc/cache")), opened=True)
    except InputErrors as error:
        assert contents(".") == before
        return error.lines
    assert said.startswith("To run: ")
    return []


def test_a_sound_project_is_told_what_it_takes(params: dict[str, Any]) -> None:
    write(params)
    said = plan.plan(plan.Pending(ORDER[1:], Path(".dvc/cache")), opened=True).splitlines()
    assert said[0] == "To run: prepare, check, fetch_adapter, train_ppo, summarize, evaluate, report"
    assert [line.split(": about ")[0] for line in said[1:3]] == ["Time", "Memory"]
    assert "GFLOP/s" in said[1]
    assert said[3].startswith("Disk: ")
    assert len(said) == 4, "nothing has to be assumed"


def wrong_label(params: dict[str, Any]) -> None:
    params["reward"]["toxic_label"] = "toxic"


def no_tokenizer(params: dict[str, Any]) -> None:
    for name in ("tokenizer.json", "tokenizer_config.json"):
        Path("judge", name).unlink()


def adapter_of_another_base(params: dict[str, Any]) -> None:
    new_base(seed=0, hidden=64).save_pretrained("wide")
    shutil.rmtree("adapter")
    save_adapter(Path("adapter"), Path("wide"), seed=1)
    shutil.rmtree("wide")


def no_column(params: dict[str, Any]) -> None:
    rows = dialogues("test", 6)
    with (DATA / "test.csv").open("w", newline="") as file:
        csv.writer(file).writerows([["id", "transcript", "summary"], *([*row.values()] for row in rows)])
    (DATA / "test.jsonl").unlink()


def one_test_dialogue(params: dict[str, Any]) -> None:
    write_jsonl(DATA / "test.jsonl", dialogues("test", 1))


def bart(params: dict[str, Any]) -> None:
    shutil.rmtree("base")
    tokens = ["<pad>", "</s>", "<unk>", "Ann"]
    config = BartConfig(vocab_size=4, d_model=16, encoder_layers=1, decoder_layers=1)
    BartForConditionalGeneration(config).save_pretrained("base")
    word_tokenizer(tokens, "$A </s>", pad="<pad>", eos="</s>").save_pretrained("base")


def a_gpu(params: dict[str, Any]) -> None:
    params["compute"]["device"] = "cuda"


def not_pinned(params: dict[str, Any]) -> None:
    params["adapter"]["source"]["sha256"] = None


def wrong_sha(params: dict[str, Any]) -> None:
    params["prepare"]["source"]["sha256"] = "0" * 64


NEXT = "base_model.model.decoder.block.0.layer.0.SelfAttention.q.lora_A.weight"
PLANTED: dict[str, tuple[Spoil, str]] = {
    "a label that the reward has not": (
        wrong_label,
        "reward has no label 'toxic', it has nothate, hate: set toxic_label to one of these",
    ),
    "a judge without a tokenizer": (
        no_tokenizer,
        "judge has no tokenizer (none of tokenizer.json, spiece.model, sentencepiece.bpe.model, "
        "sentencepiece.model, spm.model, tokenizer.model, vocab.json, "
        f"vocab.txt): {OWN}",
    ),
    "an adapter of another base": (
        adapter_of_another_base,
        f"adapter/adapter_model.safetensors does not fit the base base: {NEXT} should be 4 x 32, is 4 x 64: fetch the "
        "adapter that was trained on this base",
    ),
    "a column of another name": (
        no_column,
        "data/source/test.csv, line 1: no column 'dialogue' (there are id, transcript, summary): add it, or name the "
        "right one in prepare.columns.dialogue",
    ),
    "one test dialogue": (
        one_test_dialogue,
        "data/source: the test part has fewer clusters (scenarios, or dialogues where none is marked) than the 2 that "
        "an interval needs: 'test_0': add test dialogues, or change prepare.test_fraction or the limits on characters",
    ),
    "BART as the base": (
        bart,
        "base/config.json: model_type is bart, but a base has to be one of t5, mt5, longt5 (T5, FLAN-T5, T5 v1.1 and "
        "mT5 are): choose another one",
    ),
    "a GPU that is not there": (
        a_gpu,
        f"params.yaml: compute.device is cuda, but torch {torch.__version__} finds no such GPU: set it to auto or cpu, "
        "or install a torch for this machine's GPU",
    ),
    "an adapter without a pin": (not_pinned, "adapter has no sha256 in params.yaml: run `make pin`"),
    "data that is not what was pinned": (
        wrong_sha,
        "data/source has sha256 {}, but params.yaml pins " + "0" * 64 + ": put it back, or run `make pin` to accept it",
    ),
}


@pytest.mark.parametrize("name", PLANTED)
def test_each_planted_fault_is_named_in_one_line(
    params: dict[str, Any], name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    spoil, message = PLANTED[name]
    spoil(params)
    assert faults(params) == [message.format(pinned(DATA)["sha256"])]


def test_all_that_is_wrong_is_said_at_once(params: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """But for one of two faults that hide one another: no adapter fits BART, and without a column there are no rows."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    names = [name for name in PLANTED if name not in ("BART as the base", "one test dialogue")]
    for name in names:
        PLANTED[name][0](params)
    full_disk(params, monkeypatch)
    space, *rest = sorted(faults(params), key=lambda line: not line.startswith("no space"))
    assert space.startswith("no space: ")
    assert sorted(rest) == sorted(PLANTED[name][1].format(pinned(DATA)["sha256"]) for name in names)


def full_disk(params: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    usage = shutil.disk_usage(".")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=1000))


def little_memory(params: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """As a container has it."""
    Path("memory.max").write_text("1000\n")
    monkeypatch.setattr(capacity, "LIMIT", Path("memory.max"))


@pytest.mark.parametrize(
    ("spoil", "start", "end"),
    [
        (full_disk, "no space: ", " are to be written, and 0.0 GB are free there: make room, or put what is not the "
         "project's own elsewhere by HF_HOME and `dvc cache dir`"),
        (little_memory, "no memory: the models of train_ppo alone take 0.0 GB, there are 0.0: ",
         "lower compute.processes, or choose smaller models"),
    ],
)  # fmt: skip
def test_a_machine_that_is_too_small_is_refused(
    params: dict[str, Any], spoil: Any, start: str, end: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    spoil(params, monkeypatch)
    [line] = faults(params)
    assert line.startswith(start)
    assert line.endswith(end)


def other(section: str, **values: Any) -> Spoil:
    """Changes a section of params.yaml."""
    return lambda params: params[section].update(values)


def three_labels(params: dict[str, Any]) -> None:
    """A configuration of three labels beside the weights of two."""
    save_classifier(Path("three"), new_classifier(0, 1, ("nothate", "hate", "other")))
    shutil.move("three/config.json", "judge/config.json")
    shutil.rmtree("three")


def a_new_adapter(params: dict[str, Any]) -> None:
    tuning = {"rank": 2, "alpha": 2, "dropout": 0.0, "targets": ["q", "q_proj"], "learning_rate": 0.1, "batch_size": 2}
    rest = {"epochs": 1, "patience": 1, "max_summary_tokens": 8}
    params["adapter"] = {"source": {"path": "data/prepared", "origin": "new"}, "tuning": tuning | rest}


OTHERS: dict[str, tuple[Spoil, str]] = {
    "a number in words": (
        other("evaluate", resamples="many"),
        "params.yaml: evaluate.resamples is 'many', but must be a valid integer",
    ),
    "one rival dialogue": (
        other("rivals", dialogues=1),
        "params.yaml: rivals.dialogues is 1, but must be greater than or equal to 2",
    ),
    "no list of rude turns": (
        other("summarize", provocations="nowhere"),
        "nowhere is no readable list: correct summarize.provocations",
    ),
    "no list of words": (
        other("rivals", bad_words="nowhere"),
        "nowhere is no readable list: correct rivals.bad_words",
    ),
    "no base": (
        lambda params: params["model"].update(source={"path": "nowhere", "sha256": "0" * 64}),
        "nowhere does not exist: check the source's path in params.yaml",
    ),
    "no dialogue that is long enough": (
        other("prepare", min_characters=900),
        "data/source: the test part has fewer clusters (scenarios, or dialogues where none is marked) than the 2 that "
        "an interval needs: none: add test dialogues, or change prepare.test_fraction or the limits on characters",
    ),
    "no test part": (
        lambda params: (DATA / "test.jsonl").unlink(),
        "data/source has no table named test or testing or eval or evaluation (there are train.jsonl): correct "
        "prepare.source.path or prepare.config, or set prepare.test_fraction to a "
        "number",
    ),
    "weights of another number of labels": (
        three_labels,
        "judge: the weight classifier.out_proj.bias is 2, not 3: get the whole model that its config.json describes",
    ),
    "a new adapter for layers that the base has not": (
        a_new_adapter,
        "params.yaml: adapter.tuning.targets has 'q_proj', but the linear layers of the base base are called k, "
        "lm_head, o, q, v, wi_0, wi_1, wo: choose among them",
    ),
}


@pytest.mark.parametrize("name", OTHERS)
def test_more_that_would_end_a_run_late_is_named(params: dict[str, Any], name: str) -> None:
    spoil, message = OTHERS[name]
    spoil(params)
    assert [line.partition(". Please check")[0] for line in faults(params)] == [message]


def test_the_last_fifth_of_one_scenario_has_no_interval(params: dict[str, Any]) -> None:
    """Of 20 dialogues the last 4 are the test part; the scenarios of the others do not help."""
    params["prepare"] |= {"test_fraction": 0.2}
    rows = dialogues("train", 20)
    for number, row in enumerate(rows):
        row["group"] = f"scenario {min(number, 16)}"
    write_jsonl(DATA / "train.jsonl", rows)
    assert [line.partition("interval needs: ")[2][:13] for line in faults(params)] == ["'scenario 16'"]
    rows[17]["group"] = "scenario 17"
    write_jsonl(DATA / "train.jsonl", rows)
    params["prepare"]["source"] = {"path": str(DATA)}
    assert faults(params) == []


def stage(params: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What the stage `check` says after `prepare`, as DVC runs it."""
    write(params)
    prepare.main()
    monkeypatch.setattr("sys.argv", ["check"])
    try:
        stages.run(check.main)
    except SystemExit as stop:
        return [line.removeprefix("error: ") for line in str(stop.code).split("\n")]
    return []


def test_the_stage_leaves_the_same_line_whatever_it_has_found_right(
    params: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Or a change of the judge would have PPO run again."""
    assert stage(params, monkeypatch) == []
    first = check.CHECKED.read_bytes()
    params["judge"]["toxic_label"] = "nothate"
    assert stage(params, monkeypatch) == []
    assert check.CHECKED.read_bytes() == first


def test_the_stage_says_all_at_once_and_writes_nothing(params: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """The facts, and the rivals' dialogues, two of six, are looked at where the test part is known."""
    wrong_label(params)
    no_tokenizer(params)
    write_jsonl(DATA / "facts.jsonl", [{"id": "test_0", "facts": {}}])
    rows = dialogues("test", 6)
    for row, group in zip(rows, "abcabc", strict=True):
        row["group"] = group
    write_jsonl(DATA / "test.jsonl", rows)
    params["rivals"]["dialogues"] = 2
    assert stage(params, monkeypatch) == [
        PLANTED["a label that the reward has not"][1],
        PLANTED["a judge without a tokenizer"][1],
        "the part for rivals has fewer clusters (scenarios, or dialogues where none is marked) than the 2 that an "
        "interval needs: 'a': raise rivals.dialogues",
    ]
    assert not check.CHECKED.exists()
    params["rivals"]["dialogues"] = 3
    assert stage(params, monkeypatch)[2:] == [
        "data/source/facts.jsonl has no facts of 5 test dialogues, such as test_1: add or remove it"
    ]


def test_where_nothing_has_changed_there_is_nothing_to_say(params: dict[str, Any]) -> None:
    write(params)
    nothing = plan.Pending([], Path(".dvc/cache"))
    assert plan.plan(nothing, opened=False) == "Nothing has changed: there is nothing to run."
    assert plan.plan(nothing, opened=True).startswith("All is there and fits.")
