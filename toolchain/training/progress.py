"""What a training run prints: a moving line on a terminal, plain lines elsewhere, JSON lines in a file."""

from __future__ import annotations

import json
import math
import sys
import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

from spikec.terminal import restart_line
from spikec.whole_files import write_text

#: Seconds between lines that tell of batches.
_TERMINAL_SECONDS, _LOG_SECONDS = 0.2, 15.0


@dataclass(frozen=True)
class EpochRecord:
    """One epoch, counted from 0. ``lr`` is the rate of its last step; accuracies are fractions in [0, 1];
    ``raised_thresholds`` counts the times an optimiser step drove a threshold too low and it was set back (see
    :meth:`spikec.training.ClipFloorShift.keep_positive`); ``sigma`` is the largest noise added to an activation."""

    epoch: int
    lr: float
    train_loss: float
    train_accuracy: float
    validation_loss: float
    validation_accuracy: float
    raised_thresholds: int
    sigma: float
    seconds: float

    @property
    def merit(self) -> tuple[float, float]:
        """Greater for the better epoch: accuracy first, then the lower loss."""
        return self.validation_accuracy, -self.validation_loss


class Progress:
    """Reports to standard error, and to the JSON-lines file ``log`` where one is given."""

    def __init__(self, epochs: int, log: Path | None = None) -> None:
        self.epochs = epochs
        self._log = log
        self._terminal = sys.stderr.isatty()
        self._start = self._shown = time.monotonic()
        self._done_at_start: float | None = None

    def resume(self, history: Iterable[EpochRecord]) -> None:
        """Make the log hold exactly the epochs of a checkpoint: a run may stop between writing the two files."""
        if self._log is None:
            return
        lines, best = [], None
        for record in history:
            better = best is None or record.merit > best.merit
            lines.append(_line(record, better))
            best = record if better else best
        write_text(self._log, "".join(lines))

    def batch(self, epoch: int, done: int, total: int, loss: float) -> None:
        """After a batch; shown at most five times a second on a terminal, and every 15 seconds in a log."""
        now = time.monotonic()
        finished = epoch + done / total
        if self._done_at_start is None:
            self._done_at_start, self._start = finished, now
        if now - self._shown < (_TERMINAL_SECONDS if self._terminal else _LOG_SECONDS):
            return
        self._shown = now
        if self._terminal:
            restart_line(sys.stderr)
        share = f"{100 * finished / self.epochs:.0f} %"
        rate = (finished - self._done_at_start) * total / (now - self._start) if now > self._start else 0.0
        _show(
            f"epoch {epoch + 1}/{self.epochs}  {done}/{total} batches  {share}  {rate:.2g} batches/s"
            f"  loss {loss:.3f}{self._left(finished)}" + ("" if self._terminal else "\n")
        )

    def epoch(self, record: EpochRecord, best: bool) -> None:
        """After an epoch and its validation."""
        self._shown = time.monotonic()
        note = f"  thresholds raised {record.raised_thresholds}x" if record.raised_thresholds else ""
        if self._terminal:
            restart_line(sys.stderr)
        _show(
            f"epoch {record.epoch + 1}/{self.epochs}  loss {record.train_loss:.4f}"
            + f"  train {100 * record.train_accuracy:.2f} %  validation {100 * record.validation_accuracy:.2f} %"
            + (" *" if best else "")
            + note
            + self._left(record.epoch + 1)
            + "\n"
        )
        if self._log is not None:
            with self._log.open("a", encoding="utf-8") as file:
                file.write(_line(record, best))

    def _left(self, finished: float) -> str:
        done = finished - (self._done_at_start or 0.0)
        if done <= 0 or finished >= self.epochs:
            return ""
        seconds = (time.monotonic() - self._start) / done * (self.epochs - finished)
        return f"  {int(seconds) // 60}:{int(seconds) % 60:02d} left"


def _show(text: str) -> None:
    print(text, end="", file=sys.stderr, flush=True)


def _line(record: EpochRecord, best: bool) -> str:
    """A line of the log. JSON has no infinities and no NaN, such as a validation loss may be: they become null."""
    values = {
        name: None if isinstance(value, float) and not math.isfinite(value) else value
        for name, value in asdict(record).items()
    }
    return json.dumps({**values, "best": best}, allow_nan=False) + "\n"
