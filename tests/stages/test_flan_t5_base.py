"""The whole flan-t5-base profile, small: the same architectures from a stand-in for the hub, `make pin`, `dvc repro`.

FLAN-T5's own tokenizer and DialogSum's own rows are used where they lie beside the project; else made-up ones.
"""

import csv
import io
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from hub import Hub, serve
from imports import ROOT
from ruamel.yaml import YAML
from settings import SHORT
from tiny import VOCABULARY, WORDS, new_classifier, save_classifier, word_tokenizer
from transformers import AutoTokenizer, BertConfig, BertForSequenceClassification, T5Config, T5ForConditionalGeneration

pytestmark = pytest.mark.slow

SHARED = ROOT / "../shared/data"
SIZES = {"train": 24, "dev": 8, "test": 10}
JIGSAW = ["toxic", "severe_toxic", "obscene", "threat", "insult", "identity_hate"]
SMALL = (
    SHORT
    + """\
model: {max_prompt_tokens: 256}
adapter: {tuning: {rank: 2, batch_size: 8, epochs: 1}}
"""
)


def rows(part: str) -> Iterator[list[str]]:
    """id, dialogue, summary, topic, as the hub's CSV has them: a row for each summary."""
    yield ["id", "dialogue", "summary", "topic"]
    for number, (dialogue, summaries) in enumerate(dialogues(part)):
        for place, summary in enumerate(summaries):
            suffix = f"_{place + 1}" if len(summaries) > 1 else ""
            yield [f"{part}_{number}{suffix}", dialogue, summary, "topic"]


def dialogues(part: str) -> Iterator[tuple[str, list[str]]]:
    """Some dialogues that pass the filter; those of the test part have three summaries."""
    if not (SHARED / "dialogsum").is_dir():
        for number in range(SIZES[part]):
            text = " ".join(["#Person1#: Ann is late again #Person2#: Bob was rude today"] * 4) + " cat" * number
            yield (
                f"{part} {text}",
                ["Ann was late", "Bob was rude", f"she is late {number}"][: 3 if part == "test" else 1],
            )
        return
    found = 0
    with (SHARED / "dialogsum" / f"{part}.jsonl").open(encoding="utf-8") as file:
        for row in map(json.loads, file):
            summaries = [row[name] for name in sorted(row) if name.startswith("summary")]
            if 200 < len(row["dialogue"]) <= 1000 and len(set(summaries)) == len(summaries) and found < SIZES[part]:
                found += 1
                yield row["dialogue"], summaries


def save_base(folder: Path) -> None:
    """FLAN-T5's architecture: gated GELU, an output layer of its own."""
    if (real := SHARED / "flan_t5_tokenizer").is_dir():
        shutil.copytree(real, folder)
        size = len(AutoTokenizer.from_pretrained(real)) + 28  # FLAN-T5 pads 32,100 tokens to 32,128
    else:
        word_tokenizer(VOCABULARY, "$A </s>", pad="<pad>", eos="</s>").save_pretrained(folder)
        size = len(VOCABULARY)
    config = T5Config(  # type: ignore[call-arg]
        vocab_size=size,
        d_model=32,
        d_kv=8,
        num_heads=4,
        d_ff=64,
        num_layers=2,
        feed_forward_proj="gated-gelu",
        tie_word_embeddings=False,
        pad_token_id=0,
        eos_token_id=1,
        decoder_start_token_id=0,
    )
    torch.manual_seed(0)
    model = T5ForConditionalGeneration(config)
    model.lm_head.weight = torch.nn.Parameter(torch.randn(size, 32) * 0.2)
    model.save_pretrained(folder)


def save_reward(folder: Path) -> None:
    """RoBERTa with two labels, its weights as torch used to save them."""
    model = new_classifier(seed=1, layers=2)
    save_classifier(folder, model)
    (folder / "model.safetensors").unlink()
    torch.save(model.state_dict(), folder / "pytorch_model.bin")


def save_judge(folder: Path) -> None:
    """BERT with six labels that do not exclude one another."""
    config = BertConfig(
        vocab_size=4 + len(WORDS),
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=32,
        initializer_range=0.5,
        id2label=dict(enumerate(JIGSAW)),
        label2id={label: place for place, label in enumerate(JIGSAW)},
        problem_type="multi_label_classification",
        pad_token_id=1,
    )
    torch.manual_seed(2)
    BertForSequenceClassification(config).save_pretrained(folder)
    vocabulary = ["<s>", "<pad>", "</s>", "<unk>", *WORDS]
    word_tokenizer(vocabulary, "<s> $A </s>", pad="<pad>", eos="</s>").save_pretrained(folder)


def fill(hub: Hub, folder: Path) -> None:
    """The profile's four repositories, at the commits that it pins."""
    profile = YAML(typ="safe").load(ROOT / "profiles" / "flan-t5-base.yaml")
    for section, save in {"model": save_base, "reward": save_reward, "judge": save_judge}.items():
        save(folder / section)
        source = profile[section]["source"]
        hub.add(source["origin"].removeprefix("hf://"), folder / section, source["revision"])
    files = {}
    for part, name in {"train": "train", "dev": "validation", "test": "test"}.items():
        text = io.StringIO()
        csv.writer(text).writerows(rows(part))
        files[f"{name}.csv"] = text.getvalue().encode()
    hub.add(profile["prepare"]["source"]["origin"].removeprefix("hf://"), files)


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the project in which the small profile has run."""
    folder = tmp_path_factory.mktemp("profile")
    for name in ("detox", "stages", "profiles"):
        shutil.copytree(ROOT / name, folder / "project" / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("params.yaml", "dvc.yaml", ".dvcignore"):
        shutil.copy(ROOT / name, folder / "project")
    (folder / "project" / "data" / "miniature").mkdir(parents=True)
    shutil.copy(ROOT / "data" / "miniature" / "insults.txt", folder / "project" / "data" / "miniature")
    (folder / "project" / "profiles" / "small.yaml").write_text(SMALL)
    with serve() as hub:
        fill(hub, folder)
        run(folder, hub.url, "dvc", "init", "--no-scm", "--quiet")
        for profile in ("flan-t5-base", "small"):
            run(folder, hub.url, "detox.profiles", profile)
        run(folder, hub.url, "detox.sources.pins")
        run(folder, hub.url, "dvc", "repro")
    return folder / "project"


def run(folder: Path, hub: str, *command: str) -> str:
    """Runs a module of Python in the project."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("HF_")}
    own = {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "HF_ENDPOINT": hub,
        "HF_HOME": str(folder / "hf"),
        "DVC_NO_ANALYTICS": "1",
        "DVC_SITE_CACHE_DIR": str(folder / "site-cache"),
    }
    call = [sys.executable, "-m", *command]
    finished = subprocess.run(call, cwd=folder / "project", env=inherited | own, capture_output=True, text=True)
    assert finished.returncode == 0, f"{' '.join(command)}\n{finished.stdout[-3000:]}\n{finished.stderr[-6000:]}"
    return finished.stdout


def metrics(project: Path, name: str) -> dict[str, float]:
    tree: dict[str, float] = json.loads((project / "metrics" / f"{name}.json").read_text())
    return tree


def test_make_pin_leaves_no_repository_unpinned_and_writes_the_profile_too(project: Path) -> None:
    for path in ("params.yaml", "profiles/flan-t5-base.yaml"):
        tree = YAML(typ="safe").load(project / path)
        assert [
            section for section in ("model", "prepare", "reward", "judge") if not tree[section]["source"]["revision"]
        ] == []


def test_every_download_lies_in_its_place_with_safetensors_alone(project: Path) -> None:
    assert {path.name for path in (project / "downloads").iterdir()} == {"model", "prepare", "reward", "judge"}
    assert not list((project / "downloads").rglob("*.bin"))
    assert len(list((project / "downloads").rglob("model.safetensors"))) == 3


def test_a_test_dialogue_is_one_with_three_references(project: Path) -> None:
    lines = (project / "data" / "prepared" / "test.jsonl").read_text(encoding="utf-8").splitlines()
    assert [len(json.loads(line)["references"]) for line in lines] == [3] * SIZES["test"]
    assert (metrics(project, "prepare")["train"], metrics(project, "prepare")["dev"]) == (SIZES["train"], SIZES["dev"])


def test_the_adapter_was_tuned_and_ppo_started_from_it(project: Path) -> None:
    """LoRA of rank 2 on q and v of 6 attentions 32 wide: 6 · 2 · 2 · (32 + 32) weights."""
    tuned, trained = metrics(project, "adapter"), metrics(project, "train")
    assert {"dev_loss", "rouge1", "rougeL"} <= tuned.keys()
    assert tuned["parameters"] == trained["trainable_parameters"] == 1536
    assert trained["value_head_parameters"] == 33
    assert abs(trained["kl_first"]) < 1e-5
    assert trained["ratio_error_first"] < 1e-4


def test_both_classifiers_and_rouge_are_in_the_evaluation_and_the_release_is_complete(project: Path) -> None:
    result = json.loads((project / "metrics" / "evaluate.json").read_text())
    assert {"judge", "reward", "rougeL"} <= result["all"]["ppo"].keys()
    assert result["all"]["clusters"] == SIZES["test"]
    assert (project / "models" / "release" / "adapter_model.safetensors").is_file()
