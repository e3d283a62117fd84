"""The summariser's own adapter, before PPO.

supervised.py   tunes it on references, and keeps the best by ROUGE-L of the dev part
checkpoints.py  what it has left of a run that was interrupted
curve.py        its losses, while it runs

It never knows rewards.
"""
