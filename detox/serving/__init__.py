"""What the pipeline has made, for use: the command `detox` and Python functions.

cli.py          the command
printing.py     its answers, as text or JSON
inputs.py       dialogues and summaries as people hand them in
notices.py      what it says beside them
familiarity.py  how far a dialogue is from the training dialogues
api.py          summarize() and score(), before and after PPO
environment.py  what a bug report needs
merging.py      adapter and base as one plain model

It never knows the remote.
"""
