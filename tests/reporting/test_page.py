"""The page: balanced, self-contained, escaped, legible, complete."""

import base64
import hashlib
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from helpers.cases import CASES, steps_of
from helpers.graphs import random_graph, random_images

import spikec.reporting
from spikec.reporting import report
from spikec.simulation import simulate

VOID = {"meta", "br", "rect", "line", "circle", "path", "img"}


class Outline(HTMLParser):
    """Checks nesting while it collects texts, attributes and the number of cells per table row."""

    def __init__(self, page):
        super().__init__(convert_charrefs=True)
        self.stack, self.tags, self.attributes, self.texts, self.rows = [], [], [], [], []
        self.feed(page)
        self.close()
        assert self.stack == [], f"never closed: {self.stack}"

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs
        self.stack.append(tag)
        if tag == "table":
            self.rows.append([])
        if tag == "tr":
            self.rows[-1].append(0)
        if tag in ("td", "th"):
            self.rows[-1][-1] += 1
        if tag in VOID and tag == "meta":
            self.stack.pop()

    def handle_startendtag(self, tag, attrs):
        assert tag in VOID
        self.tags.append(tag)
        self.attributes += attrs

    def handle_endtag(self, tag):
        assert self.stack, f"</{tag}> closes nothing"
        assert self.stack.pop() == tag

    def handle_data(self, data):
        self.texts.append(data)

    @property
    def text(self):
        return " ".join(self.texts).replace("\N{NO-BREAK SPACE}", " ")


@pytest.fixture(scope="module")
def outline(made):
    return Outline(made.html())


def test_every_row_fills_its_table(outline):
    assert len(outline.rows) >= 10
    for table in outline.rows:
        assert len(table) >= 2
        assert len(set(table)) == 1


def test_nothing_is_loaded_and_only_its_own_script_runs(made, outline):
    assert not {"link", "iframe", "object", "embed", "base", "form"} & set(outline.tags)
    names = {name for name, _ in outline.attributes}
    assert not {"srcset", "action", "data", "style", "xlink:href"} & names
    assert all(value.startswith("data:image/png;base64,") for name, value in outline.attributes if name == "src")
    assert all(value.startswith("#") for name, value in outline.attributes if name == "href")
    (script,) = re.findall(r"<script>(.*?)</script>", made.html(), re.S)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    (policy,) = (value for name, value in outline.attributes if name == "content" and "default-src" in value)
    assert f"script-src 'sha256-{digest}'" in policy
    assert policy.startswith("default-src 'none'")
    assert "unsafe" not in policy
    assert not any(name.startswith("on") for name in names)
    style = made.html().split("<style>")[1].split("</style>")[0]
    assert "url(" not in style
    assert "@import" not in style


def test_names_are_escaped_wherever_they_stand(made, outline, hostile):
    assert hostile not in made.html()
    # title (head, h1), command, data name, verification (section) and layer: all arrive as text.
    assert outline.text.count(hostile) >= 5


def test_it_says_what_it_is_and_what_it_knows(made, outline):
    text = outline.text
    assert "Integer model simulated on CPU; never run on a chip." in text
    assert "95 % interval" in text
    assert "Dampfhoffer" in text
    for energy in made.energies:
        assert energy.title in text
        for line in (*energy.unpriced, *energy.assumed, *energy.warnings):
            assert line in text
        for constant in energy.constants:
            assert constant.key in text
            assert constant.source in text
    for value in (*made.provenance.versions.values(), made.provenance.data_sha256, "2026-11-23"):
        assert value in text
    for row in (*made.populations, *made.synapses):
        assert row.name in text


def test_drawings_have_names_and_tables_captions(outline):
    assert outline.tags.count("caption") == outline.tags.count("table")
    assert outline.tags.count("title") >= outline.tags.count("svg") + 1
    assert ("lang", "en") in outline.attributes
    assert outline.tags.count("h1") == 1


@pytest.mark.parametrize(("kind", "schedule", "drain"), CASES)
def test_every_kind_of_network_has_a_page(kind, schedule, drain):
    rng = np.random.default_rng(11)
    graph = random_graph(rng, kind=kind, schedule=schedule, timesteps=steps_of(kind, 3), drain=drain)
    images = random_images(rng, graph, 5) * graph.input.scale
    trace = simulate(graph, images)
    made = report(graph, images=images, labels=np.zeros(5, int), trace=trace, path=None)
    assert len(Outline(made.html()).rows) >= 5
    assert bool(made.curve) == (trace.output_curve is not None)


def test_a_silent_network_has_a_page(deployment):
    black = np.zeros((2, 1, 4, 4))
    made = report(deployment.graph, images=black, labels=[0, 0], path=None)
    Outline(made.html())
    assert made.synapses[0].events == 0


# --- contrast ----------------------------------------------------------------------------------------------------


def _luminance(colour):
    channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def _contrast(a, b):
    high, low = sorted((_luminance(a), _luminance(b)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def test_contrast_in_light_and_dark_and_print():
    """WCAG 2.1: 4.5 for text, 3 for drawings that carry meaning."""
    style = (Path(spikec.reporting.__file__).parent / "page" / "style.css").read_text(encoding="utf-8")
    schemes = [
        dict(re.findall(r"--(\w+): (#[0-9a-fA-F]{3,6})\b", block)) for block in re.findall(r":root \{[^}]*\}", style)
    ]
    assert len(schemes) == 3
    for scheme in schemes:
        paper = scheme["paper"] if len(scheme["paper"]) == 7 else "#" + "".join(2 * c for c in scheme["paper"][1:])
        for name in ("ink", "muted", "good", "bad", "accent"):
            colour = scheme[name] if len(scheme[name]) == 7 else "#" + "".join(2 * c for c in scheme[name][1:])
            assert _contrast(colour, paper) >= 4.5, (name, colour, paper)
        for slot in range(10):
            assert _contrast(scheme[f"c{slot}"], paper) >= 3, (slot, paper)
