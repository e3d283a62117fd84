"""Proximal policy optimisation: from a reward to a better policy.

losses.py      the mathematics, on tensors alone
baseline.py    what an episode was expected to earn, read off those beside it
batches.py     which dialogues a rollout takes
rewards.py     what a summary earns, and what distance costs
rollouts.py    prompts → episodes: what is sampled, scored and kept
trainer.py     the loop over steps, and the update
looks.py       the same few dialogues while it runs, for a person to read
stats.py       what is told of a step
state.py       what a run needs to go on
divergence.py  when training has to stop

It never knows the corpus, nor how summaries are judged in the end.
"""
