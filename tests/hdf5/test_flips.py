"""One changed byte in a file without a seal, where HDF5 itself crashes or never ends on some: refused, or the same."""

import numpy as np
from helpers.same import same

import spikec as tc
from spikec.ir import decode
from spikec.ir.profile.files import check_deployment
from spikec.ir.profile.reading import read_nir

FLIPS = 150


def test_one_changed_byte_is_refused_or_changes_nothing(net, tmp_path):
    content, original = net.read_bytes(), decode(tc.load(net))
    random = np.random.default_rng(11)
    path = tmp_path / "flipped.nir"
    refused = []
    for place in random.integers(0, len(content), FLIPS):
        changed = bytearray(content)
        changed[place] = random.choice([b for b in (0, 3, 255, int(random.integers(256))) if b != changed[place]])
        path.write_bytes(changed)
        try:
            graph = read_nir(path, seconds=1)
            check_deployment(graph)
        except tc.GraphError as error:
            refused.append(str(error))
        else:
            assert same(decode(graph), original), place
    assert 0 < len(refused) < FLIPS
    assert not [words for words in refused if "\n" in words]
