"""Where the models compute: what params.yaml may ask for, and that a GPU gives what the CPU gives.

Where there is no GPU a second device is simulated: that shows what is on the wrong side, not what CUDA makes of it.
"""

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from projects import OUTPUTS, contents, run_stages, write_params
from safetensors.torch import load_file
from simulated import WrongDevice, one_gpu

from detox.errors import InputError
from detox.model.policy import Policy
from detox.runtime import devices

pytest_plugins = ["models", "projects"]

COMPUTE: dict[str, str | int] = {"device": "cuda", "processes": 1, "machines": 1}


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> Iterator[torch.device]:
    """This machine's, or a simulated one."""
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    if torch.cuda.is_available():
        yield torch.device("cuda")
    else:
        with one_gpu() as device:
            yield device
    torch.use_deterministic_algorithms(False)


@pytest.fixture
def project(finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy, of the test's own, of a project whose stages have run on the CPU."""
    shutil.copytree(finished, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    return finished


def test_on_a_gpu_the_stages_give_what_they_give_on_the_cpu_and_the_same_bytes_twice(
    project: Path, gpu: torch.device
) -> None:
    write_params(compute=COMPUTE)
    outputs = []
    for _ in range(2):
        run_stages()
        outputs.append(contents(*OUTPUTS))
    assert outputs[0] == outputs[1]
    for name in ("data/summaries/sft.jsonl", "data/rivals/base.jsonl", "data/rivals/filter.jsonl"):
        assert Path(name).read_bytes() == (project / name).read_bytes()
    for name in ("models/ppo/adapter_model.safetensors", "models/ppo/value_head.safetensors"):
        here, there = load_file(project / name), load_file(name)
        for weight in here:
            torch.testing.assert_close(there[weight], here[weight], rtol=0, atol=1e-3)
    here, there = (json.loads((folder / "metrics/train.json").read_text()) for folder in (project, Path()))
    assert there == pytest.approx(here, abs=1e-3)


def test_in_bfloat16_too_the_policy_is_its_reference_before_it_learns(project: Path, gpu: torch.device) -> None:
    sections = json.loads(Path("params.json").read_text())
    model, ppo = sections["model"] | {"dtype": "bfloat16"}, sections["ppo"] | {"samples_per_prompt": 2}
    write_params(compute=COMPUTE, model=model, ppo=ppo)
    run_stages()
    metrics = json.loads(Path("metrics/train.json").read_text())
    assert abs(metrics["kl_first"]) < 1e-3
    assert metrics["ratio_error_first"] < 1e-3


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU, which does this itself")
def test_a_simulated_device_refuses_what_a_gpu_refuses(base: Path, adapter: Path, gpu: torch.device) -> None:
    here, there = torch.ones(2, 3), torch.ones(2, 3, device=gpu)
    assert there.device.type == "cuda"
    assert (there + 1).device.type == (there * torch.tensor(2)).device.type == "cuda"
    assert there[torch.tensor([1])].device.type == "cuda"
    assert there.cpu().device.type == "cpu"
    assert there.to("cpu").add(here).sum() == 12
    refused = [
        lambda: here + there,
        lambda: torch.cat([there, here]),
        lambda: here[torch.tensor([1], device=gpu)],
        lambda: here.__setitem__([0, 1], there),
        lambda: there.numpy(),
        lambda: Policy(base, adapter, device=gpu).sample(torch.ones(1, 2).long(), torch.ones(1, 2).bool(), [1], 3),
    ]
    for operation in refused:
        with pytest.raises(WrongDevice):
            operation()


def ask_for(device: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3,5")
    (tmp_path / "params.yaml").write_text(json.dumps({"compute": COMPUTE | {"device": device}}), encoding="utf-8")
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(
    ("asked", "cuda", "mps", "found"),
    [
        ("cpu", True, True, "cpu"),
        ("cuda", True, True, "cuda"),
        ("mps", True, True, "mps"),
        ("auto", True, True, "cuda"),
        ("auto", False, True, "mps"),
        ("auto", False, False, "cpu"),
    ],
)
def test_the_device_is_the_one_that_is_asked_for_or_the_best_that_is_there(
    asked: str, cuda: bool, mps: bool, found: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)
    ask_for(asked, tmp_path, monkeypatch)
    assert devices.kind() == found


def test_what_it_has_come_to_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], gpu: torch.device
) -> None:
    ask_for("auto", tmp_path, monkeypatch)
    assert devices.chosen() == gpu
    assert capsys.readouterr().out == f"device: {torch.cuda.get_device_name(gpu)}\n"
    ask_for("cpu", tmp_path, monkeypatch)
    assert devices.chosen() == torch.device("cpu")
    assert capsys.readouterr().out == "device: cpu\n"


def test_of_several_gpus_one_process_uses_the_first_that_it_may_see(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, gpu: torch.device
) -> None:
    """transformers' trainer would take both, each with a batch of its own."""
    ask_for("cuda", tmp_path, monkeypatch)
    assert devices.chosen() == torch.device("cuda")
    assert os.environ["CUDA_VISIBLE_DEVICES"] == "3"


@pytest.mark.parametrize("device", ["cuda", "mps"])
def test_where_there_is_no_gpu_it_is_refused_in_one_line(
    device: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    ask_for(device, tmp_path, monkeypatch)
    with pytest.raises(InputError) as refused:
        devices.chosen()
    assert str(refused.value) == (
        f"params.yaml: compute.device is {device}, but torch {torch.__version__} finds no such GPU: set it to auto or "
        "cpu, or install a torch for this machine's GPU"
    )


def joined(gpus: int, processes: int, kind: str = "cuda") -> dict[str, Any]:
    """How accelerate is asked to have processes on a machine with so many GPUs meet."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        told: dict[str, Any] = {}
        monkeypatch.setenv("LOCAL_WORLD_SIZE", str(processes))
        monkeypatch.setenv("LOCAL_RANK", "0")  # `join` would set it, and nothing would take that back
        monkeypatch.setattr(torch.cuda, "device_count", lambda: gpus)
        monkeypatch.setattr("accelerate.PartialState", lambda **asked: told.update(asked))
        devices.join(kind, rank=0)
        return told


def test_each_process_has_a_gpu_of_its_own_over_nccl_and_too_few_they_share_over_gloo() -> None:
    """What cannot be on a GPU, the words that are exchanged, goes over gloo in any case."""
    assert joined(gpus=2, processes=2) == {"cpu": False, "backend": "cpu:gloo,cuda:nccl", "rank": 0}
    assert joined(gpus=1, processes=2) == {"cpu": False, "backend": "gloo", "rank": 0}
    assert joined(gpus=2, processes=2, kind="cpu") == {"cpu": True, "backend": "gloo", "rank": 0}
    with pytest.raises(InputError, match=r"^compute\.device mps is for one process: "):
        joined(gpus=0, processes=2, kind="mps")
