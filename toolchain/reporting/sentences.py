"""The sentences of the report, the same on the page and on the terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from spikec.reporting.numbers import engineering, grouped, interval, percent, proportion, quantiles
from spikec.words import plural

if TYPE_CHECKING:
    from spikec.energy import Estimate
    from spikec.evidence.certificate import Certificate
    from spikec.evidence.crosscheck import Crosscheck
    from spikec.evidence.quality import Rating
    from spikec.reporting.value import Accuracy, Fit, Report

SIMULATED = "Integer model simulated on CPU; never run on a chip."


def accuracy(known: Accuracy) -> str:
    """``"99.1 % of 449 images (95 % interval 97.7 to 99.7 %)"``."""
    snn = known.snn
    return f"{proportion(snn)} of {grouped(snn.total)} images (95 % interval {interval(snn)})"


def outputs(report: Report) -> str:
    """``"boxes (4), masks (2, 8, 8)"``."""
    return ", ".join(f"{row.name} ({', '.join(map(str, row.shape))})" for row in report.outputs)


def ann(report: Report) -> str | None:
    known = report.accuracy
    if known is not None and known.ann is not None:
        return f"{proportion(known.ann)} ({interval(known.ann)})"
    if known is not None and known.ann_stated is not None:
        return percent(known.ann_stated, 2) + " (as stated)"
    cost, exported = report.loss, report.at_export
    if cost is not None:
        return f"{percent(cost.network / cost.images, 2)} of {grouped(cost.images)} images"
    if known is None or exported is None:
        return None
    return f"{proportion(exported.accuracy)} of {grouped(exported.accuracy.total)} images of {exported.data} at export"


def ann_alone(report: Report) -> tuple[str, str] | None:
    """The trained network's accuracy, and on what it was measured."""
    known, cost, exported = report.accuracy, report.loss, report.at_export
    if known is not None and known.ann is not None:
        return proportion(known.ann), f"{interval(known.ann)} (95 %), the same images"
    if known is not None and known.ann_stated is not None:
        return percent(known.ann_stated, 2), "as stated; its sample is unknown"
    if cost is not None:
        return percent(cost.network / cost.images, 2), f"{grouped(cost.images)} of these images, measured at export"
    if exported is None:
        return None
    return proportion(exported.accuracy), f"{grouped(exported.accuracy.total)} images of {exported.data}, at export"


def loss(report: Report) -> list[str]:
    """Network, spikes, and where the difference comes from."""
    return [] if report.loss is None else [f"{line[0].upper()}{line[1:]}." for line in report.loss.sentences]


def quality(rating: Rating) -> list[str]:
    """A measure with its interval, the trained network beside it, and where the difference comes from."""
    lines = [f"{rating.title} {rating.quality.text}", *([] if rating.network is None else rating.network.sentences)]
    return [f"{line[0].upper()}{line[1:]}." for line in lines]


def coding(report: Report) -> list[str]:
    """What the input coding lost, and what is wrong with the images."""
    found = report.coding
    if found is None:
        return []
    return [f"{each[0].upper()}{each[1:]}." for each in (str(found), found.warning) if each]


def paired(known: Accuracy) -> str | None:
    """How the two networks differ on the same images."""
    if known.agreement is None:
        return None
    total = grouped(known.agreement.total)
    if known.agreement.count == known.agreement.total:
        return f"The integer network and the ANN give the same class on all {total} images."
    return (
        f"The integer network and the ANN give the same class on {grouped(known.agreement.count)} of {total} images; "
        f"{known.only_ann} only the ANN gets right, {known.only_snn} only the integer network."
    )


def verification(result: Crosscheck | None) -> str:
    if result is None:
        return "not run"
    verdict = "identical" if result.difference is None else f"first difference: {result.difference}"
    return (
        f"golden = {result.target}: {grouped(result.images)} images, {result.layers} layers, "
        f"{result.timesteps} steps: {verdict}"
    )


def certificate(result: Certificate | None) -> str:
    """Is the spiking network the quantised one?"""
    return "not compared with the quantised network" if result is None else str(result)


def finding(result: Certificate) -> str:
    """The same as a finding: that spikes differ from levels is what rate coding does, and no fault."""
    if result.lossless and result.proof:
        return f"Lossless, proven for every image: {result.proof}."
    if result.lossless:
        return f"Lossless on these {grouped(result.images)} images; for others it is not proven."
    counts, differing = sum(x.neurons for x in result.layers), sum(x.differing for x in result.layers)
    return (
        f"{percent(1 - differing / max(counts, 1))} of the spike counts are those of the quantised network; "
        f"{grouped(result.outputs)} of {plural(result.images, 'image')} end with other outputs, which does not mean "
        "another answer."
    )


def fit(result: Fit) -> str:
    """``"46 cores on 1 chip, lower bound 43; 0 errors, 2 warnings"``."""
    errors = sum(violation.severity == "error" for violation in result.violations)
    verdict = f"{plural(errors, 'error')}, {plural(len(result.violations) - errors, 'warning')}"
    if result.cores is None or result.chips is None:
        return f"cannot be placed; {verdict}"
    cores, chips = plural(result.cores, "core"), plural(result.chips, "chip")
    return f"{cores} on {chips}, lower bound {result.lower_bound}; {verdict}"


def total(energy: Estimate) -> str:
    """The median in joule, ``"at least "`` before it where something is not priced."""
    return f"{at_least(energy)}{engineering(energy.total.p50, 'J')}"


def at_least(energy: Estimate) -> str:
    return "at least " if energy.lower_bound else ""


def verdict(report: Report) -> str:
    """The report in one sentence."""
    parts, at = [], f"At T = {report.network.timesteps} the integer network"
    if report.accuracy is not None:
        known = ann(report)
        parts += [f"{at} classifies {accuracy(report.accuracy)} correctly", *([f"the ANN {known}"] if known else [])]
    for rating in report.other_quality:
        other = rating.network
        own = "" if other is None else f", the trained network {other.measure.written(other.network)}"
        said = f"{rating.title} {rating.quality.text}{own}"
        article = "" if ": " in rating.title else "a "  # that of one output begins with its name
        parts.append(said if parts else f"{at} reaches {article}{said}")
    if not parts and report.network.classes is None:
        parts.append(f"{at} puts out {outputs(report)}")
    elif not parts:
        parts.append(f"{at} ran without labels, so no quality is known")
    if report.energies:
        first = report.energies[0]
        spent = f"{at_least(first)}{quantiles(first.total, 'J')} per inference"
        parts.append(f"{first.title} would spend {spent}, {first.evidence}")
    result = report.verification
    if result is not None:
        parts.append(
            f"{result.target.capitalize()} computes {'the same integers' if result.identical else 'DIFFERENT integers'}"
        )
    return "; ".join(parts) + "."
