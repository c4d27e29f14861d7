"""A description of Loihi 1 for SANA-FE, in its YAML format, with the constants behind ``energy_loihi1.toml``.

Every neuron replays a spike train that the golden model emitted: SANA-FE then charges what it would for a neuron that
computes. Source of the constants: SANA-FE's own ``arch/loihi.yaml`` (SLAM-Lab/SANA-FE@8951ab0; Boyle et al., IEEE
TCAD 44, 2025).
"""

from __future__ import annotations

from typing import Any

#: The mesh of tiles of the one chip, the cores of a tile and the neurons of a core.
COLUMNS, ROWS, CORES_PER_TILE, NEURONS = 8, 4, 4, 1024
#: The two synapse units of a core, by what they hold: a weight per connection, or kernels that connections share.
DENSE, CONVOLUTION = "dense", "conv"

#: (energy in pJ, latency in ns) of one event.
Cost = tuple[float, float]
ACCESS: Cost = (51.2, 6.0)
UPDATE: Cost = (21.6, 3.7)
SPIKE: Cost = (69.3, 30.0)
SYNAPSES: dict[str, Cost] = {DENSE: (35.5, 3.8), CONVOLUTION: (24.0, 3.1)}
OUT: Cost = (111.0, 5.1)
IN: Cost = (0.0, 16.0)
HOP_EAST_WEST: Cost = (3.0, 4.1)
HOP_NORTH_SOUTH: Cost = (4.2, 6.5)
#: Seconds of the barrier between steps, by number of tiles in use.
BARRIER = {1: 0.6e-6, 2: 1.0e-6, 4: 1.4e-6, 29: 1.8e-6}


def yaml(value: Any, indent: int = 0) -> str:
    """Nested dictionaries and lists of dictionaries as YAML with plain keys, which SANA-FE's reader asks for."""
    pad = " " * indent
    if isinstance(value, list):
        return "\n".join(f"{pad}- {yaml(item, indent + 2).lstrip()}" for item in value)
    lines = []
    for key, item in value.items():
        if isinstance(item, dict | list):
            lines.append(f"{pad}{key}:\n{yaml(item, indent + 2)}")
        else:
            lines.append(f"{pad}{key}: {str(item).lower() if isinstance(item, bool) else item}")
    return "\n".join(lines)


def architecture() -> dict[str, Any]:
    """One chip of 8 x 4 tiles with 4 cores each, as SANA-FE reads it; energies in J, latencies in s."""
    soma: dict[str, Any] = {"model": "input"}
    for name, value in (("access_neuron", ACCESS), ("update_neuron", UPDATE), ("spike_out", SPIKE)):
        soma |= _cost(name, value)
    hops: dict[str, float] = {}
    for name, value in (("north", HOP_NORTH_SOUTH), ("south", HOP_NORTH_SOUTH), ("east", HOP_EAST_WEST)):
        hops |= _cost(f"{name}_hop", value)
    hops |= _cost("west_hop", HOP_EAST_WEST)
    core = {
        "name": f"core[0..{CORES_PER_TILE - 1}]",
        "attributes": {"buffer_position": "soma", "buffer_inside_unit": False, "max_neurons_supported": NEURONS},
        "axon_in": [{"name": "in", "attributes": _cost("message_in", IN)}],
        "synapse": [
            {"name": name, "attributes": {"model": "current_based", **_cost("process_spike", value)}}
            for name, value in SYNAPSES.items()
        ],
        "dendrite": [
            {"name": "dendrite", "attributes": {"model": "accumulator", "energy_update": 0.0, "latency_update": 0.0}}
        ],
        "soma": [{"name": f"replay[0..{NEURONS - 1}]", "attributes": soma}],
        "axon_out": [{"name": "out", "attributes": _cost("message_out", OUT)}],
    }
    chip = {
        "topology": "mesh",
        "width": COLUMNS,
        "height": ROWS,
        "link_buffer_size": 16,
        "sync_model": "table",
        "latency_sync": BARRIER,
    }
    tile = {"name": f"tile[0..{COLUMNS * ROWS - 1}]", "attributes": hops, "core": [core]}
    return {"architecture": {"name": "loihi", "attributes": chip, "tile": [tile]}}


def _cost(event: str, value: Cost) -> dict[str, float]:
    energy, latency = value
    return {f"energy_{event}": energy * 1e-12, f"latency_{event}": latency * 1e-9}
