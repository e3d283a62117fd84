"""DVC's data between machines: the remote, checked before and after; and what a killed DVC leaves.

remote.py     the commands push, pull and verify
sync.py       what the cache and the remote have, and moving it
objects.py    the objects that dvc.lock names
storage.py    the remote: S3
timeouts.py   a limit on the time in which nothing moves
s3_errors.py  what goes wrong with S3, and what to do
repair.py     removes what DVC was writing when it was killed

It never knows what the data is.
"""
