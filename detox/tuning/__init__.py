"""The summariser's own adapter, before PPO.

supervised.py  tunes it on references, and keeps the best by ROUGE-L of the dev part

It never knows rewards.
"""
