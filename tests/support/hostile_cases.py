"""Hostile projects by what is loaded of them and what they try; each opens nothing but its own files."""

from hostile import (
    OUT,
    Spoil,
    all_of,
    holds,
    in_parts,
    leads,
    load_adapter,
    load_as_it_is,
    load_base,
    load_classifier,
    load_data,
    load_params,
    load_profile,
    load_state,
    of_pairs,
    of_words,
    pickled,
    said,
    without,
)

CLASSIFIER, TOKENIZER = "classifier/config.json", "base/tokenizer_config.json"
CONFIG, ADAPTER = "base/config.json", "adapter/adapter_config.json"
TRAIN = '{"id": "d", "dialogue": "a", "summary": "b"}\n'


def named(key: str, value: object) -> tuple[str, Spoil]:
    """A key of a configuration of the base, under a name of its own."""
    return f"{key} {value}"[:60], said(CONFIG, **{key: value})


MODELS: dict[str, Spoil] = {
    "nothing is wrong": lambda: None,
    **dict(
        named(key, value)
        for key, value in (
            ("auto_map", {"AutoConfig": "evil.Evil", "AutoModelForSeq2SeqLM": "evil.Evil"}),
            ("auto_map", {"AutoConfig": f"{OUT}--evil.Evil"}),
            ("configuration_files", [f"{OUT}/config.4.0.0.json"]),
            ("transformers_weights", f"{OUT}/model.safetensors"),
            ("base_model_name_or_path", f"{OUT}/base"),
            ("name_or_path", f"{OUT}/base"),
            ("_name_or_path", "google/umt5-small"),
            ("_attn_implementation", "owner/kernel"),
            ("attn_implementation", "owner/kernel:function"),
            ("_attn_implementation_internal", "owner/kernel"),
            ("experts_implementation", "owner/kernel"),
            ("quantization_config", {"quant_method": "bitsandbytes", "load_in_8bit": True}),
            ("quantization_config", {"quant_method": "gptq", "bits": 4, "tokenizer": f"{OUT}/base"}),
            ("fusion_config", {"patch_embeddings": True}),
            ("kernel_config", {"kernel_mapping": {"RMSNorm": "owner/kernel"}}),
            ("distributed_config", {"tp_plan": "auto"}),
            ("per_layer_config", {"0": {"d_ff": 4}}),
            ("custom_generate", f"{OUT}/evil.py"),
            ("gguf_file", f"{OUT}/model.gguf"),
            ("dtype", "save"),
            ("torch_dtype", "hub.load"),
            ("feed_forward_proj", f"gated-{OUT}/evil"),
            ("dense_act_fn", "owner/kernel"),
            ("tokenizer_class", "AutoModel"),
            ("tokenizer_class", f"{OUT}/evil.Evil"),
            ("task_specific_params", {"summarization": {"prefix": f"{OUT}/credentials"}}),
            ("id2label", {"0": f"{OUT}/credentials"}),
            ("model_type", "timm_wrapper"),
            ("model_type", "rag"),
            ("model_type", "evil"),
            ("model_type", [f"{OUT}/config.json"]),
        )
    ),
    "a model of two others": said(
        CONFIG,
        model_type="encoder-decoder",
        encoder={"model_type": "t5", "_name_or_path": f"{OUT}/base"},
        decoder={"model_type": "t5", "_name_or_path": f"{OUT}/base"},
    ),
    "an adapter that names another base, beside the model": said(
        "base/adapter_config.json", peft_type="LORA", base_model_name_or_path=f"{OUT}/base", target_modules=["q"]
    ),
    "an adapter alone in the place of the model": all_of(
        without("base/model.safetensors"),
        said("base/adapter_config.json", peft_type="LORA", base_model_name_or_path=f"{OUT}/base"),
    ),
    "settings of decoding that name a file": said(
        "base/generation_config.json", custom_generate=f"{OUT}/evil.py", assistant=f"{OUT}/base", stop=f"{OUT}/evil"
    ),
    "code for decoding beside the model": holds("base/custom_generate/generate.py", "raise SystemExit('ran')\n"),
    "parts elsewhere": in_parts(f"{OUT}/model.safetensors"),
    "parts at an absolute path": in_parts("/etc/passwd"),
    "parts in a hidden file": in_parts(".model.safetensors"),
    "a checkpoint of several processes": all_of(
        without("base/model.safetensors"), pickled("base/.metadata"), pickled("base/__0_0.distcp")
    ),
    "a pickle": all_of(without("base/model.safetensors"), pickled("base/pytorch_model.bin")),
    "a pickle beside the weights": pickled("base/pytorch_model.bin"),
    "weights that lead elsewhere": leads("base/model.safetensors", f"../{OUT}/model.safetensors"),
    "a configuration that leads elsewhere": leads(CONFIG, f"../{OUT}/config.json"),
    "a folder that leads elsewhere": leads("base", f"{OUT}/base"),
    "weights of tensorflow": all_of(without("base/model.safetensors"), holds("base/tf_model.h5", "x")),
}
KEYS = """vocab merges vocab_file merges_file tokenizer_file tokenizer_object spm_file gguf_file entity_vocab_file
    normalizer_file monolingual_vocab_file chat_template chat_template_file added_tokens_file special_tokens_map_file
    full_tokenizer_file tokenizer_config_file name_or_path response_template backend unk_token""".split()
TOKENIZERS: dict[str, Spoil] = {
    "words alone": of_words(),
    "pairs alone": of_pairs(),
    **{f"{key} of words": of_words(**{key: f"{OUT}/vocab.txt"}) for key in KEYS},
    **{f"{key} of pairs": of_pairs(**{key: f"{OUT}/merges.txt"}) for key in KEYS},
    **{
        f"{key} among the special tokens": all_of(
            of_words(), said("classifier/special_tokens_map.json", **{key: f"{OUT}/vocab.txt"})
        )
        for key in KEYS
    },
    **{
        f"{name} as the class": of_words(tokenizer_class=name)
        for name in (
            *"AutoModel pipeline RagTokenizer MistralCommonBackend BartphoTokenizer PreTrainedTokenizerBase".split(),
            *("os.system", f"{OUT}/evil.Evil", "T5Tokenizer", "XLNetTokenizer", "TokenizersBackend"),
        )
    },
    "the vocabulary at home": of_words(vocab="~/.aws/credentials"),
    "a list of versions of the tokenizer": of_words(fast_tokenizer_files=[f"{OUT}/tokenizer.4.0.0.json"]),
    "code of its own": of_words(auto_map={"AutoTokenizer": ["evil.Evil", None]}),
    "code of a hub": of_words(auto_map={"AutoTokenizer": [f"{OUT}--evil.Evil", f"{OUT}--evil.Evil"]}),
    "arguments of the class": of_words(init_inputs=[f"{OUT}/vocab.txt"]),
    "an argument that is an object": of_words(tokenizer_object={"__type": "AddedToken", "content": "x"}),
    "tokens that are paths": of_words(extra_special_tokens={"vocab": f"{OUT}/vocab.txt", "image": f"{OUT}/merges.txt"}),
    "a token's traits that are paths": of_words(pad_token={"content": "[PAD]", "lstrip": f"{OUT}/vocab.txt"}),
    "a vocabulary that leads elsewhere": all_of(of_words(), leads("classifier/vocab.txt", f"../{OUT}/vocab.txt")),
}
BASES_TOKENIZERS: dict[str, Spoil] = {
    "added tokens that are paths": said("base/added_tokens.json", **{f"{OUT}/vocab.txt": 31}),
    "templates": all_of(
        holds("base/chat_template.jinja", "{{ cycler.__init__.__globals__.os.popen('id').read() }}"),
        holds("base/additional_chat_templates/x.jinja", f"{{% include '{OUT}/credentials' %}}"),
    ),
    "templates that lead elsewhere": leads("base/chat_template.jinja", f"../{OUT}/credentials"),
    "a tokenizer that names files": said(
        "base/tokenizer.json", model={"type": "WordLevel", "vocab": f"{OUT}/vocab.txt"}
    ),
    "a tokenizer of pairs that names files": said(
        "base/tokenizer.json", model={"type": "BPE", "vocab": f"{OUT}/vocab.txt", "merges": f"{OUT}/merges.txt"}
    ),
    "the tokenizer of another library": all_of(
        without("base/tokenizer.json", TOKENIZER), holds("base/tekken.json", "{}"), holds("base/vocab.txt", "a\n")
    ),
}
ADAPTERS: dict[str, Spoil] = {
    "nothing is wrong": lambda: None,
    **{
        f"{key} of an adapter": said(ADAPTER, **{key: value})
        for key, value in {
            "base_model_name_or_path": f"{OUT}/base",
            "auto_mapping": {"base_model_class": "Evil", "parent_library": "evil"},
            "revision": f"{OUT}/base",
            "megatron_core": "evil",
            "corda_config": {"cache_file": f"{OUT}/credentials", "covariance_file": f"{OUT}/credentials"},
            "eva_config": {"rho": 2.0},
            "loftq_config": {"loftq_bits": 4},
            "runtime_config": {"ephemeral_gpu_offload": True},
            "modules_to_save": ["lm_head"],
            "layer_replication": [[0, 1]],
            "target_modules": f"{OUT}/(.*)*",
            "peft_type": "XLORA",
            "adapters": {"0": f"{OUT}/adapter"},
            "init_lora_weights": f"{OUT}/adapter",
            "trainable_token_indices": [1],
            "task_type": f"{OUT}/evil",
        }.items()
    },
    "a pickle": all_of(without("adapter/adapter_model.safetensors"), pickled("adapter/adapter_model.bin")),
    "a pickle beside the weights": pickled("adapter/adapter_model.bin"),
    "weights that lead elsewhere": leads(
        "adapter/adapter_model.safetensors", f"../{OUT}/adapter/adapter_model.safetensors"
    ),
    "a configuration that leads elsewhere": leads(ADAPTER, f"../{OUT}/adapter/adapter_config.json"),
    "a folder that leads elsewhere": leads("adapter", f"{OUT}/adapter"),
}
DATA: dict[str, Spoil] = {
    "nothing is wrong": lambda: None,
    "dialogues that lead elsewhere": leads("data/train.jsonl", f"../{OUT}/train.jsonl"),
    "facts that lead elsewhere": leads("data/facts.jsonl", f"../{OUT}/credentials"),
    "a folder that leads elsewhere": leads("data", OUT),
    "texts that are paths": holds("data/train.jsonl", TRAIN.replace('"a"', f'"{OUT}/credentials"')),
    "a row that refers to a file": holds("data/train.jsonl", f'{{"$ref": "{OUT}/train.jsonl"}}\n'),
    "a script that loads the data": holds("data/data.py", "raise SystemExit('ran')\n"),
}
PARAMS: dict[str, Spoil] = {
    "an object": holds("params.yaml", f"seed: !!python/object/apply:builtins.open ['{OUT}/credentials']\n"),
    "a file to include": holds("params.yaml", f"seed: !include {OUT}/credentials\n"),
    "a base outside": holds("params.yaml", f"seed: 1\nmodel: {{source: {{path: '{OUT}/base'}}}}\n"),
    "a merge of a file": holds("params.yaml", f"<<: {OUT}/credentials\nseed: 1\n"),
}
PROFILES: dict[str, Spoil] = {
    "nothing is wrong": lambda: None,
    "an object": holds("profiles/mine.yaml", f"seed: !!python/object/apply:builtins.open ['{OUT}/credentials']\n"),
    "a file to include": holds("profiles/mine.yaml", f"seed: !include {OUT}/credentials\n"),
    "a base outside": holds("profiles/mine.yaml", f"model: {{source: {{path: '{OUT}/base'}}}}\n"),
}
STEP = "state/0123/step_000001"
STATES: dict[str, Spoil] = {
    "nothing is wrong": lambda: None,
    "a manifest that names other files": said(f"{STEP}/manifest.json", files={f"{OUT}/credentials": "0" * 64}),
    "tensors that lead elsewhere": leads(f"{STEP}/state.safetensors", f"../../../{OUT}/credentials"),
    "a record that leads elsewhere": leads(f"{STEP}/state.json", f"../../../{OUT}/credentials"),
    "a manifest that leads elsewhere": leads(f"{STEP}/manifest.json", f"../../../{OUT}/credentials"),
    "a step that leads elsewhere": leads(STEP, f"../../../{OUT}"),
    "a pickle": pickled(f"{STEP}/state.safetensors"),
}
CASES = {
    f"{what}: {name}": (load, spoil)
    for what, load, spoils in (
        ("model", load_base, MODELS),
        ("classifier", load_classifier, {"labels that are paths": said(CLASSIFIER, id2label={"0": OUT, "1": "hate"})}),
        ("tokenizer", load_classifier, TOKENIZERS),
        ("base's tokenizer", load_base, BASES_TOKENIZERS),
        ("adapter", load_adapter, ADAPTERS),
        ("data", load_data, DATA),
        ("params", load_params, PARAMS),
        ("profile", load_profile, PROFILES),
        ("state", load_state, STATES),
        ("control", load_as_it_is, {"a vocabulary elsewhere": TOKENIZERS["vocab of words"]}),
    )
    for name, spoil in spoils.items()
}
