"""A real deployment file, with its seal and as older versions wrote it."""

import pytest
from helpers.networks import digits_network

from spikec.hdf5.seal import LENGTH
from spikec.ir import build, save


@pytest.fixture(scope="session")
def sealed_net(tmp_path_factory):
    return save(build(digits_network()), tmp_path_factory.mktemp("net") / "sealed.nir")


@pytest.fixture(scope="session")
def net(sealed_net):
    """The same file without a seal: what a foreign writer, an older version or an attacker hands over."""
    path = sealed_net.with_name("net.nir")
    path.write_bytes(sealed_net.read_bytes()[:-LENGTH])
    return path
