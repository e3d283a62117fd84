"""Summaries of the test part, by us and by rivals.

summaries.py  most probable summaries and samples of a policy, each from a seed of its own
rivals.py     what PPO is up against: scaled adapters, snapshots, the base, a word filter, a pool to pick from

It never knows how they are judged, nor how the policy was trained.
"""
