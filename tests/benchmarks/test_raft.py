"""RAFT keeps of each dialogue the sample that scored best."""

from typing import Any

import torch

from benchmarks import raft
from detox.ppo.rollouts import Rollout


def test_of_each_prompt_the_best_sample_is_kept_and_of_equal_ones_the_first() -> None:
    ids = torch.arange(12).view(6, 2)
    fields: dict[str, Any] = dict.fromkeys(Rollout._fields)
    fields |= {"prompt_ids": torch.tensor([[7], [8]]), "prompt_mask": torch.ones(2, 1, dtype=torch.bool)}
    fields |= {"response_ids": ids, "response_mask": ids > 0, "scores": torch.tensor([1.0, 3.0, 2.0, 5.0, 5.0, 0.0])}
    chosen = raft.best(Rollout(**fields))
    assert chosen.response_ids.tolist() == [[2, 3], [6, 7]]
    assert chosen.prompt_ids.tolist() == [[7], [8]]
