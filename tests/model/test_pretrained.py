"""Tokenizers and weights in the forms that other programs and other years have left them in."""

import json
import shutil
from base64 import b64decode
from pathlib import Path
from typing import Any

import pytest
import torch
from imports import ROOT
from safetensors.torch import load_file, save_file
from sentencepiece import SentencePieceProcessor, SentencePieceTrainer
from sentencepiece.sentencepiece_model_pb2 import ModelProto  # type: ignore[attr-defined]
from tiny import DIALOGUES, TEXT
from transformers import AutoConfig, AutoModelForSeq2SeqLM, AutoModelForSequenceClassification

from detox.model import bases, pretrained

pytest_plugins = ["models"]

FLAN = ROOT / "../shared/data/flan_t5_tokenizer/tokenizer.json"
TEXTS = [*DIALOGUES, TEXT, "", "  two  spaces and 5 € at a café \n\n", "naïve ﬁne ½ Ꙭ 你好"]
TRAITS = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": True, "__type": "AddedToken"}


def described(folder: Path, vocabulary: int, source: Path, **changes: Any) -> Path:
    """The folder with the configuration of a model, for a vocabulary of another size; without a tokenizer."""
    folder.mkdir()
    tree = json.loads((source / "config.json").read_text()) | {"vocab_size": vocabulary} | changes
    (folder / "config.json").write_text(json.dumps(tree))
    return folder


def test_bert_reads_a_list_of_words_alone(word_classifier: Path, tmp_path: Path) -> None:
    """The judge's repository has nothing else: the class is that of the model."""
    folder = described(tmp_path / "judge", 9, word_classifier, model_type="bert")
    (folder / "vocab.txt").write_text("[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\nann\nis\nlate\n##r\n")
    config = {
        "do_lower_case": True,
        "model_max_length": 5,
        "special_tokens_map_file": None,
        "full_tokenizer_file": None,
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(config))
    tokenizer = pretrained.tokenizer(folder, "pad")
    assert tokenizer(["Ann is later", "Bob is"])["input_ids"] == [[2, 5, 6, 7, 8, 3], [2, 1, 6, 3]]
    assert (tokenizer.model_max_length, tokenizer.pad_token_id) == (5, 0)


def test_roberta_reads_two_files_and_tokens_that_are_described(word_classifier: Path, tmp_path: Path) -> None:
    """The reward's repository: Ġ is the blank before a word."""
    folder = described(tmp_path / "reward", 11, word_classifier)
    tokens = ["<s>", "<pad>", "</s>", "<unk>", "a", "n", "Ġ", "i", "s", "is", "<mask>"]
    (folder / "vocab.json").write_text(json.dumps({token: place for place, token in enumerate(tokens)}))
    (folder / "merges.txt").write_text("#version: 0.2\ni s\n")
    special = {"<s>": ["bos", "cls"], "</s>": ["eos", "sep"], "<unk>": ["unk"], "<pad>": ["pad"], "<mask>": ["mask"]}
    config: dict[str, Any] = {
        f"{name}_token": {"content": token, **TRAITS} for token, names in special.items() for name in names
    }
    config |= {"tokenizer_class": "RobertaTokenizer", "special_tokens_map_file": None, "add_prefix_space": False}
    (folder / "tokenizer_config.json").write_text(json.dumps(config))
    assert pretrained.tokenizer(folder, "pad")("an is")["input_ids"] == [0, 4, 5, 6, 9, 2]


@pytest.mark.parametrize("family", ["t5", "mt5"])
def test_t5_reads_a_model_of_sentencepiece_alone_as_sentencepiece_does(base: Path, tmp_path: Path, family: str) -> None:
    """T5 v1.1 and mT5 have no tokenizer.json. Behind a text is its end, 1; the hundred tokens at the end are T5's."""
    folder = described(tmp_path / "base", 300, base, model_type=family)
    with (ROOT / "data/miniature/test.jsonl").open(encoding="utf-8") as rows:
        texts = [json.loads(row)["dialogue"] for row in rows]
    with (folder / "spiece.model").open("wb") as file:
        SentencePieceTrainer.train(
            sentence_iterator=iter(texts),
            model_writer=file,
            vocab_size=200,
            minloglevel=2,
            pad_id=0,
            eos_id=1,
            unk_id=2,
            bos_id=-1,
        )
    own = SentencePieceProcessor(model_file=str(folder / "spiece.model"))
    tokenizer = pretrained.tokenizer(folder, "pad", "eos")
    assert tokenizer(TEXTS + texts)["input_ids"] == [[*own.encode(text), 1] for text in TEXTS + texts]
    assert len(tokenizer) == 300
    assert tokenizer.decode(own.encode(DIALOGUES[1])) == DIALOGUES[1]


@pytest.mark.skipif(not FLAN.exists(), reason="FLAN-T5's tokenizer does not lie beside the project")
def test_flan_t5s_own_vocabulary_in_both_formats_gives_the_same_tokens(base: Path, tmp_path: Path) -> None:
    tree = json.loads(FLAN.read_text())
    model = ModelProto()
    for place, (piece, score) in enumerate(tree["model"]["vocab"][:32_000]):
        model.pieces.add(piece=piece, score=score, type={0: 3, 1: 3, 2: 2}.get(place, 1))
    charsmap = tree["normalizer"]["precompiled_charsmap"]
    model.normalizer_spec.precompiled_charsmap = b64decode(charsmap)
    model.trainer_spec.model_type = 1  # unigram
    model.trainer_spec.unk_id, model.trainer_spec.eos_id, model.trainer_spec.pad_id = 2, 1, 0
    folders = [described(tmp_path / name, 32_128, base) for name in ("old", "new")]
    (folders[0] / "spiece.model").write_bytes(model.SerializeToString())
    shutil.copy(FLAN, folders[1])
    old, new = (pretrained.tokenizer(folder, "pad", "eos")(TEXTS)["input_ids"] for folder in folders)
    assert old == new


DEBERTA = {  # microsoft/deberta-v3-base's own, at other sizes
    "model_type": "deberta-v2",
    "attention_probs_dropout_prob": 0.1,
    "hidden_act": "gelu",
    "hidden_dropout_prob": 0.1,
    "hidden_size": 32,
    "initializer_range": 0.5,
    "intermediate_size": 48,
    "max_position_embeddings": 512,
    "relative_attention": True,
    "position_buckets": 8,
    "norm_rel_ebd": "layer_norm",
    "share_att_key": True,
    "pos_att_type": "p2c|c2p",
    "layer_norm_eps": 1e-7,
    "max_relative_positions": -1,
    "position_biased_input": False,
    "num_attention_heads": 2,
    "num_hidden_layers": 2,
    "type_vocab_size": 0,
    "vocab_size": 40,
}
GATED = {
    "feed_forward_proj": "gated-gelu",
    "tie_word_embeddings": False,
    "decoder_start_token_id": 0,
}
MODELS: dict[str, dict[str, Any]] = {
    "DeBERTa, some of whose settings its class does not list": DEBERTA,
    "ModernBERT, whose positions turn": {
        "model_type": "modernbert",
        "vocab_size": 40,
        "hidden_size": 32,
        "intermediate_size": 48,
        "num_hidden_layers": 4,
        "num_attention_heads": 2,
        "global_attn_every_n_layers": 3,
        "global_rope_theta": 160000.0,
        "local_rope_theta": 10000.0,
        "pad_token_id": 0,
        "cls_token_id": 1,
        "sep_token_id": 2,
        "classifier_pooling": "mean",
    },
    "XLNet, whose widths have older names": {
        "model_type": "xlnet",
        "vocab_size": 40,
        "d_model": 32,
        "n_layer": 2,
        "n_head": 2,
        "d_inner": 48,
        "untie_r": True,
        "summary_type": "last",
        "summary_last_dropout": 0.1,
        "summary_use_proj": True,
        "end_n_top": 5,
    },
    "ALBERT, whose layers share their weights": {
        "model_type": "albert",
        "vocab_size": 40,
        "embedding_size": 8,
        "hidden_size": 32,
        "intermediate_size": 48,
        "num_hidden_layers": 12,
        "num_attention_heads": 2,
        "num_hidden_groups": 1,
        "inner_group_num": 1,
    },
    "T5 v1.1, whose head is its own": {"model_type": "t5", "vocab_size": 40, "d_model": 32, "num_layers": 2} | GATED,
    "T5 as a newer library saved it": {
        **{"model_type": "t5", "vocab_size": 40, "d_model": 32, "num_layers": 2, "feed_forward_proj": "gated-silu"},
        **{"dense_act_fn": "silu", "is_gated_act": True, "scale_decoder_outputs": False, "tie_word_embeddings": True},
    },
}


@pytest.mark.parametrize("stated", MODELS.values(), ids=MODELS.keys())
def test_a_model_is_what_the_library_makes_of_its_whole_configuration(stated: dict[str, Any], tmp_path: Path) -> None:
    kind = AutoModelForSeq2SeqLM if stated["model_type"] == "t5" else AutoModelForSequenceClassification
    (tmp_path / "config.json").write_text(json.dumps(stated))
    torch.manual_seed(0)
    config = AutoConfig.from_pretrained(tmp_path)
    weights = kind.from_config(config).state_dict()
    save_file({name: weight.clone() for name, weight in weights.items()}, tmp_path / "model.safetensors")
    ours, own = pretrained.model(kind, tmp_path), kind.from_pretrained(tmp_path)
    inputs = {"input_ids": torch.tensor([[5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16]])}
    inputs |= {"decoder_input_ids": torch.tensor([[0, 5, 6]])} if kind is AutoModelForSeq2SeqLM else {}
    with torch.no_grad():
        assert ours(**inputs).logits.equal(own(**inputs).logits)
    said, all_said = ours.config.to_dict(), own.config.to_dict()
    assert said == {key: all_said[key] for key in said}


def saved_by_torch(source: Path, folder: Path) -> Path:
    """The model, its weights as torch saved them years ago: with a buffer that today's class has not."""
    shutil.copytree(source, folder)
    weights = load_file(folder / "model.safetensors")
    torch.save({**weights, "roberta.embeddings.position_ids": torch.arange(34)[None]}, folder / "pytorch_model.bin")
    return folder


def test_weights_that_torch_saved_are_read_and_nothing_is_written(random_classifier: Path, tmp_path: Path) -> None:
    folder = saved_by_torch(random_classifier, tmp_path / "old")
    (folder / "model.safetensors").unlink()
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    model = pretrained.model(AutoModelForSequenceClassification, folder)
    sound = load_file(random_classifier / "model.safetensors")
    assert {name: weight.tolist() for name, weight in model.named_parameters()} == {
        name: weight.tolist() for name, weight in sound.items()
    }
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_what_torch_saved_beside_safetensors_is_not_read(random_classifier: Path, tmp_path: Path) -> None:
    folder = saved_by_torch(random_classifier, tmp_path / "both")
    (folder / "pytorch_model.bin").write_text("not what torch saves")
    pretrained.model(AutoModelForSequenceClassification, folder)


def test_a_base_in_parts_and_one_that_torch_saved_are_the_same_base(base: Path, tmp_path: Path) -> None:
    weights = load_file(base / "model.safetensors")
    for name in ("parts", "saved"):
        shutil.copytree(base, tmp_path / name)
        (tmp_path / name / "model.safetensors").unlink()
    torch.save(weights, tmp_path / "saved/pytorch_model.bin")
    parts = {name: f"model-0000{len(name) % 2}.safetensors" for name in weights}
    for part in set(parts.values()):
        held = {name: weight for name, weight in weights.items() if parts[name] == part}
        save_file(held, tmp_path / "parts" / part, metadata={"format": "pt"})
    (tmp_path / "parts/model.safetensors.index.json").write_text(json.dumps({"weight_map": parts}))
    whole, *others = (bases.load(folder).state_dict() for folder in (base, tmp_path / "parts", tmp_path / "saved"))
    for other in others:
        assert all(other[name].equal(weight) for name, weight in whole.items())


def test_settings_of_decoding_beside_a_model_are_not_read(base: Path, tmp_path: Path) -> None:
    shutil.copytree(base, tmp_path / "base")
    (tmp_path / "base/generation_config.json").write_text(json.dumps({"repetition_penalty": 9.0, "min_new_tokens": 9}))
    said = bases.load(tmp_path / "base").generation_config
    assert (said.repetition_penalty, said.min_new_tokens, said.eos_token_id) == (None, None, 1)
