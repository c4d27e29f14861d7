"""A NIR file of another framework: ask the doctor, repair what is certain, run it as integers.

python foreign_nir.py                  # a file made here, as frameworks write them
python foreign_nir.py FILE.nir DT      # yours; DT: the length of a step, in the unit of its time constants
"""

import sys
from itertools import pairwise

import h5py
import nir
import numpy as np

import spikec as tc

rng = np.random.default_rng(0)


def write(path: str) -> None:
    """A leaky network of 12 inputs, 24 neurons and 4 integrators."""
    leak = {"tau": np.full(24, 5e-3), "r": np.ones(24), "v_leak": np.zeros(24)}
    nodes = {
        "input": nir.Input(input_type={"input": np.array([12])}),
        "spread": nir.Affine(weight=rng.normal(0, 1.5, (24, 12)), bias=np.zeros(24)),
        "hidden": nir.LIF(**leak, v_threshold=np.full(24, 0.2), v_reset=np.zeros(24)),
        "gather": nir.Affine(weight=rng.normal(0, 1.5, (4, 24)), bias=np.zeros(4)),
        "sum": nir.LI(tau=np.full(4, 10e-3), r=np.ones(4), v_leak=np.zeros(4)),
        "output": nir.Output(output_type={"output": np.array([4])}),
    }
    names = list(nodes)
    nir.write(path, nir.NIRGraph(nodes, list(pairwise(names))))
    with h5py.File(path, "r+") as file:  # as an older version of nir, which had no such field
        del file["node/nodes/hidden/v_reset"]


path, dt = (sys.argv[1], float(sys.argv[2])) if len(sys.argv) > 2 else ("foreign.nir", 1e-3)
if path == "foreign.nir":
    write(path)

print(tc.nir.diagnose(path))
print(tc.nir.repair(path, "mended.nir"))

inputs = next(node for node in nir.read("mended.nir").nodes.values() if isinstance(node, nir.Input))
shape = tuple(int(n) for n in inputs.input_type["input"])
sequences = (rng.random((16, 100, *shape)) < 0.2).astype("uint8")  # yours: what the file was trained on
network = tc.import_sequences("mended.nir", example=sequences, dt=dt)
graph = tc.lower(network)
tc.save(graph, "deployed.nir")
print(tc.sequence_fidelity(network, graph, sequences))

trace = tc.simulate(graph, sequences)
assert tc.compare(trace, tc.compile(graph, target="c").run(sequences)) is None
print(f"{len(sequences)} sequences: the generated C computes the same as the golden model")
