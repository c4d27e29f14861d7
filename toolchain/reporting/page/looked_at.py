"""Examples: a card for each input that was looked at closely."""

from __future__ import annotations

from spikec.reporting.details import Example, Picture, Raster
from spikec.reporting.numbers import significant
from spikec.reporting.page.chart import figure
from spikec.reporting.page.html import Column, Html, table, tag
from spikec.reporting.page.raster import raster
from spikec.reporting.page.tracks import tracks


def cards(examples: tuple[Example, ...]) -> Html:
    """Right and wrong ones, in the order they were chosen."""
    return tag("div", *(_card(example) for example in examples), class_="cards")


def _card(example: Example) -> Html:
    state = {True: "good", False: "bad", None: None}[example.right]
    why = example.why[0].upper() + example.why[1:]
    parts: list[object] = [tag("h3", why, class_=state), tag("p", _told(example))]
    if example.pictures:
        parts.append(tag("div", *(_picture(p, example.index) for p in example.pictures), class_="pictures"))
    if example.tracks:
        parts += _decision(example)
    if example.rasters:
        parts.append(tag("h4", "Spikes"))
        parts.append(tag("div", *(_raster(each) for each in example.rasters), class_="rasters"))
    return tag("article", *parts, class_="card")


def _told(example: Example) -> str:
    words = [f"Input {example.index}"]
    if example.target:
        words.append(f"wanted {example.target}")
    if example.answer:
        words.append(f"got {example.answer}")
    return ", ".join(words)


def _picture(picture: Picture, index: int) -> Html:
    described = f"input {index}" + (f": {picture.about}" if picture.about else "")
    wide = "picture wide" if picture.width > 2 * picture.height else "picture"
    shown = tag(
        "img",
        src=f"data:image/png;base64,{picture.png}",
        alt=described,
        width=picture.width,
        height=picture.height,
        class_=wide,
    )
    return tag("figure", shown, tag("figcaption", picture.about) if picture.about else "")


def _decision(example: Example) -> list[object]:
    target = example.target if example.target in example.tracks else None
    wanted = None if target is None else example.tracks.index(target)
    if len(example.values[0]) > 1:
        drawn = tracks(example.tracks, example.values, f"Outputs of input {example.index} over the steps", wanted)
        return [tag("h4", "Outputs as they form"), figure(drawn, "", f"decision-{example.index}")]
    columns = [Column("Output", "name"), Column("Value at the end")]
    rows = [[name, significant(values[0], 3)] for name, values in zip(example.tracks, example.values, strict=True)]
    return [table(f"Outputs of input {example.index}", columns, rows, class_="narrow")]


def _raster(found: Raster) -> Html:
    some = f"{len(found.neurons)} of {found.of:,}" if len(found.neurons) < found.of else f"{found.of:,}"
    return figure(raster(found), Html(tag("code", found.layer) + f": {some} neurons"), None)
