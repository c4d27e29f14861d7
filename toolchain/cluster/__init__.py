"""Work that is given to other processes: workers on this machine (:mod:`~spikec.cluster.local`), or tasks of SLURM
(:mod:`~spikec.cluster.slurm`). What is to be done is an order, a value of JSON, under an id; results come back as
files, of which only those who give orders know. Sweeps and shards work so."""

from __future__ import annotations

from typing import Literal, get_args

Executor = Literal["local", "slurm"]
EXECUTORS: tuple[Executor, ...] = get_args(Executor)
