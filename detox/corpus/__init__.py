"""Dialogues: reading, cleaning, splitting.

dialogues.py       a prepared dialogue with its references, and its file
layout.py          which tables of a source hold which part: by their names
configurations.py  the same as the README.md of a data set says
tables.py          rows of a table in whichever format
delimited.py       CSV and TSV
arrays.py          JSON arrays
columns.py         which columns hold what
reader.py          a part of a corpus, row by row, every row checked
heads.py           what its first rows say of all of it
risk.py            how toxic its turns are
provocations.py    rude turns put into dialogues
cleaning.py        what is kept of a corpus, and the split into parts
parts.py           those parts, and their files

It never knows models or tokens.
"""
