"""What a bug report needs: versions, device, threads, what git and DVC say. No secret, no path of anybody's folders."""

import os
import platform
from collections.abc import Iterator
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

PACKAGES = ("torch", "transformers", "peft", "trl", "accelerate", "tokenizers", "numpy", "pandas", "dvc")
# Only whether they are set: a value may be a secret.
VARIABLES = ("CUDA_VISIBLE_DEVICES", "HF_ENDPOINT", "HF_HUB_OFFLINE", "HTTPS_PROXY", "OMP_NUM_THREADS", "RANK")


def report() -> list[tuple[str, str]]:
    """A label and what is so, line by line."""
    return [*_system(), *_packages(), *_compute(), *_project()]


def _system() -> Iterator[tuple[str, str]]:
    yield "detox", version("dialogue-detox")
    yield "python", platform.python_version()
    yield "system", f"{platform.system()} {platform.release()}, {platform.machine()}"
    yield "cores", f"{len(os.sched_getaffinity(0)) if hasattr(os, 'sched_getaffinity') else os.cpu_count()}"
    yield "set", ", ".join(name for name in VARIABLES if name in os.environ) or "nothing that matters here"


def _packages() -> Iterator[tuple[str, str]]:
    for name in PACKAGES:
        try:
            yield name, version(name)
        except PackageNotFoundError:
            yield name, "not installed"


def _compute() -> Iterator[tuple[str, str]]:
    import torch

    yield "threads", f"{torch.get_num_threads()}, {torch.backends.cpu.get_cpu_capability()}"
    gpus = [torch.cuda.get_device_name(number) for number in range(torch.cuda.device_count())]
    yield "CUDA", f"{torch.version.cuda or 'not in this torch'}; GPUs: {', '.join(gpus) or 'none'}"
    yield "MPS", "yes" if torch.backends.mps.is_available() else "no"


def _project() -> Iterator[tuple[str, str]]:
    """What git and DVC say; that it is no project, where it is none."""
    if not Path("params.yaml").is_file():
        yield "project", "none here: run it in the project's root"
        return
    from dvc.exceptions import DvcException
    from dvc.repo import Repo
    from dvc.scm import SCMError

    from detox.params import profiles, reading
    from detox.reporting import provenance

    tree = profiles.read(reading.PARAMS)
    yield "profile", provenance.profile_of(tree, profiles.known())
    yield "device", f"{tree['compute']['device']}, processes {tree['compute']['processes']}"
    with suppress(DvcException, SCMError):
        with Repo() as repo:
            commit = repo.scm.get_rev()
            staged, unstaged, _ = repo.scm.status()
            changed = sum(map(len, staged.values())) + len(unstaged)
            yield "commit", f"{commit[:12]}, {changed} changed file(s)"
            stale = sorted(name for name in repo.status() if "/" not in name)
            yield "to run again", ", ".join(stale) or "nothing"
        return
    yield "git and DVC", "no repository here"
