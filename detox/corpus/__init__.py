"""Dialogues: reading, cleaning, splitting.

dialogues.py  a prepared dialogue with its references, and its file
reader.py     a corpus as people have it, row by row, every row checked
heads.py      what its first rows say of all of it
cleaning.py   what is kept of a corpus, and the split into parts

It never knows models or tokens.
"""
