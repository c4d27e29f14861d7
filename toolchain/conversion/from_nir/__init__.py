"""Plain NIR files of other frameworks as spiking networks."""

#: How every refusal begins.
REFUSED = "cannot import this NIR graph: "
