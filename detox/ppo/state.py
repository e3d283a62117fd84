"""What training carries from one step to the next; as a checkpoint, from which it goes on to the same bytes.

Neither a random generator nor a position in the data is among it: every draw derives from (seed, step, episode).
"""

from dataclasses import asdict, fields

import torch
from torch import Tensor

from detox.model import adapters
from detox.model.policy import POLICY, Policy
from detox.params import training
from detox.ppo.looks import Look
from detox.ppo.stats import StepStats
from detox.runtime.checkpoints import State


class TrainState:
    """The optimiser with its weights and moments, the log, the snapshots and the looks so far."""

    def __init__(self, policy: Policy, p: training.Ppo):
        self.optimizer = torch.optim.AdamW(
            [
                {"params": policy.adapter_parameters(), "lr": p.learning_rate},
                {"params": policy.value_head_parameters(), "lr": p.value_learning_rate},
            ],
            weight_decay=0.0,
        )
        self.model = policy.language_model
        self.rows: list[StepStats] = []
        self.snapshots: dict[int, dict[str, Tensor]] = {}  # of a step, the adapter's weights by peft's names
        self.looks: dict[str, Look] = {}  # before, and at each snapshot

    @property
    def step(self) -> int:
        """How many steps are done."""
        return len(self.rows)

    def weights(self) -> list[Tensor]:
        """What is trained: the adapter, then the value head."""
        return [weight for group in self.optimizer.param_groups for weight in group["params"]]

    def freeze(self) -> State:
        """A copy, which further steps leave as it is."""
        tensors = {f"weights/{place}": weight.detach().clone() for place, weight in enumerate(self.weights())}
        for place, moments in self.optimizer.state_dict()["state"].items():
            tensors |= {f"optimizer/{place}/{name}": moment.clone() for name, moment in moments.items()}
        for step, snapshot in self.snapshots.items():
            tensors |= {f"snapshots/{step}/{name}": weight for name, weight in snapshot.items()}
        record = {"rows": [asdict(row) for row in self.rows], "looks": dict(self.looks)}
        return State(self.step, record, tensors)

    def fits(self, found: State) -> bool:
        """Whether a checkpoint holds what a run of this policy and optimiser holds after so many steps."""
        weights = [tuple(weight.shape) for weight in self.weights()]
        wanted = {f"weights/{place}": shape for place, shape in enumerate(weights)}
        for place, shape in enumerate(weights):
            moments = {"step": (), "exp_avg": shape, "exp_avg_sq": shape}
            wanted |= {f"optimizer/{place}/{name}": size for name, size in moments.items()}
        adapter = {name: tuple(weight.shape) for name, weight in adapters.weights(self.model, POLICY).items()}
        steps = {name.split("/")[1] for name in found.tensors if name.startswith("snapshots/")}
        wanted |= {f"snapshots/{step}/{name}": shape for step in steps for name, shape in adapter.items()}
        held = {name: tuple(tensor.shape) for name, tensor in found.tensors.items() if tensor.is_floating_point()}
        numbered = all(step.isdecimal() and 0 < int(step) <= found.step for step in steps)
        return numbered and held == wanted and len(held) == len(found.tensors) and _are_rows(found)

    @torch.no_grad()
    def restore(self, state: State) -> None:
        """Goes on from a copy: of the same policy's weights, which change in place, and of the rest."""
        for place, weight in enumerate(self.weights()):
            weight.copy_(state.tensors[f"weights/{place}"])
        moments: dict[int, dict[str, Tensor]] = {}
        for name, tensor in state.tensors.items():
            kind, number, *rest = name.split("/", 2)
            if kind == "optimizer":
                moments.setdefault(int(number), {})[rest[0]] = tensor
            elif kind == "snapshots":
                self.snapshots.setdefault(int(number), {})[rest[0]] = tensor
        groups = self.optimizer.state_dict()["param_groups"]
        self.optimizer.load_state_dict({"state": moments, "param_groups": groups})
        self.rows = [StepStats(**row) for row in state.record["rows"]]
        self.looks = dict(state.record["looks"])


def _are_rows(found: State) -> bool:
    """Whether its record is the log of so many steps."""
    rows, names = found.record.get("rows"), {field.name for field in fields(StepStats)}
    if found.record.keys() != {"rows", "looks"} or not isinstance(rows, list) or len(rows) != found.step:
        return False
    return all(
        isinstance(row, dict)
        and row.keys() == names
        and row["step"] == number
        and all(type(value) in (int, float) for value in row.values())
        for number, row in enumerate(rows, start=1)
    )
