"""The process that may open nothing reads every third file of the corpus as a free one does: all it needs is loaded."""

import pytest
from nir_files.corpus import CASES

from spikec.hdf5.child import tree_of, verdict
from spikec.hdf5.process import LIMIT, read
from spikec.hdf5.question import Verdict


def _plain(held):
    if held is None:
        return None
    if isinstance(held, dict):
        return {name: _plain(inner) for name, inner in held.items()}
    data = held.data
    if hasattr(data, "dtype"):
        data = data.tolist() if data.dtype == object else (data.dtype, data.shape, data.tobytes())
    return held.shape, held.dtype, data, held.why


@pytest.mark.filterwarnings("ignore")
def test_the_corpus_is_read_alike(tmp_path):
    for case in CASES[::3]:
        path = tmp_path / "file.nir"
        path.unlink(missing_ok=True)
        case.make(path)
        found, said = read(path, ask_nir=True)
        content = path.read_bytes()
        expected = tree_of(content, LIMIT)
        assert found.problems == expected.problems, case
        assert (found.extra, found.safe) == (expected.extra, expected.safe), case
        assert _plain(found.node) == _plain(expected.node), case
        assert said == (verdict(content) if expected.safe else Verdict()), case
