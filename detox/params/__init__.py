"""params.yaml: what is in it, and how it is read.

kinds.py     kinds of values with their limits
origins.py   where models and data come from, and their pins
training.py  the sections that say how adapters are made
sections.py  the other sections, one for each stage or model
reading.py   a section of the file, or one line that says what is wrong with it
profiles.py  complete settings, written over it

It knows nothing of what the values are for.
"""
