"""The summariser's own adapter, before PPO.

supervised.py  tunes it on references, and keeps the best by ROUGE-L of the dev part
curve.py       its losses, while it runs

It never knows rewards.
"""
