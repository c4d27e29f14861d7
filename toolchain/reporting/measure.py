"""Makes the report from a deployment, images and labels, on disk and as a value."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from spikec.analysis.ranges import bounds
from spikec.calls import named_arguments
from spikec.defaults import CERTIFIED_IMAGES, SPREAD_IMAGES
from spikec.energy import Estimate, count
from spikec.errors import DataError, GraphError
from spikec.evidence.accuracy import parts
from spikec.evidence.certificate import Certificate, certify
from spikec.evidence.fidelity import Fidelity
from spikec.evidence.loss import loss
from spikec.evidence.measures import Metric, measures_of
from spikec.evidence.quality import output_shapes
from spikec.ir import IntegerGraph, as_integer
from spikec.reporting import collect
from spikec.reporting.confusion import naming
from spikec.reporting.diagram import diagram
from spikec.reporting.examples import examples
from spikec.reporting.fits import estimates_of, fits_of
from spikec.reporting.provenance import provenance
from spikec.reporting.rates import rates
from spikec.reporting.reproducing import in_title, network_name, reproduction
from spikec.reporting.sentences import SIMULATED
from spikec.reporting.tasks import known_classes, tasks
from spikec.reporting.value import Fit, Report
from spikec.simulation import simulate
from spikec.simulation.encode import as_sequences
from spikec.simulation.input_warning import input_loss, unsaid
from spikec.simulation.trace import Trace

if TYPE_CHECKING:
    import nir

    from spikec.evidence.crosscheck import Crosscheck
    from spikec.training.images import Images

#: Images that are run together where no trace is given.
_AT_ONCE = 256


@named_arguments
def report(
    graph: nir.NIRGraph | IntegerGraph,
    *,
    images: npt.ArrayLike | Images,
    labels: npt.ArrayLike | Mapping[str, npt.ArrayLike] | None,
    metric: Metric = None,
    trace: Trace | None = None,
    curve_timesteps: int | None = None,
    estimates: Iterable[Estimate] | None = None,
    fits: Iterable[Fit] | None = None,
    ann_logits: npt.ArrayLike | Mapping[str, npt.ArrayLike] | None = None,
    ann_accuracy: float | None = None,
    verification: Crosscheck | None = None,
    fidelity: Fidelity | None = None,
    path: str | Path | None = "report.html",
    json_path: str | Path | None = None,
    class_names: Sequence[str] | None = None,
    name: str = "",
    title: str | None = None,
    data_name: str = "",
    seed: int | None = None,
    command: str | None = None,
    date: str | None = None,
) -> Report:
    """Measure a deployment, and write the page to ``path`` and the same as data to ``json_path`` (by default beside the
    page, with the suffix ``.json``). ``path=None`` writes nothing. The files depend on the arguments and the installed
    versions only.

    ``images``: float [N, *input shape], as the ANN takes them, or sequences as ``tc.simulate`` takes them; or a data
    set (:class:`spikec.models.data.Dataset`, whose images are read batch by batch, or ``Sequences``);
    ``labels``: classes, integers [N]; masks, integers [N, H, W]; numbers to predict, floats [N, ...]; these by name
    of a network with several outputs; None: there are none, and no quality is measured. ``metric``: measures of
    quality (:func:`spikec.quality`); by default what the labels ask for. ``trace``: the execution of exactly these
    images; without one the golden model runs here. Membranes are shown if the trace was made with ``simulate(...,
    measure=True)``. ``curve_timesteps``: how far the curve of quality goes. It goes beyond T only if a longer run
    starts with the same steps: in the ``pipelined`` schedule without drain, with neurons that do not depend on T.
    ``estimates``: in the order of the page; by default one for every energy profile, with the cores of the
    placement, without chips that cannot hold the network. ``fits``: by default one for every chip. ``ann_logits``
    [N, *shape], the trained network's outputs for the same images (by name), give the paired comparison;
    ``ann_accuracy`` is only shown beside. ``fidelity``: what ``tc.fidelity`` returned, which needs the trained network.
    ``class_names``: a text for each class, in the order of their numbers, of the first output that is measured by
    classes; by default those of the data set (its attribute ``classes``: names, numbers or None).
    ``name`` of the network, by default what the file says it was exported from; with method and T it is the title,
    unless ``title`` is given. ``date`` is printed as given, else ``SOURCE_DATE_EPOCH`` decides. Raises ``DataError`` if
    images, labels and traces do not belong together.

    >>> made = tc.report(graph, images=images, labels=labels, path=None)   # path="report.html" writes the page
    >>> made.synops_per_image > 0
    True
    """
    integer = as_integer(graph)
    given = _Given(integer, images)
    if integer.sequences:
        if curve_timesteps is not None:
            raise DataError("curve_timesteps needs an image that stays the same; a sequence ends with its last frame")
        integer = integer.lasting(given.images(slice(1)).shape[1])
    number = len(given)
    shapes = output_shapes(integer)
    targets = np.zeros(number, np.int64) if labels is None else collect.targets(labels, number, shapes, metric)
    wanted = () if labels is None else measures_of(metric, shapes, targets)
    classes = targets if any(one.name == "top-1" for one in wanted) else None
    if classes is None and ann_accuracy is not None:
        raise DataError("ann_accuracy is that of a network that classifies; give ann_logits, the network's outputs")
    logits = next(iter(ann_logits.values())) if isinstance(ann_logits, Mapping) else ann_logits
    made = trace if trace is not None else _run(integer, given)
    if made.images != number:
        raise DataError(f"the trace holds {made.images} images, {number} were given; pass those it was made with")
    if fits is None or estimates is None:
        found, placements = fits_of(integer)
        fits = found if fits is None else fits
        if estimates is None:
            with unsaid():
                sample = made if made.events else simulate(integer, given.images(slice(SPREAD_IMAGES)))
            estimates = estimates_of(integer, sample, placements)
    names = _names(images, class_names, known_classes(wanted, shapes))
    counts, longer = count(integer, made), _longer(integer, given, curve_timesteps) or made
    data = _Labelled(given, targets)
    source = provenance(integer, made, given, targets, seed=seed, command=command, date=date)
    method = source.info.get("method", "")
    result = Report(
        title=title or _title(name or network_name(source.info), method, integer.timesteps),
        simulated=SIMULATED,
        data_name=data_name,
        images=number,
        network=collect.network(integer, counts),
        outputs=collect.outputs(made),
        accuracy=None if classes is None else collect.accuracy(made, classes, logits, ann_accuracy),
        curve=() if classes is None else collect.curve(longer, classes),
        populations=collect.populations(integer, made, counts, bounds(integer)),
        synapses=collect.synapses(integer, counts),
        fits=tuple(fits),
        energies=tuple(estimates),
        verification=verification,
        certificate=_certificate(integer, given.images(slice(CERTIFIED_IMAGES))),
        provenance=source,
        loss=None if classes is None else loss(integer, data, made.predictions == classes),
        quality=collect.quality(integer, wanted, made, longer, data, ann_logits, data_name),
        coding=input_loss(integer, made.coding),
        method=method,
        **tasks(integer, wanted, made, targets, names),
        examples=examples(integer, data, made, wanted[0] if wanted else None, targets, names),
        rates=rates(integer, counts),
        diagram=diagram(integer),
        fidelity=fidelity,
        at_export=None if classes is None else collect.at_export(integer),
        reproduction=reproduction(source.info, command, source.versions["spikec"], verification, data_name),
    )
    if path is not None:
        result.write(path, json_path)
    return result


def _names(images: Any, given: Any, classes: int | None) -> tuple[str, ...]:
    """Those given, else those of the data set, where it has as many as the measured output has ``classes``; none where
    no output is measured by classes."""
    if given is not None:
        found = naming(given, classes or 0)
        return () if classes is None else found
    own = getattr(images, "classes", None)
    if classes is None or own is None:
        return ()
    own = own.tolist() if isinstance(own, np.ndarray) else own
    if not isinstance(own, list | tuple | range) or not all(isinstance(name, str | int | np.integer) for name in own):
        raise DataError(
            f"the attribute classes of the data set is a list of names, one for each class, or None, not {own!r:.80}"
        )
    return naming([str(name) for name in own], classes) if len(own) >= classes else ()


def _title(name: str, method: str, timesteps: int) -> str:
    """Network and method, both as a file may say them. A word without a vowel is an abbreviation."""
    words = (word if set(word) & set("aeiou") else word.upper() for word in method.replace("_", "-").split("-"))
    return f"{in_title(name) or 'Network'}, {in_title(' '.join(words)) or 'spiking'} at T = {timesteps}"


class _Given:
    """What was given as images: arrays, sequences, or a data set that is read part by part. ``len``: their number."""

    def __init__(self, graph: IntegerGraph, images: Any) -> None:
        if graph.sequences and hasattr(images, "images"):
            images = images.images()
        self.own = images
        self._set = images if not graph.sequences and hasattr(images, "images") else None
        if self._set is None:
            self._pixels = np.asarray(as_sequences(graph.input, images)[0] if graph.sequences else images)

    def __len__(self) -> int:
        if self._set is not None:
            return len(self._set)
        return len(self._pixels) if self._pixels.ndim else 0

    def images(self, indices: npt.NDArray[np.int64] | slice = slice(None)) -> npt.NDArray[Any]:
        """The chosen ones; sequences filled up to the longest."""
        return self._pixels[indices] if self._set is None else np.asarray(self._set.images(indices))


class _Labelled:
    """The same as a labelled set; a list of sequences keeps their lengths."""

    def __init__(self, given: _Given, labels: npt.NDArray[Any]) -> None:
        self._given, self._labels = given, labels

    def __len__(self) -> int:
        return len(self._given)

    def images(self, indices: npt.NDArray[np.int64] | slice = slice(None)) -> Any:
        own = self._given.own
        if not isinstance(own, list):
            return self._given.images(indices)
        return own[indices] if isinstance(indices, slice) else [own[i] for i in indices]

    def targets(self, indices: npt.NDArray[np.int64] | slice = slice(None)) -> Any:
        return self._labels[indices]


def _run(graph: IntegerGraph, given: _Given) -> Trace:
    """A run with all that the page shows; no counts per image beyond ``SPREAD_IMAGES``: they would fill the memory."""
    images = given.own if graph.sequences else (given.images(part) for part in parts(len(given), _AT_ONCE))
    return simulate(graph, images, counts=True if len(given) <= SPREAD_IMAGES else "totals", measure=True)


def _certificate(graph: IntegerGraph, images: npt.NDArray[Any]) -> Certificate | None:
    """The lossless certificate; None if the quantised network cannot be written down."""
    try:
        with unsaid():  # the report speaks of all images
            return certify(graph, images)
    except GraphError:
        return None


def _longer(graph: IntegerGraph, given: _Given, timesteps: int | None) -> Trace | None:
    """A run of the same network with more steps; None if more are not asked for or its results depend on T."""
    if timesteps is None or timesteps <= graph.timesteps or graph.schedule != "pipelined" or graph.drain:
        return None
    if not all(population.neuron.extends for population in graph.populations):
        return None
    with unsaid():
        return simulate(replace(graph, timesteps=timesteps, content_sha256=""), given.images(), counts=False)
