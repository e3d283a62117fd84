"""Measures, statistics and claims: how good summaries are, and whether they have changed.

metrics.py     toxicity and diversity of summaries; all measures together
rouge.py       ROUGE
quality.py     soundness and faithfulness of one summary
words.py       words in every script, for all of these
modules.py     what the library evaluate asks of ROUGE and toxicity
statistics.py  paired tests and intervals over clusters of dialogues
comparison.py  slices, and the change in each
quarrels.py    whether a quarrel is still reported, and truly
claims.py      the headline claims, tested as a family
rivals.py      PPO beside its rivals
runs.py        several seeds as one result
snapshots.py   a few dialogues along training

It never knows how a summary was made; a scorer of toxicity is a function to it.
"""
