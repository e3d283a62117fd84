"""Looks at the same few dialogues while training runs: what the policy writes of them now, for a person to read."""

from collections.abc import Mapping

from detox.model import prompts
from detox.ppo.rollouts import Models

Look = dict[str, dict[str, str | float]]  # of a dialogue, by its id: the most probable summary, P(toxic) by the reward


def look(models: Models, texts: Mapping[str, str], max_new_tokens: int) -> Look:
    """At dialogues by id. Decoding token by token draws nothing, so that training goes on as if nobody had looked."""
    encoded = models.prompt.encode(list(texts.values()), models.policy.device)
    sample = models.policy.sample(*encoded, [None] * len(texts), max_new_tokens)
    summaries = prompts.decode(models.prompt.tokenizer, sample.ids, sample.mask)
    scored = zip(texts, summaries, models.reward.toxicity(summaries).tolist(), strict=True)
    return {name: {"summary": summary, "toxicity": toxicity} for name, summary, toxicity in scored}


def by_dialogue(looks: Mapping[str, Look]) -> dict[str, Look]:
    """Looks by their names → of each dialogue what was written at each of them: metrics/samples.json."""
    return {name: {when: seen[name] for when, seen in looks.items()} for name in next(iter(looks.values()), {})}
