"""Which trackers are wanted, and what each is made with: no code, host, user, path or output of a process is recorded.

What they write here is in .track, which neither git nor DVC looks at. That a tracker sends it elsewhere its own
environment variables decide.
"""

import importlib.util
import os
from pathlib import Path
from typing import Any

from detox.errors import InputError
from detox.params import reading
from detox.params.sections import Trackers

PROJECT = "dialogue-detox"


def wanted() -> list[str]:
    """Those that params.yaml wants. Raises InputError where one's package is missing, or there is no such tracker."""
    names: list[str] = list(reading.parse(Trackers, reading.PARAMS, "track"))
    if missing := [name for name in names if importlib.util.find_spec(name) is None]:
        extras = f"'.[{','.join(missing)}]'"
        raise InputError(
            f"{reading.PARAMS}: track wants {', '.join(missing)}: pip install --editable {extras}, or remove it there"
        )
    return names


def area() -> Path:
    """Where they write; of a copy that `dvc exp run --temp` has made it is the project's own."""
    return Path(os.environ.get("DVC_ROOT", ""), ".track").resolve()


def defaults(folder: Path) -> dict[str, str]:
    """Environment variables of trackers, unless they are set: nothing leaves the machine, and nobody is asked."""
    return {
        "WANDB_MODE": "offline",
        "MLFLOW_TRACKING_URI": f"sqlite:///{folder / 'mlflow.db'}",
        "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
        "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
        "TRACKIO_DIR": str(folder / "trackio"),
    }


def options(name: str, run: str, folder: Path) -> dict[str, Any]:
    """What accelerate's tracker is made with: no code, host, user, path or output of the process is to be recorded."""
    quiet = {
        "disable_code": True,
        "disable_git": True,
        "console": "off",
        "silent": True,
        "host": PROJECT,
        "x_disable_meta": True,
        "x_disable_machine_info": True,
        "x_disable_stats": True,
        "x_save_requirements": False,
    }
    unnamed = {"mlflow.user": PROJECT, "mlflow.source.name": PROJECT}
    beside: dict[str, dict[str, Any]] = {
        "tensorboard": {"run_name": run, "logging_dir": folder / "tensorboard"},
        "wandb": {"id": run, "name": run, "resume": "allow", "dir": str(folder), "settings": quiet},
        "mlflow": {"experiment_name": PROJECT, "run_name": run, "tags": unnamed},
        "trackio": {"name": run, "resume": "allow", "embed": False, "auto_log_gpu": False, "auto_log_cpu": False},
        "dvclive": {"dir": str(folder / "dvclive" / run), "resume": True, "save_dvc_exp": False, "dvcyaml": None},
    }
    return {**({"run_name": PROJECT} if name in ("wandb", "trackio") else {}), **beside[name]}
