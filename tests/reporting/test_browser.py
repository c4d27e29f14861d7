"""The pages in a browser: no complaint, no request, nothing wider than the window; sorting, keys and saving work."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import numpy as np
import pytest
from helpers.graphs import random_graph, random_images
from helpers.networks import small_network

from spikec.reporting import report

WIDTHS = (390, 768, 1280)
_OVERFLOW = """(() => {
  const room = document.documentElement.clientWidth;
  if (document.documentElement.scrollWidth <= room) return "";
  const wide = [...document.querySelectorAll("body *")].filter((e) => e.getBoundingClientRect().right > room + 1);
  return wide.slice(0, 5).map((e) => `${e.tagName}.${e.className.baseVal ?? e.className}`).join(" ") || "the page";
})()"""


@pytest.fixture(scope="module")
def page(tmp_path_factory, made):
    path = tmp_path_factory.mktemp("page") / "report.html"
    path.write_text(made.html(), encoding="utf-8")
    return path


def _stands(browser, path):
    for width in WIDTHS:
        browser.open(path, width)
        assert browser.run(_OVERFLOW) == "", f"wider than {width} pixels"
        assert browser.complaints == []
        assert browser.requests == []
        assert browser.run("document.documentElement.classList.contains('scripted')")


def test_a_report_with_hostile_names_stands(browser, page):
    _stands(browser, page)


@pytest.mark.thorough
def test_reports_of_other_tasks_stand(browser, tmp_path):
    rng = np.random.default_rng(5)
    graph = small_network(rng)
    images = random_images(rng, graph, 8) * graph.input.scale
    numbers = rng.normal(0, 1, (8, 3)).astype(np.float32)
    layerwise = random_graph(rng, kind="bit_serial", schedule="layerwise", timesteps=3)
    pixels = random_images(rng, layerwise, 4) * layerwise.input.scale
    made = [
        report(graph, images=images, labels=numbers, path=None),
        report(layerwise, images=pixels, labels=None, path=None),
    ]
    for number, each in enumerate(made):
        path = tmp_path / f"{number}.html"
        path.write_text(each.html(), encoding="utf-8")
        _stands(browser, path)


def test_a_script_that_was_smuggled_in_does_not_run(browser, page, tmp_path):
    """What the policy is for: the names are escaped besides."""
    path = tmp_path / "smuggled.html"
    inside = "<script>window.smuggled = 1</script><img src=x onerror='window.smuggled = 1'>"
    path.write_text(page.read_text(encoding="utf-8").replace("<main", f"{inside}<main"), encoding="utf-8")
    browser.open(path, 768)
    assert browser.run("window.smuggled === undefined")
    assert browser.complaints != []  # so that the other tests could have seen one


def test_tables_sort_by_number_there_and_back(browser, page):
    browser.open(page, 1280)
    column = """(() => {
      const table = [...document.querySelectorAll("table.sortable")].find((t) => t.caption.textContent.startsWith(%r));
      const heads = [...table.tHead.rows[0].cells];
      const at = heads.findIndex((h) => h.textContent.startsWith(%r));
      if (%s) heads[at].querySelector("button").click();
      return [heads[at].getAttribute("aria-sort"), ...[...table.tBodies[0].rows].map((r) => r.cells[at].textContent)];
    })()"""
    which = "Energy per inference, generic", "p50"
    unsorted = browser.run(column % (*which, "false"))
    assert unsorted[0] == "none"

    def joules(cells):
        powers = {"f": 1e-15, "p": 1e-12, "n": 1e-9, "µ": 1e-6, "m": 1e-3}
        parts = [cell.replace("\N{NO-BREAK SPACE}", " ").split() for cell in cells]
        return [float(part[0]) * powers.get(part[1][0], 1.0) for part in parts]

    down, up, back = (browser.run(column % (*which, "true")) for _ in range(3))
    assert down[0] == "descending"
    assert joules(down[1:]) == sorted(joules(unsorted[1:]), reverse=True)
    assert up[0] == "ascending"
    assert joules(up[1:]) == sorted(joules(unsorted[1:]))
    assert back == unsorted
    words = browser.run(column % ("Constants, generic", "Constant", "true"))
    natural = [[int(part) if part.isdigit() else part for part in re.split(r"(\d+)", word)] for word in words[1:]]
    assert natural == sorted(natural)


def test_the_last_row_of_a_total_stays(browser, page):
    browser.open(page, 1280)
    last = """(() => {
      const table = document.querySelector("table.totalled");
      table.tHead.querySelector("th.number button").click();
      return table.tBodies[0].lastElementChild.cells[0].textContent;
    })()"""
    assert browser.run(last) == "All"


def test_arrow_keys_go_from_mark_to_mark(browser, page, made):
    browser.open(page, 1280)
    told = "document.querySelector('.tip').textContent"
    assert browser.run("document.querySelector('.tip').hidden")
    browser.run("document.querySelector('figure[data-name=accuracy] svg').focus()")
    seen = []
    for _ in made.curve:
        browser.press("ArrowRight")
        seen.append(browser.run(told))
    assert [text.split(":")[0] for text in seen] == [f"T = {point.timesteps}" for point in made.curve]
    browser.press("Escape")
    assert browser.run("document.querySelector('.tip').hidden")


def test_figures_are_saved_as_drawings_and_pictures(browser, page):
    browser.open(page, 1280)
    click = "document.querySelectorAll('figure[data-name=confusion] .save button')[%d].click()"
    browser.run(click % 0)
    drawing = ElementTree.fromstring(browser.downloaded("confusion.svg"))
    fills = {node.get("fill") for node in drawing.iter() if node.tag.endswith("rect")}
    assert len(fills) >= 3  # the style sheet's colours are in the file
    assert not any(node.get("class") for node in drawing.iter())
    browser.run(click % 1)
    assert browser.downloaded("confusion.png").startswith(b"\x89PNG")
    assert browser.complaints == []


def test_tab_reaches_what_has_an_action_and_enter_or_space_sorts(browser, page):
    """Numbers go down first, words up; what is not known stays last in both."""
    browser.open(page, 1280)
    for what in ("nav a", "table.sortable thead button", "figure svg.chart[role=img][tabindex]", "figure .save button"):
        stops = browser.run(f"[...document.querySelectorAll({what!r})].map((each) => each.tabIndex)")
        assert stops
        assert set(stops) == {0}, what
    found = """(() => {
      const table = [...document.querySelectorAll("table.sortable")].find(
        (each) => each.caption.textContent.startsWith("Energy per inference, generic"));
      const heads = [...table.tHead.rows[0].cells];
      const at = heads.findIndex((head) => head.textContent.startsWith("p50"));
      %s
      return [...table.tBodies[0].rows].map((row) => row.cells[at].textContent).filter((text) => text !== "last");
    })()"""
    unknown = "\N{EN DASH}"
    before = browser.run(found % f"table.tBodies[0].rows[0].cells[at].textContent = '{unknown}'")
    assert before[0] == unknown
    browser.run(found % "heads[at].querySelector('button').focus()")
    for key, text in (("Enter", "\r"), (" ", " ")):
        for kind in ("keyDown", "keyUp"):
            number = {"Enter": 13, " ": 32}[key]
            more = {"text": text} if kind == "keyDown" else {}
            browser.call("Input.dispatchKeyEvent", type=kind, key=key, windowsVirtualKeyCode=number, **more)
        after = browser.run(found % "")
        assert after != before
        assert after[-1] == unknown
        before = after


def test_a_mark_tells_its_value_under_the_pointer_and_home_and_end_reach_the_ends(browser, page, made):
    browser.open(page, 1280)
    told = "document.querySelector('.tip').textContent"
    browser.run("document.querySelector('figure[data-name=accuracy] svg').focus()")
    for key, point in (("End", made.curve[-1]), ("Home", made.curve[0])):
        browser.press(key)
        assert browser.run(told).startswith(f"T = {point.timesteps}:")
    browser.press("Escape")
    place = browser.run(
        """(() => {
          const mark = [...document.querySelectorAll("figure[data-name=confusion] [data-tip]")][1];
          mark.scrollIntoView({ block: "center" });
          const box = mark.getBoundingClientRect();
          return [box.left + box.width / 2, box.top + box.height / 2, mark.dataset.tip];
        })()"""
    )
    browser.call("Input.dispatchMouseEvent", type="mouseMoved", x=place[0], y=place[1])
    assert browser.run("document.querySelector('.tip').hidden") is False
    assert browser.run(told) == place[2]
    assert browser.run("document.querySelector('.tip').getAttribute('role')") == "status"  # read out by screen readers
