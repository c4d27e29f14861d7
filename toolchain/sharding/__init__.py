"""A set of images of any size, run in parts.

:mod:`~spikec.sharding.work` says what is run and what is kept of it, batch by batch in one process;
:mod:`~spikec.sharding.job` gives the parts of a set to other processes. What a part leaves behind is the trace of its
images, so a set that was cut says the same as one that was not.
"""
