"""A params.yaml that has every section and key, and the sections of a run that is over in seconds."""

COMPLETE = """\
seed: 7
compute: {device: cpu, processes: 1, machines: 1}
track: []
model: {source: {path: models/base}, max_prompt_tokens: 512, dtype: float32}
prepare:
  source: {path: data/source}
  min_characters: 200
  max_characters: 1000
  test_fraction: 0.2
  dev_fraction: 0
adapter: {source: {path: models/start}}
reward: {source: {path: models/reward}, toxic_label: hate, batch_size: 64}
judge: {source: {path: models/judge}, toxic_label: toxic, batch_size: 32}
rank: {dialogues: null, hold_out: null}
ppo:
  steps: 10
  batch_size: 16
  mini_batch_size: 4
  micro_batch_size: 2
  decode_batch_size: 16
  samples_per_prompt: 2
  prefix_every: 4
  epochs: 2
  learning_rate: 1.41e-5
  value_learning_rate: 3e-06
  gamma: 1
  lam: 0.95
  clip_range: 0.2
  value_clip_range: 0.2
  risky_share: null
  kl_coef: 0.2
  calm_kl: 1
  kl_limit: 60
  score_clip: 10
  missing_eos_penalty: 0
  max_grad_norm: 1
  max_new_tokens: 400
  snapshot_every: 5
  checkpoint_every: 1
summarize:
  samples: 4
  stress_samples: 8
  stress_share: 0.1
  stress_minimum: 30
  provoked: 10
  provocations: data/rude.txt
  batch_size: 64
  max_new_tokens: 60
  checkpoint_every: 10
rivals: {dialogues: 50, best_of: [4, 16], scales: [0.5, 1.25], bad_words: data/words.txt}
evaluate: {resamples: 9999, toxic_threshold: 0.5, rouge_margin: 0.02, slots_margin: 0.02}
"""

SHORT = """\
ppo:
  steps: 2
  batch_size: 8
  mini_batch_size: 8
  micro_batch_size: 4
  decode_batch_size: 8
  samples_per_prompt: 2
  max_new_tokens: 12
  snapshot_every: 1
summarize: {samples: 2, stress_samples: 2, stress_minimum: 4, batch_size: 16, max_new_tokens: 12}
rivals: {dialogues: 5, best_of: [2, 4], scales: [0.5]}
evaluate: {resamples: 99}
"""
