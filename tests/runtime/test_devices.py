"""Where the models compute: what params.yaml may ask for, and that a GPU gives what the CPU gives.

Where there is no GPU a second device is simulated: that shows what is on the wrong side, not what CUDA makes of it.
"""

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from forked_ranks import in_ranks
from projects import OUTPUTS, contents, run_stages, write_params
from safetensors.torch import load_file
from simulated import SecondDevice, WrongDevice

from detox.errors import InputError
from detox.model.policy import Policy
from detox.runtime import devices

pytest_plugins = ["models", "projects"]

COMPUTE: dict[str, str | int] = {"device": "cuda", "launcher": "python", "processes": 1}


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> Iterator[torch.device]:
    """This machine's, or a simulated one."""
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    if torch.cuda.is_available():
        yield torch.device("cuda")
    else:
        monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
        monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: "simulated")
        with SecondDevice():
            yield torch.device("cuda")
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


def ask_for(compute: dict[str, str | int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3,5")
    (tmp_path / "params.yaml").write_text(json.dumps({"compute": compute}), encoding="utf-8")
    monkeypatch.chdir(tmp_path)


def refusal() -> str:
    with pytest.raises(InputError) as refused:
        devices.chosen()
    return str(refused.value)


def test_the_cpu_is_what_it_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ask_for(COMPUTE | {"device": "cpu", "processes": 2}, tmp_path, monkeypatch)
    assert devices.chosen() == torch.device("cpu")


def test_of_several_gpus_the_first_that_may_be_seen_is_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, gpu: torch.device
) -> None:
    """transformers' trainer would take both, each with a batch of its own."""
    ask_for(COMPUTE, tmp_path, monkeypatch)
    assert devices.chosen() == torch.device("cuda")
    assert os.environ["CUDA_VISIBLE_DEVICES"] == "3"


def test_without_a_gpu_cuda_is_refused_in_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    ask_for(COMPUTE, tmp_path, monkeypatch)
    assert refusal() == (
        f"params.yaml: compute.device is cuda, but torch {torch.__version__} finds no GPU: set it to cpu, or install a "
        "torch for this machine's CUDA"
    )


def test_several_processes_on_one_gpu_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those of params.yaml, and those that somebody has started by hand."""
    ask_for(COMPUTE | {"processes": 2}, tmp_path, monkeypatch)
    assert refusal() == "params.yaml: compute: device cuda is for one process: set processes to 1"
    ask_for(COMPUTE, tmp_path, monkeypatch)
    assert in_ranks(2, refusal) == ["compute.device is cuda, which is for one process, but there are 2: start one"] * 2
