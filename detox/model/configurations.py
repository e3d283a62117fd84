"""What a model's and a tokenizer's configuration may say: what stands on these lists reaches the library, nothing else.

The library would open a file, import a class, ask a hub or render a template because a key says so. So keys go in by
name, and values by kind: numbers, switches, words, special tokens. Old configurations are full of paths of the machine
that wrote them, so a key that is not on a list is left out; a listed one with another kind of value is an error.
"""

import math
import re
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

from transformers import AutoConfig
from transformers.models.auto.configuration_auto import CONFIG_MAPPING
from transformers.models.auto.modeling_auto import (
    MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING_NAMES,
    MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING_NAMES,
)
from transformers.models.auto.tokenization_auto import tokenizer_class_from_name
from transformers.tokenization_utils_tokenizers import TokenizersBackend

from detox import parsing
from detox.errors import InputError, brief

Tree = dict[str, Any]
Kind = Callable[[Any], bool]

LONGEST = 2**24  # bytes of a file
LARGEST = 2**24  # a whole number that may be a size: the longest texts and largest vocabularies are below
WORD = re.compile(r"[\w|+-]{0,64}")  # gelu_new, gated-silu, c2p|p2c: no path, no address
FAMILIES = MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING_NAMES.keys() | MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING_NAMES.keys()
# Of a model: what its class in the library has as attributes, and what models read beside them …
BESIDE = set(
    """activation_dropout add_cross_attention attention_dropout attention_head_size bos_token_id classifier_dropout
    cls_dropout cls_token_id conv_act conv_groups conv_kernel_size decoder_start_token_id embedding_size
    first_k_dense_replace full_attention_interval global_attn_every_n_layers global_rope_theta head_dim hidden_dropout
    is_causal local_rope_theta moe_layer_freq n_embed n_layers norm_rel_ebd num_labels original_max_position_embeddings
    partial_rotary_factor pooler_hidden_size position_buckets rope_local_base_freq rope_scaling rope_theta
    rotary_emb_base rotary_pct sep_token_id share_att_key sliding_window sliding_window_pattern summary_activation
    summary_first_dropout summary_last_dropout summary_proj_to_labels summary_type summary_use_proj talking_head
    tie_word_embeddings""".split()
)
# … but for what is no property of the model, but of how it is run.
RUNNING = set(
    """architectures chunk_size_feed_forward dtype output_hidden_states return_dict transformers_version
    use_cache""".split()
)
LABELS = ("id2label", "label2id")  # whose texts are anybody's; detox.rewards says what they must be


def read(path: Path, remedy: str) -> Tree:
    """The JSON object of a configuration. Raises InputError, which ends in the remedy, if it is damaged or too long."""
    if (size := path.stat().st_size) > LONGEST:
        raise InputError(f"{path} has {size} bytes, more than the {LONGEST} of a configuration: {remedy}")
    return parsing.read_json(path, remedy)


def model(tree: Tree, path: Path) -> Tree:
    """What of a config.json describes a model. Raises InputError for a kind of model or value that is not let in."""
    family = tree.get("model_type")
    if not isinstance(family, str) or family not in FAMILIES or CONFIG_MAPPING[family].sub_configs_defaults:
        known = "none of the library's models that summarise or classify texts"
        raise InputError(f"{path}: model_type is {brief(family)}, {known}: choose another model")
    kinds: dict[str, Kind] = dict.fromkeys(_attributes(family) | BESIDE, _plain) | dict.fromkeys(LABELS, _labels)
    kinds |= {"num_labels": _count, "tokenizer_class": _fast}
    return {"model_type": family} | _allowed(tree, kinds, path)


def tokenizer(tree: Tree, path: Path) -> Tree:
    """What of a tokenizer_config.json describes a tokenizer. Raises InputError for a value that is not allowed."""
    if isinstance(tree.get("extra_special_tokens"), dict):  # by names, which only pictures and sounds have
        tree = {key: value for key, value in tree.items() if key != "extra_special_tokens"}
    return _allowed(tree, TOKENIZER, path)


def special_tokens(tree: Tree, path: Path) -> Tree:
    """What of a special_tokens_map.json names special tokens. Raises InputError for one that is none."""
    return _allowed(tree, SPECIAL, path)


def added_tokens(tree: Tree, path: Path) -> Tree:
    """An added_tokens.json: tokens and their numbers. Raises InputError for one that has no number."""
    return _allowed(tree, dict.fromkeys(tree, _count), path)


@cache
def _attributes(family: str) -> set[str]:
    described = AutoConfig.for_model(family)
    return {name for name in vars(described) if not name.startswith("_")} - RUNNING | set(described.attribute_map)


def _allowed(tree: Tree, kinds: dict[str, Kind], path: Path) -> Tree:
    found = {key: value for key, value in tree.items() if key in kinds}
    for key, value in found.items():
        if value is not None and not kinds[key](value):
            raise InputError(f"{path}: {key} is {brief(value, key)}, which is not allowed there: correct or remove it")
    return found


def _plain(value: Any) -> bool:
    """Numbers, switches and words, in lists and mappings of words."""
    if isinstance(value, dict):
        return all(_word(key) and _plain(each) for key, each in value.items())
    if isinstance(value, list):
        return all(map(_plain, value))
    return value is None or _word(value) or _number(value)


def _number(value: Any) -> bool:
    return math.isfinite(value) if isinstance(value, float) else isinstance(value, int) and abs(value) <= LARGEST


def _count(value: Any) -> bool:
    return type(value) is int and 0 <= value <= LARGEST


def _few(value: Any) -> bool:
    return type(value) is int and 0 <= value <= 10_000  # for each of which there will be a token


def _length(value: Any) -> bool:
    return isinstance(value, int | float)  # 10^30 stands for none


def _word(value: Any) -> bool:
    return isinstance(value, str) and WORD.fullmatch(value) is not None


def _switch(value: Any) -> bool:
    return isinstance(value, bool)


def _labels(value: Any) -> bool:
    return isinstance(value, dict) and all(isinstance(each, str | int | float | None) for each in value.values())


def _token(value: Any) -> bool:
    """A text, or the library's description of a token."""
    if isinstance(value, dict):
        switches = {key: each for key, each in value.items() if key not in ("content", "__type")}
        kind = value.get("__type", "AddedToken") == "AddedToken" and isinstance(value.get("content"), str)
        return kind and switches.keys() <= TRAITS and all(map(_switch, switches.values()))
    return isinstance(value, str)


def _tokens(value: Any) -> bool:
    return isinstance(value, list) and all(map(_token, value))


def _numbered(value: Any) -> bool:
    return isinstance(value, dict) and all(
        re.fullmatch("[0-9]{1,8}", number) and isinstance(each, dict) and _token(each) for number, each in value.items()
    )


def _inputs(value: Any) -> bool:
    return isinstance(value, list) and all(each in ("input_ids", "token_type_ids", "attention_mask") for each in value)


def _fast(value: Any) -> bool:
    """Whether it is the name of one of the library's classes that read their files with tokenizers."""
    if not isinstance(value, str):
        return False
    if value in ("TokenizersBackend", "PreTrainedTokenizer", "PreTrainedTokenizerFast"):
        return True
    named = tokenizer_class_from_name(value) if re.fullmatch(r"\w+Tokenizer(Fast)?", value, re.ASCII) else None
    return isinstance(named, type) and issubclass(named, TokenizersBackend)


TRAITS = set("lstrip normalized rstrip single_word special".split())
SPECIAL: dict[str, Kind] = {
    **dict.fromkeys("bos_token cls_token eos_token mask_token pad_token sep_token unk_token".split(), _token),
    **dict.fromkeys(["additional_special_tokens", "extra_special_tokens"], _tokens),
}
SWITCHES = """add_bos_token add_eos_token add_prefix_space clean_text clean_up_tokenization_spaces do_lower_case
    keep_accents legacy legacy_behaviour lowercase remove_space split_by_punct split_special_tokens strip_accents
    tokenize_chinese_chars trim_offsets"""
TOKENIZER: dict[str, Kind] = {
    **SPECIAL,
    **dict.fromkeys(SWITCHES.split(), _switch),
    **dict.fromkeys(["model_max_length", "max_len"], _length),
    **dict.fromkeys("src_lang tgt_lang truncation_side truncation_strategy vocab_type".split(), _word),
    **dict.fromkeys(["max_length", "pad_token_type_id", "pad_to_multiple_of", "stride"], _count),
    "added_tokens_decoder": _numbered,
    **dict.fromkeys(["extra_ids", "offset"], _few),
    "mask_token_sent": _token,
    "model_input_names": _inputs,
    "tokenizer_class": _fast,
}
