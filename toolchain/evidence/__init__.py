"""Everything that runs a model to show something."""
