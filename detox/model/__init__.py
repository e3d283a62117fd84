"""T5 with two adapters on one base, and classifiers: from text to tokens, from tokens to probabilities.

prompts.py        dialogue → prompt → padded tokens, and back
pretrained.py     models and tokenizers from their folders, checked
configurations.py what their configurations may say
tokenizing.py     what a tokenizer may do with a text
weights.py        what their weights' files hold, against what is described
library.py        what the libraries raise and print, as one line
linear.py         products with frozen weights
dropout.py        dropout, quick on a CPU
attention.py      attention over keys that several rows share
bases.py          the base as policies use it: both of the above
lora.py           what an adapter's configuration may say
fitting.py        whether an adapter belongs to a base
adapters.py       LoRA adapters on disk, checked, and merged for a while
distributions.py  log-probability, entropy and KL of next-token distributions
sampling.py       drawing tokens, step by step
policy.py         the policy, its reference and the value head; alone knows trl
labels.py         what the outputs of a classifier mean
classifier.py     the reward: P(toxic) and margin of a summary; alone knows classifiers

It never knows what its numbers are for: no PPO, no measure.
"""
