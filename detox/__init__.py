"""Detoxify a dialogue summariser with PPO: the library that the stages call."""
