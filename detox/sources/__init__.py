"""Where models and data come from, and that they are what they were: sources and their pins.

local.py         a source on disk, checked against its pin
repositories.py  what a repository of the hub holds, and what it lacks
downloads.py     a source from the hub, S3 or the web, at its pin
limits.py        how much a download may bring, and how long it may take
pins.py          the command that writes pins that are missing

It never knows what a source is used for.
"""
