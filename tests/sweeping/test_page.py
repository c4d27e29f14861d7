"""The page of a sweep, from results made by hand."""

from __future__ import annotations

import re

import pytest
from helpers.sweeps import a_sweep

import spikec as tc
from spikec.sweeping.page import page
from spikec.sweeping.store import Store

HOSTILE = "<script>alert(1)</script>"


def _result(number, method, accuracy, steps, joules, state="done", **more):
    configuration = {"model": HOSTILE, "data": "digits", "method": method, "options": {}, "timesteps": steps}
    about = {"id": str(number), "state": state, "configuration": configuration, "versions": {}}
    if state != "done":
        return {**about, "error": {"message": f"no {HOSTILE}"}}
    energy = {"loihi2": {"p5": joules, "p50": joules, "p95": joules, "lower_bound": False}}
    return {
        **about,
        "error": None,
        "images": 100,
        "accuracy": accuracy,
        "interval": [max(0.0, accuracy - 0.05), min(1.0, accuracy + 0.05)],
        "ann": {"accuracy": 0.97},
        "spikes_per_image": 10.0,
        "synops_per_image": 100.0 * steps,
        "latency_steps": steps + 3,
        "neurons": 5,
        "weights": 6,
        "overflows": {},
        "energy": energy,
        **more,
    }


@pytest.fixture
def results():
    return [
        _result(1, "qcfs", 0.95, 4, 4e-6),
        _result(2, "qcfs", 0.90, 8, 8e-6),
        _result(3, "graded", 0.97, 1, 1e-6),
        _result(4, "srp", 0.2, 2, 2e-6),
        _result(5, "srp", 0, 2, 0, state="refused"),
    ]


def test_it_names_every_run_and_why_others_have_none(results):
    text = page(results)
    assert HOSTILE not in text
    assert text.count("<figure") == 3  # latency, SynOps, energy
    for words in ("qcfs T = 4", "graded T = 1", "srp T = 2", "refused", "4 done, 1 refused or failed"):
        assert words in text
    assert "The most accurate run is graded T = 1" in text
    results[0]["configuration"]["data"] = "other images"
    results[1]["energy"]["cmos45"] = results[1]["energy"]["loihi2"]
    both = page(results)
    assert both.count("<figure") == 3 + 4  # the other images, and the digits with two profiles
    assert 0 < both.index("Every run that was measured") < both.index("Runs without a result")


def test_numbers_that_no_axis_holds_are_left_out(results):
    results[0]["energy"]["loihi2"]["p50"] = float("nan")
    results[1]["latency_steps"] = -3
    results[2]["accuracy"] = 7.0
    text = page(results)
    assert "qcfs T = 4" in text
    assert "graded" not in text  # no share is 7
    assert "nan" not in text.split("</style>")[1].split("<script>")[0].lower()
    assert page([]).count("<section") == 0


def test_it_stands_in_a_browser(browser, results, tmp_path):
    path = tmp_path / "summary.html"
    path.write_text(page(results), encoding="utf-8")
    for width in (390, 768, 1280):
        browser.open(path, width)
        assert browser.run("document.documentElement.scrollWidth - document.documentElement.clientWidth") <= 0
        assert (browser.complaints, browser.requests) == ([], [])


def test_the_file_has_all_results_of_the_folder_and_the_method_those_of_its_plan(tmp_path):
    """Nothing is left to compute; what the best run of a method beats is not joined."""
    made = a_sweep(tmp_path / "results")
    store = Store(made.folder)
    store.prepare()
    for each in made.results.values():
        store.write(each)
    fewer = {"grid": {"model": "digits-cnn", "data": "digits", "method": "qcfs", "timesteps": [2, 4]}}
    found = tc.sweep(fewer, made.folder)
    assert found.made == 0
    assert {path.name for path in made.folder.iterdir()} >= {"summary.csv", "summary.html"}
    pages = (made.folder / "summary.html").read_text(encoding="utf-8"), found.html()
    for text, steps in zip(pages, ([2, 4, 8], [2, 4]), strict=True):
        assert [step for step in (2, 4, 8) if f"qcfs T = {step}" in text] == steps
        assert "digits-cnn on digits" in text
        joined = re.findall(r'<polyline points="([^"]*)" class="[^"]*front"', text)
        assert [len(points.split()) for points in joined] == [2]  # by energy; SynOps are equal in all
