"""``spikec run``: accuracy, and traces that hold what the golden model computed."""

import contextlib

import numpy as np
import pytest
import torch

import spikec as tc
from spikec.cli.trace_file import TraceFile
from spikec.errors import DataError
from spikec.evidence import accuracy
from spikec.ir import as_integer, load
from spikec.models.data import open_dataset
from spikec.simulation import GoldenModel, simulate


@pytest.fixture(scope="module")
def expected(net):
    """The trace and labels of the first 30 digits, in one piece."""
    data = open_dataset("digits").subset(slice(30))
    return simulate(load(net), data.images().numpy(), record="spikes"), data.labels


def test_accuracy(spikec, net, expected):
    trace, labels = expected
    hits = trace.output.argmax(1) == labels
    result = spikec("run", net, "--limit", 30, "--json")
    assert result.code == 0
    assert (result.json["images"], result.json["correct"]) == (30, hits.sum())
    assert result.json["accuracy"] == pytest.approx(hits.mean())
    low, high = result.json["interval"]
    assert low < hits.mean() < high
    by_step = (trace.output_curve.argmax(2) == labels[:, None]).mean(0)
    assert result.json["accuracy_by_timestep"] == pytest.approx(by_step)
    assert result.json["spikes_per_image"] == {"fire": trace.events["fire"].sum() / 30}


def test_text_names_accuracy_interval_and_steps(spikec, net):
    out = spikec("run", net, "--limit", 30).out
    for part in ("accuracy", "30 digits test images", "95 % interval", "T=1", "T=3", "images/s"):
        assert part in out


def test_trace_file_equals_one_run(spikec, net, expected, monkeypatch, tmp_path):
    """Batches of 7 written one after the other are the arrays of one run of 30."""
    monkeypatch.setattr(accuracy, "_IMAGES_AT_ONCE", 7)
    assert spikec("run", net, "--limit", 30, "--record", "spikes", "-o", "t.npz").code == 0
    trace, labels = expected
    with np.load(tmp_path / "t.npz") as found:
        assert set(found.files) == {
            *("output", "logits", "labels", "output_curve"),
            *("counts/fire", "events/fire", "spikes/fire"),
            *("coding/values", "coding/clipped", "coding/zeroed"),
        }
        np.testing.assert_array_equal(found["labels"], labels)
        np.testing.assert_array_equal(found["output"], trace.output)
        np.testing.assert_array_equal(found["logits"], trace.logits)
        np.testing.assert_array_equal(found["output_curve"], trace.output_curve)
        np.testing.assert_array_equal(found["counts/fire"], trace.counts["fire"])
        np.testing.assert_array_equal(found["events/fire"], trace.events["fire"])
        np.testing.assert_array_equal(found["spikes/fire"], trace.spikes["fire"])
        np.testing.assert_array_equal(found["coding/values"], np.full(30, 64))
        np.testing.assert_array_equal(found["coding/clipped"], trace.coding.clipped_by_image)
        np.testing.assert_array_equal(found["coding/zeroed"], trace.coding.zeroed_by_image)
    assert [path.name for path in tmp_path.iterdir()] == ["t.npz"]


def test_trace_file_appears_whole_or_not_at_all(net, expected, tmp_path):
    trace, labels = expected
    old = tmp_path / "t.npz"
    old.write_text("old")
    file = TraceFile(old, as_integer(load(net)), 60)
    with contextlib.suppress(DataError), file:
        file.append(trace, labels)
        raise DataError("the second half is missing")
    assert [path.name for path in tmp_path.iterdir()] == ["t.npz"]
    assert old.read_text() == "old"


@pytest.mark.parametrize(("largest", "type_"), [(127, np.int8), (128, np.int16), (40000, np.int32)])
def test_counts_fit_their_type(digits_graph, tmp_path, largest, type_):
    with TraceFile(tmp_path / "t.npz", digits_graph(timesteps=largest), 1) as file:
        assert file.count_type == type_
        assert np.iinfo(file.count_type).max >= largest


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--target", "gilden"), "did you mean 'golden'?"),
        (("--record", "spikes"), "-o FILE"),
        (("--data", "fashon-mnist"), "did you mean 'fashion-mnist'?"),
        (("--data", "npz:absent.npz"), "absent.npz"),
    ],
)
def test_wrong_arguments(spikec, net, words, says):
    result = spikec("run", net, *words)
    assert result.code == 1
    assert says in result.err


def test_images_of_another_shape_are_refused(spikec, net, tmp_path):
    np.savez(tmp_path / "d.npz", x=np.zeros((4, 1, 9, 9), np.uint8), y=np.arange(4))
    result = spikec("run", net, "--data", "npz:d.npz")
    assert result.code == 1
    assert "takes images of 1x8x8" in result.err


def test_more_classes_than_the_network_knows_are_refused(spikec, net, tmp_path):
    np.savez(tmp_path / "d.npz", x=np.zeros((2, 1, 8, 8), np.uint8), y=np.array([0, 10]))
    result = spikec("run", net, "--data", "npz:d.npz")
    assert result.code == 1
    assert "10 classes" in result.err


def test_early_exit(spikec, net, expected, tmp_path):
    """The proven form changes no class; a margin that nearly every lead exceeds stops after one step."""
    trace, labels = expected
    proven = spikec("run", net, "--limit", 30, "--early-exit", "margin", "--json")
    assert proven.code == 0
    assert proven.json["correct"] == (trace.output.argmax(1) == labels).sum()
    assert 1 <= proven.json["mean_steps"] <= 3
    early = spikec("run", net, "--limit", 30, "--early-exit", "margin:1e-9", "-o", "t.npz")
    assert "stopped early: 1." in early.out
    with np.load(tmp_path / "t.npz") as found:
        assert (found["steps"] == 1).mean() > 0.5
        at_stop = trace.output_curve[np.arange(30), found["steps"] - 1]
        np.testing.assert_array_equal(found["output"], at_stop)


@pytest.mark.parametrize("out", [(), ("-o", "t.npz")])
def test_device(spikec, net, tmp_path, monkeypatch, out):
    monkeypatch.chdir(tmp_path)
    plain = spikec("run", net, "--limit", 5, "--json").json
    assert spikec("run", net, "--limit", 5, "--device", "cpu", *out, "--json").json["correct"] == plain["correct"]
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    refused = spikec("run", net, "--limit", 5, "--device", "cuda", *out)
    assert refused.code == 4
    assert "torch sees no GPU here; leave it out" in refused.err


def test_memory_and_threads_change_nothing(spikec, net):
    plain = spikec("run", net, "--limit", 30, "--json").json
    bounded = spikec("run", net, "--limit", 30, "--memory", "10kB", "--threads", 1, "--json").json
    assert {**bounded, "images_per_second": 0} == {**plain, "images_per_second": 0}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--memory", "much"), "'much' is not a size"),
        (("--threads", 0), "at least 1"),
        (("--early-exit", "soon"), "write margin, or margin:X"),
        (("--early-exit", "margin:-1"), "write margin, or margin:X"),
        (("--early-exit", "margin:x"), "write margin, or margin:X"),
        (("--target", "lava", "--threads", 1), "--threads is an option of --target golden"),
        (("--target", "lava", "--device", "cpu"), "--device is for the golden model"),
        (("--device", "tpu"), "use cpu or cuda"),
    ],
)
def test_golden_options_are_checked(spikec, net, words, message):
    result = spikec("run", net, *words)
    assert result.code == 1
    assert message in result.err


@pytest.mark.parametrize("words", [(), ("-o", "t.npz"), ("--json",)])
def test_images_that_are_clipped_are_said_once(spikec, net, expected, monkeypatch, tmp_path, words):
    """In every way to run: counts in the text and in the document, one line on stderr."""
    monkeypatch.setattr(accuracy, "_IMAGES_AT_ONCE", 7)
    images, labels = open_dataset("digits").images(slice(30)).numpy(), open_dataset("digits").labels[:30]
    np.savez(tmp_path / "d.npz", x=(images - 0.3) / 0.38, y=labels)
    result = spikec("run", net, "--data", f"npz:{tmp_path / 'd.npz'}", *words)
    assert result.code == 0
    warned = [line for line in result.err.splitlines() if "warning" in line]
    assert len(warned) == 1
    assert "clipped" in warned[0]
    given = ((images.astype(np.float64) - 0.3) / 0.38).astype(np.float32) * 255.0
    clipped = int(((np.rint(given) < 0) | (np.rint(given) > 255)).sum())
    if result.json is not None:
        coding = result.json["coding"]
        assert (coding["values"], coding["clipped"]) == (30 * 64, clipped)
        assert coding["clipped_share"] == clipped / (30 * 64)
        assert warned[0].endswith(coding["warning"])
    else:
        assert f"input coding: of 1,920 values {100 * clipped / 1920:.3g} % clipped" in result.out


def test_images_as_they_should_be_are_counted_too(spikec, net):
    result = spikec("run", net, "--limit", 30)
    assert "input coding: of 1,920 values 0 % clipped, 0 % rounded to 0" in result.out
    assert "warning" not in result.err


def test_explain_alone_runs_nothing(spikec, net, monkeypatch):
    """The document of the command is what Python says; every node has a line."""
    monkeypatch.setattr(GoldenModel, "run", None)
    how = tc.explain(load(net))
    found = spikec("run", net, "--explain", "--json").json
    assert found["explanation"] == how.to_json()
    assert "images" not in found
    assert spikec("run", net, "--explain").out.splitlines() == how.lines
    assert [line.split()[0] for line in how.lines[1:]] == [path.node for path in how]


def test_explain_beside_a_run_speaks_of_its_images_and_options(spikec, net):
    plain, both = (spikec("run", net, "--limit", 3, *more, "--json").json for more in ([], ["--explain"]))
    assert both["explanation"] == tc.explain(load(net), images=3).to_json()
    assert {key: both[key] for key in ("images", "accuracy")} == {key: plain[key] for key in ("images", "accuracy")}
    stopped = spikec("run", net, "--explain", "--early-exit", "margin", "--json").json["explanation"]
    assert stopped["order"] == "step after step"
    for form in ("generic24", "loihi1"):
        narrow = spikec("run", net, "--explain", "--overflow", "wrap", "--format", form).out
        assert narrow.splitlines() == tc.explain(load(net), overflow="wrap", format=form).lines
    assert "accuracy" in spikec("run", net, "--limit", 3, "--explain").out


def test_explain_is_of_the_golden_model(spikec, net):
    result = spikec("run", net, "--explain", "--target", "c")
    assert result.code == 1
    assert "--explain is for the golden model; leave out --target c" in result.err
