"""Fast arithmetic, used only where it is proven exact."""
