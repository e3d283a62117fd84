"""Floating-point operations of a PPO step on a T5 with gated feed-forward layers, counted from its shape.

A multiply-add is two. Counted are the products of the base model's matrices and of attention, of valid tokens only. Not
counted are LoRA's products, norms, softmaxes, activations and the optimiser. A backward pass through frozen weights is
counted as a forward one: the gradient of x · W is one product with Wᵀ, since W has none. Attention's own products have
two each, and the first layers' q, k and v need none: of both, which nearly cancel, nothing is counted.
"""

from collections.abc import Sequence
from typing import NamedTuple

PASSES = "rollout", "reference", "update forward", "update backward"
REPEATED = 2  # passes of the head over states that were kept: the reference's logits twice, or the policy's, for the KL


class Shape(NamedTuple):
    """Of a T5: `layers` in the encoder and as many in the decoder."""

    width: int  # d_model
    attention: int  # heads times d_kv
    hidden: int  # d_ff
    layers: int
    vocabulary: int


def forward(shape: Shape, prompts: Sequence[int], k: int, response: int) -> dict[str, int]:
    """FLOP of one pass over prompts of these lengths, each encoded once, and k responses to each of them."""
    width, attention, hidden, layers, vocabulary = shape
    projection, feed_forward = width * attention, 3 * width * hidden  # multiply-adds a token
    tokens, answers = sum(prompts), k * len(prompts)
    seen = response * (response + 1) // 2  # pairs of a response's token and itself or an earlier one
    return {
        "encoder": 2 * layers * sum(n * (4 * projection + feed_forward) + 2 * n * n * attention for n in prompts),
        "cross-attention keys and values": 2 * layers * tokens * 2 * projection,
        "decoder": 2
        * layers
        * (
            answers * response * (6 * projection + feed_forward)
            + answers * 2 * seen * attention
            + k * tokens * 2 * response * attention
        ),
        "head": 2 * answers * response * width * vocabulary,
    }


def encoder(lengths: Sequence[int], width: int, hidden: int, layers: int) -> int:
    """FLOP of an encoder like RoBERTa's over texts of these lengths; of heads and embeddings nothing is counted."""
    matrices = 4 * width * width + 2 * width * hidden  # multiply-adds a token
    return 2 * layers * sum(n * matrices + 2 * n * n * width for n in lengths)


def needed(once: dict[str, int]) -> int:
    """FLOP of a step's four passes, given those of one."""
    return len(PASSES) * sum(once.values())


def repeated(once: dict[str, int]) -> int:
    """FLOP of the head's passes that a step repeats rather than keep every logit, given those of one pass."""
    return REPEATED * once["head"]
