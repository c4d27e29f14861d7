"""What a training run shows: a line per epoch, with the time that is left."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from spikec.training.progress import EpochRecord, Progress


def record(epoch: int, raised: int = 0) -> EpochRecord:
    return EpochRecord(epoch, 0.1, 1.5, 0.25, 1.0, 0.5, raised, 0.0, 9.0)


def test_a_line_per_epoch_with_the_time_left(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    now = 0.0
    monkeypatch.setattr("time.monotonic", lambda: now)
    progress = Progress(3)
    for seconds, done in ((1.0, 1), (5.0, 2), (16.0, 3)):  # in a log, a line every 15 s
        now = seconds
        progress.batch(0, done, 4, 2.0)
    now = 31.0  # 2 epochs are left, 3/4 of one took 30 s
    progress.epoch(record(0), best=True)
    now = 61.0
    progress.epoch(record(1, raised=7), best=False)
    progress.epoch(record(2), best=False)
    assert capsys.readouterr().err.splitlines() == [
        "epoch 1/3  3/4 batches  25 %  0.13 batches/s  loss 2.000  1:07 left",
        "epoch 1/3  loss 1.5000  train 25.00 %  validation 50.00 % *  1:20 left",
        "epoch 2/3  loss 1.5000  train 25.00 %  validation 50.00 %  thresholds raised 7x  0:34 left",
        "epoch 3/3  loss 1.5000  train 25.00 %  validation 50.00 %",
    ]


def test_the_log_is_json_where_a_loss_is_none(tmp_path: Path) -> None:
    """Python would write NaN and Infinity, which no other reader of JSON takes."""
    log = tmp_path / "run.jsonl"
    lost = replace(record(0), validation_loss=float("nan"), train_loss=float("inf"), sigma=float("-inf"))
    Progress(2, log).epoch(lost, best=True)
    written = log.read_text()
    Progress(2, log).resume([lost])  # from the checkpoint
    assert log.read_text() == written
    found = json.loads(written, parse_constant=pytest.fail)
    assert found == {**asdict(lost), "validation_loss": None, "train_loss": None, "sigma": None, "best": True}
