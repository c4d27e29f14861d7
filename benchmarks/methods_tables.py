"""The tables of benchmarks/methods.py, from the results in its folder, and docs/results.md."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks import marked
from spikec.evidence.intervals import wilson

PAGE = Path(__file__).resolve().parent.parent / "docs" / "results.md"
#: Steps of the networks with a spike penalty, as results have them.
PENALISED_AT = "3"

Result = dict[str, Any]


def show(folder: Path, order: Sequence[str], *, write: bool) -> None:
    """Print the tables of every network with results, rows in the ``order`` of labels; put them into the page."""
    results: dict[str, list[Result]] = defaultdict(list)
    for path in sorted(folder.glob("*.json")):
        result = json.loads(path.read_text())
        results[result["network"]].append(result)
    text = "\n\n".join(network(name, found, order) for name, found in results.items())
    print(text)
    if write:
        marked.write(PAGE, "methods", text)


def network(name: str, results: Sequence[Result], order: Sequence[str]) -> str:
    """One network: accuracy, then activity and latency."""
    rows = dict(sorted(merged(results).items(), key=lambda row: order.index(row[0])))
    seeds = sorted({result["seed"] for result in results})
    steps = sorted({t for row in rows.values() for t in row["correct"]})
    images = results[0]["images"]
    base = [r for r in results if r["label"] == "QCFS"]
    lines = [f"### {name}: {images:,} test images, {len(seeds)} training seed{'s' if len(seeds) > 1 else ''}", ""]
    if base:
        lines += [f"Trained network, L = {base[0]['levels']}: {accuracy([r['ann'] for r in base], images)} %.", ""]
    lines += [
        "Accuracy in percent at T, int8 weights per layer"
        + (
            ": mean of the seeds (smallest to largest), or of those that are named; of one seed with the 95 % Wilson "
            "interval."
            if len(seeds) > 1
            else ", with the 95 % Wilson interval."
        ),
        "",
        "| method | own network | further steps | " + " | ".join(f"T={t}" for t in steps) + " |",
        "|---" * (len(steps) + 3) + "|",
    ]
    for label, row in rows.items():
        own = accuracy(row["ann"], images, brief=True)
        cells = [cell(row["correct"][t], images, len(seeds)) if t in row["correct"] else "" for t in steps]
        lines.append(f"| {label} | {own} | {extra(row['extra'])} | {' | '.join(cells)} |")
    lines += [
        "",
        "Per image: spikes / SynOps (non-zero weights; without the image itself), and steps until the readout.",
        "",
    ]
    lines += ["| method | " + " | ".join(f"T={t}" for t in steps) + " |", "|---" * (len(steps) + 1) + "|"]
    for label, row in rows.items():
        if row["activity"]:
            cells = [activity(row["activity"][t], row["latency"].get(t)) if t in row["activity"] else "" for t in steps]
            lines.append(f"| {label} | {' | '.join(cells)} |")
    said = {label: row["certificate"] for label, row in rows.items() if row["certificate"]}
    if said:
        lines += ["", "Certificates (`tc.certify`, 1,000 images, first seed):", ""]
        lines += [f"- {label}: {text}" for label, text in said.items()]
    return "\n".join(lines + penalties(results))


def penalties(results: Sequence[Result]) -> list[str]:
    """What the spike penalties take and cost, against the same training without one, where a seed has both."""
    plain, penalised = "ErrorFree, layerwise", "ErrorFree, spike penalty"
    without = {r["seed"]: r for r in results if r["label"] == plain and PENALISED_AT in r["correct"]}
    lines = []
    for label in sorted({r["label"] for r in results if r["label"].startswith(penalised)}):
        pairs = [(r, without[r["seed"]]) for r in results if r["label"] == label and r["seed"] in without]
        if not pairs:
            continue
        synops = [sum(r["activity"][PENALISED_AT]["synops"] for r in column) for column in zip(*pairs, strict=True)]
        points = [100 * (r["correct"][PENALISED_AT] - w["correct"][PENALISED_AT]) / r["images"] for r, w in pairs]
        seeds = f"{len(pairs)} seed{'s'[: len(pairs) > 1]}"
        change = f"{100 * (synops[0] / synops[1] - 1):+.0f} % SynOps, {sum(points) / len(points):+.2f} points"
        lines.append(f"- {label.removeprefix('ErrorFree, ')}: {change} ({seeds})")
    return ["", f"Against ErrorFree at T = {PENALISED_AT} without a spike penalty:", "", *lines] if lines else []


def merged(results: Sequence[Result]) -> dict[str, Result]:
    """Results by label: numbers of all seeds by T. A folder may also hold what an entry gave when its curve was
    another; of one seed the longest curve counts."""
    rows: dict[str, Result] = {}
    for result in sorted(results, key=lambda r: (r["seed"], -len(r["correct"]), min(map(int, r["correct"])))):
        row = rows.setdefault(
            result["label"],
            {
                "ann": [],
                "correct": defaultdict(dict),
                "activity": defaultdict(dict),
                "latency": {},
                "extra": set(),
                "certificate": "",
            },
        )
        row["ann"].append(result["ann"])
        for key in ("correct", "activity"):
            for t, value in result.get(key, {}).items():
                row[key][int(t)].setdefault(result["seed"], value)
        row["latency"] |= {int(t): n for t, n in result.get("latency", {}).items()}
        row["extra"].add(result.get("extra_steps", 0))
        row["certificate"] = row["certificate"] or result.get("certificate", "")
    for row in rows.values():
        row |= {key: {t: list(by_seed.values()) for t, by_seed in row[key].items()} for key in ("correct", "activity")}
    return rows


def accuracy(correct: Sequence[int], images: int, *, brief: bool = False) -> str:
    """Mean over the seeds, with their spread or, of one, its interval."""
    mean = 100 * sum(correct) / len(correct) / images
    if brief:
        return f"{mean:.2f}"
    if len(correct) > 1:
        return f"{mean:.2f} ({100 * min(correct) / images:.2f} to {100 * max(correct) / images:.2f})"
    low, high = wilson(correct[0], images)
    return f"{mean:.2f} ({100 * low:.2f} to {100 * high:.2f})"


def cell(correct: Sequence[int], images: int, seeds: int) -> str:
    """:func:`accuracy`, with the number of seeds where some have no result."""
    missing = "" if len(correct) == seeds else f", {len(correct)} seed{'s'[: len(correct) > 1]}"
    return accuracy(correct, images) + missing


def extra(steps: set[int]) -> str:
    """Further steps of a row: their number, or T where they grow with it."""
    found = sorted(steps)
    return str(found[0]) if len(found) == 1 else "T"


def activity(pairs: Sequence[dict[str, float]], latency: int | None) -> str:
    """Mean spikes and SynOps per image over the seeds, and the steps until the readout."""
    spikes, synops = (sum(pair[key] for pair in pairs) / len(pairs) for key in ("spikes", "synops"))
    return f"{quantity(spikes)} / {quantity(synops)}, {latency}"


def quantity(value: float) -> str:
    """Three significant digits with k or M."""
    for factor, unit in ((1e6, " M"), (1e3, " k")):
        if value >= factor:
            return f"{value / factor:.3g}{unit}"
    return f"{value:.0f}"
