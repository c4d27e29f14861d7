"""Draw the pictures of docs/how-methods-work.md from runs of the shipped network, and of the tutorial's.

    python -m benchmarks.docs_pictures            # docs/pictures/*.svg

Needs matplotlib. Nothing is drawn by hand but the schedule, which follows its definition. Equal runs draw equal bytes.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import matplotlib as mpl
import numpy as np
import torch
from matplotlib.figure import Figure

import spikec as tc
from benchmarks.docs_blocks import blocks
from spikec.ir.walks import latency_steps
from spikec.models import data, pretrained, trained
from spikec.whole_files import replacing

ROOT = Path(__file__).resolve().parent.parent
PICTURES = ROOT / "docs" / "pictures"
INK, BLUE, RED, GREEN, GREY = "#222222", "#1f6fb4", "#c9372c", "#00796b", "#9aa0a6"
#: Layer whose neurons are shown: the last hidden one of ``digits-cnn``, 64 neurons.
LAYER = "13"
STYLE = {
    "svg.fonttype": "none",
    "svg.hashsalt": "spikec",
    "font.family": "sans-serif",
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
}


def _save(figure: Figure, name: str) -> None:
    with replacing(PICTURES / f"{name}.svg") as temporary:
        figure.savefig(temporary, format="svg", metadata={"Date": None}, bbox_inches="tight")
    size = (PICTURES / f"{name}.svg").stat().st_size
    print(f"docs/pictures/{name}.svg, {size / 1024:.0f} KiB", flush=True)


def _deployed(method: object, images: torch.Tensor, calibration: torch.Tensor, **record: str):  # type: ignore[no-untyped-def]
    """The integer graph and trace of ``digits-cnn`` under a method."""
    network = tc.convert(pretrained("digits-cnn"), method, example=images[:1], calibration=calibration)
    graph = tc.lower(network, tc.Int8())
    return tc.decode(graph), tc.simulate(graph, images, **record)


def activation() -> None:
    """What networks are trained with, beside ReLU."""
    x = torch.linspace(-0.3, 1.5, 721)
    act = tc.ClipFloorShift(levels=4, threshold=1.0)
    figure = Figure(figsize=(4.2, 2.6))
    axes = figure.subplots()
    axes.plot(x, torch.relu(x), color=GREY, label="ReLU")
    axes.plot(x, act(x).detach(), color=BLUE, label="ClipFloorShift, 4 levels, threshold 1")
    axes.set(xlabel="input", ylabel="output", yticks=[0, 0.25, 0.5, 0.75, 1.0])
    axes.legend(frameon=False)
    _save(figure, "activation")


def _neuron(images: torch.Tensor, calibration: torch.Tensor) -> None:
    """Membrane and spikes of one neuron: plain, and signed."""
    figure = Figure(figsize=(7.2, 2.9))
    plots = figure.subplots(1, 2)
    methods = (
        (tc.QCFS(timesteps=8), "qcfs: if neuron"),
        (tc.ErrorCompensation(8), "error-compensation: signed_if neuron"),
    )
    for axes, (method, title) in zip(plots, methods, strict=True):
        graph, trace = _deployed(method, images, calibration, record="membranes")
        spikes, membranes = trace.spikes[LAYER], trace.membranes[LAYER]
        signed = (spikes < 0).any(1)
        # A neuron that takes a spike back where there is one, else one that fires in half of the steps.
        image, neuron = np.argwhere(signed if signed.any() else spikes.sum(1) == 4)[0]
        theta = int(np.broadcast_to(graph.nodes[LAYER].theta, spikes.shape[2:])[neuron])
        m, s, steps = membranes[image, :, neuron], spikes[image, :, neuron], np.arange(1, 9)
        axes.axhline(theta, color=GREY, linestyle="--", linewidth=1)
        axes.text(8.4, theta, "threshold", color=GREY, ha="right", va="bottom")
        axes.axhline(0, color=GREY, linewidth=0.6)
        axes.vlines(steps, m, m - s * theta, color=BLUE, linewidth=1)
        axes.plot(steps, m, "o", color=BLUE, label="membrane with the input of the step")
        axes.plot(steps, m - s * theta, "_", color=BLUE, markersize=9, label="what is left after a spike")
        for t in steps[s != 0]:
            axes.text(t, m[t - 1], f"{s[t - 1]:+d}\n", ha="center", va="bottom", color=RED if s[t - 1] < 0 else INK)
        low, high = axes.get_ylim()
        axes.set(xlabel="step", title=title, xlim=(0.5, 8.5), ylim=(low, high + 0.15 * (high - low)))
    plots[0].set_ylabel("integers")
    figure.legend(
        *plots[0].get_legend_handles_labels(), frameon=False, loc="upper center", bbox_to_anchor=(0.5, 0), ncols=2
    )
    _save(figure, "neuron")


def _same_neurons(images: torch.Tensor, calibration: torch.Tensor) -> None:
    """Sixteen neurons, one image, in four methods."""
    methods = (tc.QCFS(timesteps=8), "qcfs, T = 8"), (tc.ErrorCompensation(8), "error-compensation, T = 8")
    methods += (tc.ErrorFree(4), "error-free, T = 4"), (tc.Graded(levels=15), "graded, T = 1")
    runs = [_deployed(method, images, calibration, record="spikes")[1] for method, _ in methods]
    both = (runs[1].spikes[LAYER] < 0).any(1).sum(1)
    image = int(both.argmax())  # the one with most spikes taken back
    taken_back = (runs[1].spikes[LAYER][image] < 0).any(0)
    levels = runs[3].counts[LAYER][image]
    busy = np.sort(np.argsort(abs(levels - 7) - 100 * taken_back, kind="stable")[:16])  # neither silent nor full
    figure = Figure(figsize=(7.2, 3.0))
    plots = figure.subplots(1, 4, sharey=True, width_ratios=[8, 8, 4, 2])
    for axes, run, (_, title) in zip(plots, runs, methods, strict=True):
        spikes = run.spikes[LAYER][image][:, busy]
        if title.startswith("graded"):
            for n, s in enumerate(spikes[0]):
                axes.text(1, n, str(s), ha="center", va="center", color=BLUE if s else GREY)
        else:
            for sign, colour in ((1, BLUE), (-1, RED)):
                t, n = np.nonzero(spikes == sign)
                axes.vlines(t + 1, n - 0.35, n + 0.35, color=colour, linewidth=2.4)
        axes.set(title=title, xlabel="step", xlim=(0.4, len(spikes) + 0.6), ylim=(15.6, -0.6))
        axes.set_xticks(range(1, len(spikes) + 1))
        axes.title.set_fontsize(8)
    plots[0].set(ylabel="neuron", yticks=range(16))
    plots[2].set_xticklabels(["8", "4", "2", "1"])
    plots[2].set_xlabel("worth")
    _save(figure, "same_neurons")


def _uneven(images: torch.Tensor, calibration: torch.Tensor) -> None:
    """How far spike counts are from the levels of the quantised network."""
    exact = _deployed(tc.QCFS(timesteps=8, schedule="layerwise"), images, calibration)[1].counts[LAYER]
    cases = (
        (tc.QCFS(timesteps=8), "qcfs, pipelined", BLUE),
        (tc.ErrorCompensation(8), "error-compensation, pipelined", RED),
    )
    cases += ((tc.QCFS(timesteps=8, schedule="layerwise"), "qcfs, layerwise", GREEN),)
    figure = Figure(figsize=(5.4, 2.6))
    axes = figure.subplots()
    for i, (method, title, colour) in enumerate(cases):
        off = _deployed(method, images, calibration)[1].counts[LAYER] - exact
        share = [100 * np.mean(off <= -2), *(100 * np.mean(off == k) for k in (-1, 0, 1)), 100 * np.mean(off >= 2)]
        bars = axes.bar(np.arange(5) + 0.27 * (i - 1), share, 0.25, color=colour, label=title)
        axes.bar_label(bars, [f"{x:.1f}" if x else "0" for x in share], fontsize=6.5)
    axes.set_xticks(range(5), ["-2 or less", "-1", "0", "+1", "+2 or more"])
    axes.set(xlabel="spikes too many or too few in 8 steps", ylabel="% of neurons", ylim=(0, 145))
    axes.legend(frameon=False, fontsize=7.5, loc="upper left")
    _save(figure, "uneven")


def _offsets(images: torch.Tensor, calibration: torch.Tensor) -> None:
    """Where calibrated membranes start."""
    graph, _ = _deployed(tc.OffsetSpikes(timesteps=8, mode="static"), images, calibration)
    population = graph.nodes[LAYER]
    start = (population.v_init / population.theta).ravel()
    figure = Figure(figsize=(4.2, 2.3))
    axes = figure.subplots()
    axes.hist(start, bins=np.arange(-1.05, 2.15, 0.1), color=BLUE)
    axes.axvline(0.5, color=GREY, linestyle="--")
    axes.text(0.53, axes.get_ylim()[1], "without calibration", color=GREY, va="top")
    axes.set(xlabel="initial membrane / threshold", ylabel="neurons")
    _save(figure, "offsets")


def _schedules() -> None:
    """Which layer works when, for four layers and T = 4."""
    figure = Figure(figsize=(7.2, 1.9))
    for axes, title in zip(figure.subplots(1, 2, sharey=True), ("pipelined", "layerwise"), strict=True):
        for layer in range(4):
            begin = layer if title == "pipelined" else 4 * layer
            for t in range(4):
                axes.barh(layer, 0.9, left=begin + t + 0.05, color=BLUE, alpha=0.4 + 0.2 * (t % 2))
        axes.set(title=f"{title}, T = 4", xlabel="step of the chip", ylim=(3.6, -0.6), xlim=(0, 16.5))
        axes.set_yticks(range(4), [f"layer {i + 1}" for i in range(4)])
    _save(figure, "schedules")


def _tutorial_network(folder: Path) -> tuple[torch.nn.Module, dict[str, np.ndarray]]:
    """The network of the tutorial, trained as the page says: ReLU, no preparation for spikes."""
    page = (ROOT / "docs" / "tutorial.md").read_text(encoding="utf-8")
    (block,) = (block for block in blocks(page) if block.title == "my_cnn.py")
    (folder / block.title).write_text("\n".join(block.lines), encoding="utf-8")
    subprocess.run([sys.executable, block.title], cwd=folder, check=True)
    archive = data.open_dataset(f"npz:{folder / 'digits.npz'}")
    network = trained(f"{folder / block.title}:MyCNN", folder / "my_cnn.pt", archive)
    return network, dict(np.load(folder / "digits.npz"))


def _accuracy() -> None:
    """Accuracy against latency, in four methods, of a network that was not prepared for spikes."""
    with tempfile.TemporaryDirectory(prefix="spikec_pictures_") as folder:
        network, arrays = _tutorial_network(Path(folder))
    images, labels = torch.tensor(arrays["x_test"]), arrays["y_test"]
    calibration = torch.tensor(arrays["x"][:256])
    ann = 100 * float((network(images).argmax(1).numpy() == labels).mean())
    static = "static"
    curves: tuple[tuple[str, str, Callable[[int], object], tuple[int, ...]], ...] = (
        ("qcfs, pipelined", BLUE, lambda t: tc.QCFS(timesteps=t), (1, 2, 4, 8, 16, 32)),
        (
            *("error-compensation, static offsets", RED),
            *(lambda t: tc.ErrorCompensation(t, offsets=static), (1, 2, 4, 8, 16, 32)),
        ),
        ("error-free (layerwise)", GREEN, tc.ErrorFree, (1, 2, 3, 4, 5, 6)),
        ("graded, 15 levels", INK, lambda t: tc.Graded(levels=15), (1,)),
    )
    figure = Figure(figsize=(5.8, 3.1))
    axes = figure.subplots()
    axes.axhline(ann, color=GREY, linestyle="--")
    axes.text(2, ann, f"the network: {ann:.1f} %", color=GREY, va="bottom")
    for title, colour, method, steps in curves:
        accuracies, latencies = [], []
        for t in steps:
            spiking = tc.convert(network, method(t), example=images[:1], calibration=calibration)
            graph = tc.lower(spiking, tc.Int8())
            accuracies.append(100 * tc.simulate(graph, images).accuracy(labels))
            latencies.append(latency_steps(tc.decode(graph)))
        axes.plot(latencies, accuracies, "o-", color=colour, label=title, markersize=4)
        for t, accuracy in zip(steps, accuracies, strict=True):
            print(f"  {title}, T = {t}: {accuracy:.2f} %")
    axes.set_xscale("log", base=2)
    axes.set_xticks([2, 4, 8, 16, 32], ["2", "4", "8", "16", "32"])
    axes.set(xlabel="steps from the image to the answer", ylabel="% right")
    axes.legend(frameon=False, fontsize=8, loc="lower right")
    _save(figure, "accuracy")


def main() -> int:
    mpl.rcParams.update(STYLE)
    torch.manual_seed(0)
    torch.set_num_threads(1)
    images, calibration = data.load("digits", split="test")[0][:200], data.load("digits")[0][:256]
    activation()
    _schedules()
    for draw in (_neuron, _same_neurons, _uneven, _offsets):
        draw(images, calibration)
    _accuracy()
    return 0


if __name__ == "__main__":
    sys.exit(main())
