"""Steps Lava's own fixed-point LIF by hand: ``python stock_lif.py IN.npz OUT.npz``, in an interpreter of its own.

IN holds ``cases`` and for each case k the arrays ``k.z`` [steps, n] (weighted input), ``k.back`` [n, n] (weights from
the spikes of the step before), ``k.bias_mant``, ``k.bias_exp`` [n] and the numbers ``k.du``, ``k.dv``, ``k.vth``.
``k.reset`` > 0: the model of ``LIFReset``, with that interval. OUT gets ``k.s``, ``k.v`` (after reset) and ``k.u``,
[steps, n].
"""

import sys

import numpy as np
from lava.proc.lif.models import PyLifModelBitAcc, PyLifResetModelBitAcc


class Port:
    """Stands for the ports of a model."""

    def recv(self):
        return self.value

    def send(self, value):
        self.value = value


def run(get):
    z, back, reset = get("z"), get("back"), int(get("reset"))
    settings = {"reset_interval": reset, "reset_offset": 1}
    model = PyLifResetModelBitAcc(settings) if reset else PyLifModelBitAcc(settings)
    model.a_in, model.s_out = Port(), Port()
    model.u, model.v = np.zeros(z.shape[1], np.int32), np.zeros(z.shape[1], np.int32)
    model.du, model.dv = (np.array([get(name)], np.uint16) for name in ("du", "dv"))
    model.bias_mant, model.bias_exp = (get(name).astype(np.int16) for name in ("bias_mant", "bias_exp"))
    model.vth = np.array([get("vth")], np.int32)
    spikes, found = np.zeros(z.shape[1], np.int64), {"s": [], "v": [], "u": []}
    for step, arriving in enumerate(z):
        model.time_step = step + 1
        model.a_in.send((arriving + back @ spikes).astype(np.int32))
        model.run_spk()
        spikes = model.s_out.recv().astype(np.int64)
        for name, value in (("s", spikes), ("v", model.v), ("u", model.u)):
            found[name].append(np.array(value))
    return {name: np.stack(values) for name, values in found.items()}


if __name__ == "__main__":
    with np.load(sys.argv[1]) as file:
        cases = {
            f"{k}.{name}": array
            for k in range(int(file["cases"]))
            for name, array in run(lambda key, k=k: file[f"{k}.{key}"]).items()
        }
    np.savez(sys.argv[2], **cases)
