"""A table as a frame of pandas, which is imported only here."""

from __future__ import annotations

from typing import Any

from spikec.display.table import Table
from spikec.packages import needed


def frame(table: Table) -> Any:
    """A ``pandas.DataFrame`` of the values, not of their texts; a row for each line. Raises ``PackageMissing``."""
    pandas = needed("pandas", "to_pandas()", "pip install pandas")
    return pandas.DataFrame.from_records(list(table.rows), columns=[column.name for column in table.columns])
