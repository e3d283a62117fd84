"""What training carries from one step to the next; as a checkpoint, from which it goes on to the same bytes.

Neither a random generator nor a position in the data is among it: every draw derives from (seed, step, episode).
"""

from dataclasses import asdict

import torch
from torch import Tensor

from detox.model.policy import Policy
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
