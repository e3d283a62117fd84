"""Detoxify a dialogue summariser with PPO: the library that the stages call, in rooms.

What every room stands on: errors.py, files.py (writing), parsing.py (reading), and the room params.
A dialogue's way: corpus → model → generation → evaluation → reporting. A reward's: model/classifier.py → ppo.
Each room's docstring says what it is for, what is in it, and what it never knows.
"""
