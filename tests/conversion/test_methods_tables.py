"""The tables of the benchmark of methods."""

from benchmarks.methods_tables import cell, merged, network


def _result(seed, curve, **correct):
    activity = {t: {"spikes": 10, "synops": 20} for t in curve}
    found = {t: 90 + int(t) for t in curve} | {name.removeprefix("t"): value for name, value in correct.items()}
    return {"label": "QCFS", "seed": seed, "ann": 99, "correct": found, "activity": activity, "latency": {}}


def test_a_seed_counts_once_where_an_older_curve_lies_in_the_folder_too():
    row = merged([_result(0, "12", t1=80), _result(0, "124"), _result(1, "4")])["QCFS"]
    assert row["correct"] == {1: [91], 2: [92], 4: [94, 94]}
    assert {t: len(pairs) for t, pairs in row["activity"].items()} == {1: 1, 2: 1, 4: 2}
    assert cell(row["correct"][1], 100, 2).endswith("1 seed")
    assert cell(row["correct"][4], 100, 2) == "94.00 (94.00 to 94.00)"


def test_what_was_not_run_is_an_empty_cell():
    more = {"images": 100, "levels": 4}
    other = _result(0, "4") | more | {"label": "Graded"}
    text = network("toy", [_result(0, "124") | more, other], ["QCFS", "Graded"])
    accuracy, _ = (line.split("|") for line in text.splitlines() if line.startswith("| Graded"))
    cells = [cell.strip() for cell in accuracy[1:-1]]
    assert cells[3:5] == ["", ""]
    assert cells[5].startswith("94.00")
