"""What is compared: each part's programs and what they are given. Returns raw figures, which `page` makes readable."""

import json
import os
import random
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from tqdm import tqdm

from benchmarks import flops, shapes
from benchmarks.rounds import Figures, alternating, measured, printed
from detox import parsing

PRODUCTS = "matrix products"  # the program that measures the limit
TRL_DEFAULT, TRL_AT_ONCE, TRL_NOTEBOOK = "TRL, 4 at once (its default)", "TRL, all at once", "TRL, one at a time"
ONE, SEVERAL = "one process", "one process a core"
MINIATURE = Path("models/miniature")


class Sizes(NamedTuple):
    """Of the models and of what they are given."""

    width: int = 768
    layers: int = 12
    cut_layers: int = 4  # of the model that (e) scales
    episodes: int = 16
    tokens: int = 64
    notebook_tokens: tuple[int, int] = (100, 400)  # from, to and without
    steps: int = 3  # of the miniature
    miniature_episodes: int = 96
    texts: int = 2000
    base_texts: int = 200  # for a classifier of base size

    def flop(self, layers: int, prompts: list[int], k: int, response: int) -> dict[str, int]:
        """Of one pass."""
        width = self.width
        shape = flops.Shape(width, width // 64 * 64, width * 8 // 3, layers, shapes.VOCABULARY)
        return flops.forward(shape, prompts, k, response)


class Bench(NamedTuple):
    """Where and how to measure."""

    folder: Path  # for models and texts
    trl_python: str
    pairs: int
    sizes: Sizes

    def make_models(self) -> None:
        """Writes those with random weights."""
        module = [sys.executable, "-m", "benchmarks.shapes", str(self.folder)]
        told = {"width": self.sizes.width, "layers": self.sizes.layers, "cut-layers": self.sizes.cut_layers}
        printed([*module, *options(told)])

    def prompts(self, count: int) -> tuple[Path, list[int]]:
        """A file of prompts spread over the lengths, and these."""
        lengths = shapes.spread(count, *shapes.PROMPT_TOKENS)
        return shapes.write_prompts(self.folder / f"prompts-{count}.json", lengths), lengths


def options(values: Mapping[str, object]) -> list[str]:
    return [f"--{name}={value}" for name, value in values.items()]


def ours(module: str, model: Path, texts: Path, /, **sizes: int) -> list[str]:
    """A module of ours that takes steps on the model in this folder."""
    told = {name.replace("_", "-"): value for name, value in sizes.items()}
    command = [sys.executable, "-m", f"benchmarks.{module}"]
    return [*command, str(model / "base"), str(model / "adapter"), str(texts), *options(told)]


def trl(bench: Bench, program: str, model: Path, texts: Path, /, **sizes: int) -> list[str]:
    """A program that takes TRL's steps on the model in this folder."""
    told = {name.replace("_", "-"): value for name, value in sizes.items()}
    command = [bench.trl_python, f"benchmarks/trl/{program}.py"]
    return [*command, str(model / "base"), str(model / "adapter"), str(texts), *options(told)]


def base(bench: Bench) -> Figures:
    """(a) A step on a T5 of base size."""
    model, sizes = bench.folder / "t5", bench.sizes
    given: dict[str, int] = {"episodes": sizes.episodes, "mini_batch": 4, "tokens": sizes.tokens}
    theirs = given | {"min_tokens": sizes.tokens}
    each, each_length = bench.prompts(sizes.episodes)
    fourth, fourth_length = bench.prompts(sizes.episodes // 4)
    programs = {
        TRL_DEFAULT: trl(bench, "step", model, each, **theirs, generate_batch=4),
        TRL_AT_ONCE: trl(bench, "step", model, each, **theirs, generate_batch=sizes.episodes),
        "ours, k = 1": ours("step", model, each, **given, k=1, micro_batch=2),
        "ours, k = 4": ours("step", model, fourth, **given, k=4, micro_batch=4),
        PRODUCTS: [sys.executable, "-m", "benchmarks.gemm"],
    }
    flop = {
        "ours, k = 1": sizes.flop(sizes.layers, each_length, 1, sizes.tokens),
        "ours, k = 4": sizes.flop(sizes.layers, fourth_length, 4, sizes.tokens),
    }
    return {"episodes": sizes.episodes, "flop": flop, "rounds": alternating(programs, bench.pairs, "(a)")}


def notebook(bench: Bench) -> Figures:
    """(b) The loop of the course's notebook: one prompt at a time, each answered at a length drawn for it."""
    model, texts, episodes = bench.folder / "t5", bench.prompts(4)[0], 4
    rounds, drawn = [], []
    for number in range(bench.pairs):
        rng = random.Random(number)
        lengths = [rng.randrange(*bench.sizes.notebook_tokens) for _ in range(episodes)]
        given = {"episodes": episodes, "mini_batch": 4}
        mean = round(sum(lengths) / episodes)
        programs = {
            TRL_NOTEBOOK: [*trl(bench, "notebook", model, texts, **given), "--lengths", *map(str, lengths)],
            "ours, k = 1": ours("step", model, texts, **given, tokens=mean, k=1, micro_batch=2),
        }
        rounds += alternating(programs, 1, f"(b) {number + 1}/{bench.pairs}")
        drawn.append(lengths)
    return {"episodes": episodes, "lengths": drawn, "rounds": rounds}


def miniature(bench: Bench) -> Figures:
    """(c) Steps on the miniature, from its own adapter."""
    sizes = bench.sizes
    rows = parsing.read_jsonl(Path("data/miniature/train.jsonl"))[: (1 + sizes.steps) * sizes.miniature_episodes]
    texts = shapes.write_dialogues(bench.folder / "miniature.json", [row["dialogue"] for row in rows])
    episodes = sizes.miniature_episodes
    given = {"episodes": episodes, "mini_batch": episodes, "steps": sizes.steps, "warm_up": 1, "tokens": 72}
    programs = {
        TRL_DEFAULT: trl(bench, "step", MINIATURE, texts, **given, generate_batch=4),
        TRL_AT_ONCE: trl(bench, "step", MINIATURE, texts, **given, generate_batch=episodes),
        "ours, k = 1": ours("step", MINIATURE, texts, **given, k=1, micro_batch=16),
        "ours, k = 4": ours("step", MINIATURE, texts, **given, k=4, micro_batch=16),
    }
    return {"episodes": episodes, "steps": sizes.steps, "rounds": alternating(programs, bench.pairs, "(c)")}


def scoring(bench: Bench) -> Figures:
    """(d) The toxicity of summaries, by the miniature's classifier and by one of RoBERTa's base size."""
    rows = parsing.read_jsonl(Path("data/miniature/test.jsonl"))
    references = [row[key] for row in rows for key in sorted(row) if key.startswith("summary")]
    rng = random.Random(0)
    words = [rng.randint(15, 60) for _ in range(bench.sizes.base_texts)]
    cases = {
        "miniature": (MINIATURE / "toxicity", references[: bench.sizes.texts]),
        "RoBERTa-base": (bench.folder / "roberta", shapes.texts(words, rng)),
    }
    programs = {PRODUCTS: [sys.executable, "-m", "benchmarks.gemm"]}
    for case, (classifier, texts) in cases.items():
        path = bench.folder / f"{case}.json"
        path.write_text(json.dumps(texts), encoding="utf-8")
        for scorer in ("evaluate", "ours"):
            module = [sys.executable, "-m", "benchmarks.scoring", scorer]
            programs[f"{case}, {scorer}"] = [*module, str(classifier), str(path)]
    texts_of = {case: len(texts) for case, (_, texts) in cases.items()}
    width, lengths = bench.sizes.width, [count + 1 for count in words]  # a token a word, and the end
    flop = {"RoBERTa-base": flops.encoder(lengths, width, 4 * width, bench.sizes.layers)}
    return {"texts": texts_of, "flop": flop, "rounds": alternating(programs, bench.pairs, "(d)")}


SWEEPS: dict[str, list[int]] = {
    "prompt": [64, 128, 256],
    "response": [32, 64, 128],
    "episodes": [8, 16, 32],
    "k": [1, 2, 4, 8],
}
MIDDLE = {"prompt": 128, "response": 64, "episodes": 16, "k": 1}


def scaling(bench: Bench) -> Figures:
    """(e) Our step on a T5 cut to a few layers, one size at a time away from the middle; each point runs once."""
    points = {tuple((MIDDLE | {name: value}).items()) for name, values in SWEEPS.items() for value in values}
    limit = measured([sys.executable, "-m", "benchmarks.gemm"])
    measurements = [point(bench, dict(sizes)) for sizes in tqdm(sorted(points), desc="(e)")]
    return {"layers": bench.sizes.cut_layers, PRODUCTS: limit, "points": measurements}


def point(bench: Bench, sizes: dict[str, int]) -> Figures:
    """Seconds and FLOP of a step of these sizes; every prompt has the same length."""
    k, episodes = sizes["k"], sizes["episodes"]
    lengths = [sizes["prompt"]] * (episodes // k)
    texts = shapes.write_prompts(bench.folder / "scaling.json", lengths)
    given = {"episodes": episodes, "mini_batch": 8, "micro_batch": max(2, k), "tokens": sizes["response"], "k": k}
    flop = sum(bench.sizes.flop(bench.sizes.cut_layers, lengths, k, sizes["response"]).values())
    return sizes | measured(ours("step", bench.folder / "cut", texts, **given)) | {"flop": flop * len(flops.PASSES)}


def shared(bench: Bench) -> Figures:
    """(f) A step on a T5 of base size in one process, and in as many as the machine has cores."""
    sizes, texts = bench.sizes, bench.prompts(bench.sizes.episodes // 4)[0]
    given = {"episodes": sizes.episodes, "mini_batch": sizes.episodes, "tokens": sizes.tokens, "k": 4, "micro_batch": 8}
    programs = {
        ONE: ours("step", bench.folder / "t5", texts, **given),
        SEVERAL: ours("step", bench.folder / "t5", texts, **given, processes=os.cpu_count() or 1),
    }
    return {"episodes": sizes.episodes, "rounds": alternating(programs, bench.pairs, "(f)")}


def typed(bench: Bench) -> Figures:
    """(g) A step with one update a rollout, and a step of tuning, on a T5 of base size in two types of numbers."""
    sizes, texts = bench.sizes, bench.prompts(bench.sizes.episodes // 4)[0]
    given = {"episodes": sizes.episodes, "mini_batch": sizes.episodes, "tokens": sizes.tokens, "k": 4, "micro_batch": 4}
    tuning = [sys.executable, "-m", "benchmarks.tuning", str(bench.folder / "t5" / "base"), f"--tokens={sizes.tokens}"]
    programs = {
        f"{work}, {dtype}": [*command, f"--dtype={dtype}"]
        for work, command in (("PPO", ours("step", bench.folder / "t5", texts, **given)), ("tuning", tuning))
        for dtype in shapes.TYPES
    }
    return {"rounds": alternating(programs, bench.pairs, "(g)")}


def profiled(bench: Bench) -> Figures:
    """Where the time of a step of (a) at k = 1 goes."""
    texts, _ = bench.prompts(bench.sizes.episodes)
    given = {"episodes": bench.sizes.episodes, "mini_batch": 4, "micro_batch": 2, "tokens": bench.sizes.tokens}
    return measured(ours("operators", bench.folder / "t5", texts, **given))


PARTS: dict[str, Callable[[Bench], dict[str, Any]]] = {
    "a": base,
    "b": notebook,
    "c": miniature,
    "d": scoring,
    "e": scaling,
    "f": shared,
    "g": typed,
    "profile": profiled,
}
WITH_TRL = {"a", "b", "c"}
