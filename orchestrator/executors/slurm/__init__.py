"""Trials in jobs of Slurm. Each job serves trial after trial until its time is nearly over, over a connection to us.

The job's end of the connection is `job.py`, ours is `door.py` and `slot.py`. What a trial leaves lies on the disk that
both share; what travels are orders and events.
"""
