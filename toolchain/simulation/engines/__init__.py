"""Ways to execute a graph, all with the same integers."""
