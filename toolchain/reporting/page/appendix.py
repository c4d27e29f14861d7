"""The appendix of the page: the energy model against published measurements, misses included."""

from __future__ import annotations

import json
from pathlib import Path

from spikec.reporting.page.html import Column, Html, table, tag

_ROWS = Path(__file__).parent / "validation.json"


def validation() -> Html:
    """The table of ``docs/energy.md``, folded."""
    columns = [
        Column("", "name"),
        Column("Case", "text"),
        Column("Quantity", "text"),
        Column("Measured"),
        Column("Predicted"),
        Column("90 % interval"),
        Column("Error"),
        Column("Inside", "word"),
        Column("Role", "word", hint="fitted: constants come from it; held out: they do not"),
        Column("Note", "text"),
    ]
    rows = [
        [
            row["id"],
            f"{row['case']} [{row['grade']}]",
            row["quantity"],
            row["measured"],
            row["predicted"],
            " to ".join(row["interval"]),
            row["error"],
            {True: "yes", False: tag("strong", "no", class_="bad"), None: ""}[row["inside"]],
            row["role"],
            row["note"],
        ]
        for row in json.loads(_ROWS.read_text(encoding="utf-8"))
    ]
    explained = (
        "Predictions of these profiles for measurements others published. Cases marked fitted were used to choose "
        "constants and prove nothing; those held out were not. V7 is missed by more than a factor of two, unexplained."
    )
    shown = table("Against published measurements", columns, rows)
    return tag("details", tag("summary", "The energy model against published measurements"), tag("p", explained), shown)
