"""Loads projects in which something has changed at random: `python tests/support/fuzz.py N`, or `make fuzz N=2000`.

Each of the seven kinds of input takes its turn. A case has to end in time and memory, in success or in one line, with
nothing written, and nothing opened but its own files. It runs in a fork of this process, which has imported and made
everything, so that it costs milliseconds. The number of a case is its seed: `fuzz.py 1 --first 123` is case 123 again.
"""

import argparse
import copy
import hashlib
import json
import os
import random
import resource
import shutil
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import hostile
import torch
from ruamel.yaml import YAML
from traced import Watch, note, opened

from detox.errors import InputError
from detox.params import origins, reading, sections, training
from detox.params.origins import Source
from stages import prepare

SECONDS, BYTES = 30, 3 * 2**30  # of a case, beside what the process has already
ODD: list[Any] = [
    *(None, True, False, 0, -1, 1, 7, 2**31, 2**63, -(2**63), 10**30, 10**400, 0.5, -1.5, 1e-300, 1e308),
    *("", "x", "x" * 10_000, "\x1b]0;x\x07", "\u202e", "\ud800", "../../outside/vocab.txt", "/etc/passwd", "null"),
    *("https://me:pass@host/x", "~/.aws/credentials", "owner/name", "*", "(a+)+$", "{}", "nan", "1e999", "__class__"),
    *([], {}, [[]], [None], {"": None}, [0] * 1000, {"content": "x", "__type": "AddedToken"}, {"type": "Replace"}),
]
BYTES_PUT = [b"\0", b"\xff", b"\xef\xbb\xbf", b"\x1b[2J", b"\n", b"\r", b'"', b"{", b"[" * 5000, b"9" * 5000, b"\x9b"]
BASE = ["base/config.json", "base/model.safetensors"]
TOKENIZERS = [
    f"{folder}/{name}" for folder in ("base", "classifier") for name in ("tokenizer.json", "tokenizer_config.json")
]
SECTIONS: dict[str, Any] = {"reward": sections.Classifier, "judge": sections.Classifier, "adapter": training.Adapter}
SECTIONS |= {kind.__name__.lower(): kind for kind in (sections.Model, sections.Prepare, sections.Summarize)}
SECTIONS |= {kind.__name__.lower(): kind for kind in (sections.Rivals, sections.Compute, sections.Evaluate)}
SECTIONS |= {kind.__name__.lower(): kind for kind in (training.Ppo, training.Rank)}


def load_tokenizers(sources: dict[str, Source]) -> None:
    """Of both models."""
    hostile.load_base(sources)
    hostile.load_classifier(sources)


def load_params(sources: dict[str, Source]) -> None:
    """All of params.yaml."""
    reading.seed()
    origins.sources()
    for name, kind in SECTIONS.items():
        reading.load(kind, section=name)


STEP = "state/0123/step_000001"
KINDS: dict[str, tuple[Callable[[dict[str, Source]], None], list[str]]] = {
    "model": (hostile.load_base, BASE),
    "classifier": (hostile.load_classifier, ["classifier/config.json", "classifier/model.safetensors"]),
    "tokenizer": (load_tokenizers, TOKENIZERS),
    "adapter": (hostile.load_adapter, ["adapter/adapter_config.json", "adapter/adapter_model.safetensors"]),
    "data": (lambda sources: prepare.main(), ["data/train.jsonl"]),
    "params": (load_params, ["params.yaml"]),
    "state": (hostile.load_state, [f"{STEP}/{name}" for name in ("state.safetensors", "state.json", "manifest.json")]),
    "profile": (hostile.load_profile, ["profiles/mine.yaml", "params.yaml"]),
}
NAMES = """model.safetensors pytorch_model.bin model.safetensors.index.json adapter_model.bin tokenizer.model vocab.txt
    spiece.model README.md train.csv train.parquet train.json train.jsonl.gz train.zip train.arrow""".split()


class Case(NamedTuple):
    """What became of one."""

    number: int
    what: str
    ended: str
    wrong: list[str]  # why it is not what is promised


def places(tree: Any) -> Iterator[tuple[Any, Any]]:
    """Every (container, key) of a tree."""
    for key in list(tree) if isinstance(tree, dict) else range(len(tree)) if isinstance(tree, list) else ():
        yield tree, key
        yield from places(tree[key])


def changed(tree: Any, chance: random.Random) -> Any:
    """A tree in which a value, a key, or two values that are exchanged, are not what they were."""
    tree = copy.deepcopy(tree)
    for _ in range(chance.choice([1, 1, 1, 2, 5])):
        found = list(places(tree))
        if not found:
            return chance.choice(ODD)
        (first, key), (second, other) = chance.choice(found), chance.choice(found)
        how = chance.randrange(5)
        if how == 0 and isinstance(first, dict):
            first[str(chance.choice(ODD))] = first.pop(key)
        elif how == 1:
            del first[key]
        elif how == 2:
            first[key], second[other] = copy.deepcopy(second[other]), copy.deepcopy(first[key])
        else:
            first[key] = copy.deepcopy(chance.choice(ODD))
    return tree


def changed_bytes(content: bytes, chance: random.Random) -> bytes:
    """Bits that have flipped, a piece that is gone, doubled, moved or another, an end that is missing."""
    begin, length = chance.randrange(len(content) + 1), chance.choice([1, 8, 100, 5000])
    end = min(len(content), begin + length)
    flipped = bytearray(content)
    for _ in range(chance.choice([1, 8, 64])):
        flipped[chance.randrange(len(content))] ^= 1 << chance.randrange(8)
    return chance.choice(
        [
            *(bytes(flipped), bytes(flipped), content[:begin], content[:begin] + content[end:]),
            *(content[:end] + content[begin:], content[begin:] + content[:begin], content * 3, b""),
            content[:begin] + chance.choice(BYTES_PUT) + content[end:],
            content[:begin] + chance.randbytes(length) + content[end:],
            content.decode("utf-8", "replace").encode(
                chance.choice(["utf-16", "utf-32", "latin-1", "cp037"]), "replace"
            ),
        ]
    )


def written(path: Path, chance: random.Random) -> str:
    """Changes a file; what was done."""
    content = path.read_bytes()
    how = chance.choice(["bytes", "fields", "fields", "fields", "name"])
    if how == "bytes":
        path.write_bytes(changed_bytes(content, chance))
    elif how == "fields" and path.suffix == ".safetensors":
        size = int.from_bytes(content[:8], "little")
        header = json.dumps(changed(json.loads(content[8 : 8 + size]), chance)).encode()
        path.write_bytes(len(header).to_bytes(8, "little") + header + content[8 + size :])
    elif how == "fields" and path.suffix == ".jsonl":
        rows = changed([json.loads(line) for line in content.splitlines()], chance)
        path.write_text("".join(json.dumps(row) + "\n" for row in (rows if isinstance(rows, list) else [rows])))
    elif how == "fields":
        tree = YAML(typ="safe").load(content) if path.suffix == ".yaml" else json.loads(content)
        path.write_text(json.dumps(changed(tree, chance)))
    else:
        how = renamed(path, chance)
    return f"{path} {how}"


def renamed(path: Path, chance: random.Random) -> str:
    """Another name, another kind of thing in its place, or the content of a file beside it."""
    beside = sorted(each for each in path.parent.iterdir() if each.is_file())
    how = chance.choice(["gone", "renamed", "copied", "folder", "link", "loop", "pipe", "other"])
    other = path.with_name(chance.choice(NAMES))
    content = chance.choice(beside).read_bytes()
    if how == "copied":
        other.write_bytes(path.read_bytes())
    elif how == "renamed":
        path.rename(other)
    else:
        path.unlink()
    if how == "folder":
        path.mkdir()
    elif how in ("link", "loop"):
        path.symlink_to("../../../outside/credentials" if how == "link" else path.name)
    elif how == "pipe":
        os.mkfifo(path)
    elif how == "other":
        path.write_bytes(content)
    return how


def agreeing(step: Path) -> None:
    """A state's manifest that agrees with its files."""
    if (path := step / "manifest.json").is_file() and not path.is_symlink():
        names = ("state.safetensors", "state.json")
        files = {name: step / name for name in names if (step / name).is_file()}
        hashes = {name: hashlib.sha256(each.read_bytes()).hexdigest() for name, each in files.items()}
        path.write_text(json.dumps({"fingerprint": step.parent.name, "files": hashes}))


def contents() -> dict[str, str]:
    """Every file below the working directory, and its hash."""
    paths = [path for path in Path().rglob("*") if path.is_file() and not path.is_symlink()]
    return {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in paths}


def load(kind: str, sources: dict[str, Source]) -> str:
    """Loads the project in the working directory; how that ended."""
    try:
        KINDS[kind][0](sources)
    except InputError as error:
        return f"error: {error}"
    except BaseException as error:
        frame = error.__traceback__
        while frame and frame.tb_next:
            frame = frame.tb_next
        where = f" at {Path(frame.tb_frame.f_code.co_filename).name}:{frame.tb_lineno}" if frame else ""
        return f"{type(error).__name__}{where}: {error}"
    return "loaded"


def within_limits(kind: str, sources: dict[str, Source], result: Path) -> None:
    """What a fork does: it says on a file how it ended, and what Python opened."""
    resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS))
    size = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (size + BYTES, size + BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    signal.alarm(2 * SECONDS)  # a pipe takes no time of a processor
    nowhere = os.open(os.devnull, os.O_RDWR)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)
    sys.addaudithook(note)
    ended = load(kind, sources)
    paths = sorted(set(opened))
    result.write_text(json.dumps([ended, paths]))


def one(root: Path, number: int, watch: Watch) -> Case:
    """One case, in a copy of the sound project."""
    chance, kinds = random.Random(number), list(KINDS)
    kind = kinds[number % len(kinds)]
    folder, result = root / "projects/case", root / "result.json"
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(root / "sound", folder)
    os.chdir(folder)
    what = written(Path(chance.choice(KINDS[kind][1])), chance)
    if kind == "state" and chance.random() < 0.7:
        agreeing(Path(STEP))
    sources = hostile.pinned()
    if kind == "data":
        hostile.point_to_data(sources)
    before = contents()
    result.unlink(missing_ok=True)
    list(watch.seen())
    if (child := os.fork()) == 0:
        try:
            within_limits(kind, sources, result)
        finally:
            os._exit(0)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    ended, paths = json.loads(result.read_text()) if result.is_file() else (f"killed, {status}", [])
    wrong = [f"opened {path}" for path in watch.seen()]
    wrong += [f"opened {path}" for path in paths if "outside" in path or str(root / "home") in path]
    if ended != "loaded":
        wrong += [] if ended.startswith("error: ") and ended.isprintable() else [ended]
        wrong += [f"wrote {path}" for path, digest in contents().items() if before.get(path) != digest]
    wrong += [f"left {path}" for path in (root / "tmp").iterdir()]
    os.chdir(root)
    return Case(number, f"{kind}: {what}", ended, wrong)


def fuzz(numbers: range, root: Path) -> Iterator[Case]:
    """These cases, in a folder that must be empty."""
    torch.set_num_threads(1)
    hostile.fill(root)
    for name in ("projects", "tmp"):
        (root / name).mkdir()
    os.environ |= {"HOME": str(root / "home"), "TMPDIR": str(root / "tmp"), "HF_HUB_OFFLINE": "1"}
    tempfile.tempdir = None
    watch, here = Watch(root / "outside", root / "home"), Path.cwd()
    os.chdir(root / "sound")
    for kind in KINDS:  # once in this process, so that all is imported
        shutil.copytree(root / "sound", root / "projects/warm", dirs_exist_ok=True)
        os.chdir(root / "projects/warm")
        hostile.point_to_data(hostile.pinned())
        assert load(kind, hostile.pinned()) == "loaded", kind
    for number in numbers:
        yield one(root, number, watch)
    os.chdir(here)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("count", type=int)
    parser.add_argument("--first", type=int, default=0)
    arguments = parser.parse_args()
    loaded, bad = 0, 0
    with tempfile.TemporaryDirectory() as folder:
        for case in fuzz(range(arguments.first, arguments.first + arguments.count), Path(folder).resolve()):
            loaded += case.ended == "loaded"
            bad += bool(case.wrong)
            if case.wrong:
                print(f"{case.number}: {case.what}: {'; '.join(case.wrong)[:600]!r}", flush=True)
    print(
        f"{arguments.count} cases: {loaded} loaded, {arguments.count - loaded - bad} ended in one line, {bad} did not"
    )
    sys.exit(bad > 0)


if __name__ == "__main__":
    main()
