"""Shared memory, as the operating system sees it."""

from __future__ import annotations

from pathlib import Path

SHARED_MEMORY = Path("/dev/shm")


def remove_shared_memory(tag: str) -> None:
    """Unlink the shared memory blocks whose name begins with ``tag``."""
    for block in SHARED_MEMORY.glob(f"{tag}_*"):
        block.unlink(missing_ok=True)
