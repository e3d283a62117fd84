r"""Make trl_0_11_4.json: small fixed tensors and what TRL 0.11.4's own PPO computes from them.

Run by hand, in an environment of its own (that TRL needs older libraries than this project); the tests need only the
JSON. Python 3.11, torch 2.13.0, trl 0.11.4, transformers 4.46.3, peft 0.13.2, accelerate 1.1.1, datasets 3.1.0,
numpy 1.26.4, pyarrow 18.1.0:

    python3 -m venv trl-env
    trl-env/bin/pip install torch==2.13.0 trl==0.11.4 transformers==4.46.3 peft==0.13.2 accelerate==1.1.1 \
        datasets==3.1.0 numpy==1.26.4 pyarrow==18.1.0 rich
    trl-env/bin/python tests/ppo/golden/make_trl_golden.py

TRL's methods run unchanged, but unbound: on a stand-in with the two attributes they read, a real PPOConfig as `config`
and a real AdaptiveKLController as `kl_ctl`, so that no model is needed. Padding is filled with numbers like all others:
a mask that leaks shows.
"""

# It would be checked against the newer TRL of this project's own environment:
# mypy: ignore-errors

import json
from importlib.metadata import version
from pathlib import Path
from types import MethodType, SimpleNamespace
from unittest import mock

import torch
from torch import Tensor
from trl import PPOConfig
from trl.core import masked_whiten
from trl.trainer import AdaptiveKLController, ppo_trainer
from trl.trainer.ppo_trainer import PPOTrainer

OUT = Path(__file__).parent / "trl_0_11_4.json"
PACKAGES = ("trl", "torch", "transformers", "peft", "accelerate", "datasets", "numpy", "pyarrow")
LENGTHS = (6, 3, 1)  # of 6: one row full, one ragged, one a single token
VOCAB = 5
SETTINGS = {"kl_coef": 0.2, "clip_range": 0.2, "value_clip_range": 0.2, "target": 6.0, "horizon": 100}
DISCOUNTS = ((1.0, 0.95), (0.9, 0.8))  # (gamma, lam)
# (KL in nats a summary, episodes): inside the controller's ±0.2, above it, below it, exactly on target, negative.
KL_SEEN = ((6.6, 16), (30.0, 16), (0.5, 8), (6.0, 16), (-1.0, 64), (5.4, 1))


def make_inputs() -> dict[str, Tensor]:
    """Tensors [batch response]; `scores` is [batch], `logits` [batch response vocab] and consistent with `logprobs`."""
    noise = torch.Generator().manual_seed(10)  # both clips bind, each on both of its sides
    shape = (len(LENGTHS), max(LENGTHS))
    logits = torch.randn(*shape, VOCAB, generator=noise)
    tokens = torch.randint(VOCAB, shape, generator=noise)
    logprobs = logits.log_softmax(-1).gather(-1, tokens.unsqueeze(-1)).squeeze(-1)
    old_values = 0.5 * torch.randn(shape, generator=noise)
    return {
        "mask": torch.arange(shape[1]) < torch.tensor(LENGTHS).unsqueeze(1),
        "scores": torch.randn(shape[0], generator=noise),
        "logits": logits,
        "logprobs": logprobs,
        "old_logprobs": logprobs + 0.3 * torch.randn(shape, generator=noise),
        "ref_logprobs": logprobs + 0.5 * torch.randn(shape, generator=noise),
        "old_values": old_values,
        "values": old_values + 0.3 * torch.randn(shape, generator=noise),
    }


def stand_in(gamma: float, lam: float) -> SimpleNamespace:
    """Return what a PPOTrainer's methods see of their trainer."""
    config = PPOConfig(
        kl_penalty="kl",
        gamma=gamma,
        lam=lam,
        cliprange=SETTINGS["clip_range"],
        cliprange_value=SETTINGS["value_clip_range"],
        vf_coef=1.0,  # so that the value loss comes out as it is
    )
    trainer = SimpleNamespace(config=config, kl_ctl=controller())
    trainer._kl_penalty = MethodType(PPOTrainer._kl_penalty, trainer)
    return trainer


def controller() -> AdaptiveKLController:
    return AdaptiveKLController(SETTINGS["kl_coef"], SETTINGS["target"], SETTINGS["horizon"])


def rewards_and_kl(x: dict[str, Tensor]) -> dict[str, Tensor]:
    """Token rewards, and the KL that TRL shows its controller."""
    trainer, mask = stand_in(1.0, 1.0), x["mask"].long()
    rewards, penalties, kls = PPOTrainer.compute_rewards(trainer, x["scores"], x["logprobs"], x["ref_logprobs"], mask)
    data = {name: x[name] for name in ("scores", "logprobs", "ref_logprobs")}
    unused = {name: torch.ones(1) for name in ("val/error", "returns/var")}
    rows = list(x["logprobs"])
    stats = PPOTrainer.record_step_stats(
        trainer, SETTINGS["kl_coef"], masks=mask, kls=kls, non_score_reward=penalties, queries=rows, responses=rows,
        train_stats=unused, **data,
    )  # fmt: skip
    return {"token_rewards": rewards, "kl": stats["objective/kl"]}


def advantages(x: dict[str, Tensor], rewards: Tensor, gamma: float, lam: float) -> dict[str, Tensor | float]:
    """`compute_advantages`, with a spy on its whitening to see the advantages before it."""
    with mock.patch.object(ppo_trainer, "masked_whiten", wraps=masked_whiten) as spy:
        _, whitened, returns = PPOTrainer.compute_advantages(
            stand_in(gamma, lam), x["old_values"], rewards, x["mask"].long()
        )
    plain = spy.call_args.args[0]
    return {"gamma": gamma, "lam": lam, "advantages": plain, "returns": returns, "whitened": whitened}


def losses(x: dict[str, Tensor], case: dict[str, Tensor]) -> dict[str, Tensor]:
    """TRL's masked means, their gradients in the new log-probs and values, and its statistics of them."""
    logprobs, values = (x[name].clone().requires_grad_() for name in ("logprobs", "values"))
    policy, value, stats = PPOTrainer.loss(
        stand_in(1.0, 1.0), x["old_logprobs"], x["old_values"], x["logits"], values, logprobs, x["mask"].long(),
        case["whitened"], case["returns"],
    )  # fmt: skip
    return {
        "policy_loss": policy,
        "policy_gradient": torch.autograd.grad(policy, logprobs)[0],
        "policy_clip_fraction": stats["policy/clipfrac"],
        "value_loss": value,
        "value_gradient": torch.autograd.grad(value, values)[0],
        "value_clip_fraction": stats["val/clipfrac"],
        "entropy": stats["policy/entropy"],
    }


def kl_coefs() -> list[float]:
    """Follow the controller's coefficient through KL_SEEN."""
    kl_ctl, coefs = controller(), []
    for kl, episodes in KL_SEEN:
        kl_ctl.update(kl, episodes)
        coefs.append(float(kl_ctl.value))
    return coefs


def line(name: str, value: object) -> str:
    """One JSON member on a line; a float32 is written so that it reads back as the same float32."""
    return f"  {json.dumps(name)}: {json.dumps(value, default=Tensor.tolist)}"


def main() -> None:
    x = make_inputs()
    first = rewards_and_kl(x)
    cases = [advantages(x, first["token_rewards"], gamma, lam) for gamma, lam in DISCOUNTS]
    small = 1e-4 * x["values"]  # a variance near whitening's 1e-8, which nothing else would show
    golden = {
        "made_with": {package: version(package) for package in PACKAGES},
        **SETTINGS,
        **x,
        **first,
        "gae": cases,
        "small": small,
        "small_whitened": masked_whiten(small, x["mask"]),
        **losses(x, cases[0]),
        "kl_seen": KL_SEEN,
        "kl_coefs": kl_coefs(),
    }
    OUT.write_text("{\n" + ",\n".join(line(name, value) for name, value in golden.items()) + "\n}\n")


if __name__ == "__main__":
    main()
