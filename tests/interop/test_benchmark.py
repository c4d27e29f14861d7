"""The driver of the comparison with other simulators counts and complains rightly."""

from benchmarks import interop
from benchmarks.marked import replaced
from spikec.targets.interop.conformance import conformance_cases


def _outcomes(**changes):
    """Outcomes of a framework that does everything as expected, or not where ``changes`` say so."""
    found = []
    for case in conformance_cases():
        for mode in interop.modes(case):
            status, differences = ("refused: no", 0) if case.refused else ("ran", 7 if mode == "importer" else 0)
            status, differences = changes.get(f"{case.name.replace('-', '_')}_{mode}", (status, differences))
            found.append(interop.Outcome(case, mode, status, 100, differences))
    return {"nirtorch": found}


def test_complaints():
    assert interop.complaints(_outcomes()) == []
    assert "3 of 100 differ" in interop.complaints(_outcomes(sum_0_adapter=("ran", 3)))[0]
    assert "should be refused for signed_spikes" in interop.complaints(_outcomes(signed_adapter=("ran", 0)))[0]
    assert "ValueError" in interop.complaints(_outcomes(starts_portable=("ValueError: x", 0)))[0]
    fixed = {f"{c.name.replace('-', '_')}_importer": ("ran", 0) for c in conformance_cases()}
    assert interop.complaints(_outcomes(**fixed)) == [
        "nirtorch: its importer alone is exact now; the adapter may be dropped"
    ]
    assert interop.complaints(_outcomes(**fixed | {"sum_0_importer": ("TypeError: y", 0)})) == []


def test_differences_are_counted():
    case = next(iter(conformance_cases()))
    trace = interop.reference(case.graph, case)
    result = {**trace.spikes, "curve": trace.output_curve}
    assert interop.difference(trace, result) == (sum(s.size for s in trace.spikes.values()), 0)
    flipped = trace.spikes["if1"].copy()
    flipped[0, 0, 0, 0, :3] ^= 1
    assert interop.difference(trace, {**result, "if1": flipped})[1] == 3
    assert interop.difference(trace, {**result, "curve": trace.output_curve + 1})[1] == trace.output_curve.size


def test_matrix_and_its_place_in_the_documentation():
    text = interop.matrix(_outcomes())
    assert text.startswith("| | nirtorch 2.6 |")
    assert "| skip connection | same spikes |" in text
    assert "| signed_if neurons | refused |" in text
    assert f"\n{text}\n" in replaced(interop.PAGE.read_text(), "support", text)
