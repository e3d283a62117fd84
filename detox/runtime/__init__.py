"""How a process lives: what it computes on, with whom, in how much memory, and how it ends and goes on.

processes.py    how a process ends: on signals, with its parent, one at a run
handover.py     a stage as one process, or in the hands of accelerate, which starts several
group.py        how these meet, agree, and notice that one is lost
ranks.py        how they share work, and what they tell one another
devices.py      where the models compute
capacity.py     how much memory and disk there is
memory.py       smaller batches where memory runs out
trackers.py     who else is told the steps of a run, and how
tracking.py     telling them, so that none can fail it
progress.py     a bar on a terminal, lines in a log
allocator.py    freed memory: kept, or given back
fingerprints.py what decides a result, the same in every rank
checkpoints.py  the state of an unfinished run on disk

It never knows what is computed.
"""
