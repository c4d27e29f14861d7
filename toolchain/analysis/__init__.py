"""What may happen in a graph: ranges, branches, formats, widths. Nothing here runs anything."""
