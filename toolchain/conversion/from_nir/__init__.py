"""Plain NIR files of other frameworks as spiking networks."""
