"""The 8 bits of the input: which range they hold, when a few values far beyond the rest are cut, and what is lost."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from spikec.ir.coding import InputRange
from spikec.ir.input_statistics import InputStatistics, code, joined

#: The signal-to-noise ratio of 8 bits, beyond which none counts as better, and what a cut must gain in the mean: a bit.
_BEST, _GAIN = 20 * math.log10(256), 20 * math.log10(2)
#: A smaller range is not worth less than this many dB: values are cut for a reason only.
_WORTH = 1.0
#: Images that statistics and the ratio are measured on, values of them all for the ratio, fewest images, most values of
#: one.
_IMAGES, _VALUES, _FEWEST, _PER_IMAGE = 256, 2**20, 16, 2**14
#: The part of the images that may be cut: what more of them hold is no outlier. Of few images two, since an example is
#: often one of the calibration images too.
_OUTLIERS, _AT_LEAST = 0.1, 2
#: The images of largest peak that are tried one by one as the end of the range; further ones by this factor in rank.
_PEAKS, _RANKS = 16, 1.25
#: Share of non-zero values that become 0 beyond which a sentence is due: of all of them, of one channel.
_LOST, _CHANNEL_LOST = 0.5, 0.9
_FEW = 16  # fewer values of a channel say nothing
_BATCH, _SHOWN = 32, 3

Rule = Callable[[Tensor], InputRange]


@dataclass(frozen=True)
class ChosenRange:
    """``coding`` of the input; ``cut``: whether some values lie far beyond it; ``statistics`` of the images, those cut
    to the range; ``remarks``: what was cut or is lost, a sentence each."""

    coding: InputRange
    cut: bool
    statistics: InputStatistics
    remarks: tuple[str, ...]

    def held(self, images: Tensor) -> Tensor:
        """``images``, cut to the range where outliers were; else as they are."""
        return _held(images, self.coding) if self.cut else images


def input_range(images: Tensor) -> InputRange:
    """The 8-bit coding that holds all of the input and loses least; pixels of 8-bit images are coded exactly.

    Without negative values the input is uint8. The scale is the first of 1/255, 1/16, 1/15, 1 and 255 of which all
    values are multiples from 0 to 255. If there is none, it is 1/255 for a largest value in (0.5, 1], else the largest
    value / 255. With negative values the input is int8 and the scale is the largest magnitude / 127.
    """
    low, high = (float(end) for end in torch.aminmax(images))
    peak = max(high, -low)
    if peak == 0:
        return InputRange("uint8", 1.0 / 255)
    if low >= 0:
        for steps in (255, 16, 15, 1, 1.0 / 255):
            if 0.5 <= peak * steps <= 255.5:
                scaled = images.double() * steps
                if bool((scaled - scaled.round()).abs().max() < 1e-3):
                    return InputRange("uint8", 1.0 / steps)
        return InputRange("uint8", 1.0 / 255 if 0.5 < peak <= 1 else peak / 255)
    return InputRange("int8", peak / 127)


def choose_range(
    images: Tensor,
    *,
    rule: Rule = input_range,
    examples: int | None = None,
    channels: int = 1,
    what: str = "image",
) -> ChosenRange:
    """The coding by ``rule`` that holds all of ``images`` [N, ...]; or one that cuts a few values far beyond the rest.

    The largest value decides the step of 8 bits, so that one broken pixel may leave nothing of all others. Ranges that
    end at the peaks of other images are tried, so that at most a tenth of the images (or two) is cut. Each gives every
    image a signal-to-noise ratio, sum x^2 / sum (x - coded)^2, in dB between 0 and what 8 bits can give. The mean over
    the images decides: a smaller range must gain a bit (6 dB) over the whole one, and the largest within 1 dB of the
    best is taken. An image counts alike however large its values are: a few broken ones have little weight, and large
    values that many images hold are kept.

    Statistics are of at most 256 of the images, evenly spaced. ``examples``: how many of the first images are examples,
    for the words (default: all); ``channels``: the axis of the channels; ``what``: an image or a sequence.
    """
    images = images.detach().cpu()
    whole = rule(images)
    smaller = _robust(images, rule, whole)
    coding, examples = smaller or whole, len(images) if examples is None else examples
    remarks: list[str] = []
    if smaller is not None:
        remarks.append(_said(images, whole, coding, _largest(images, examples, what), what))
        images = _held(images, coding)
    statistics, channel_lost = _coded(images, coding, channels)
    remarks += _losses(statistics, channel_lost, coding, _largest(images, examples, what), what)
    return ChosenRange(coding, smaller is not None, statistics, tuple(remarks))


def _held(images: Tensor, coding: InputRange) -> Tensor:
    return images.clamp(coding.low * coding.scale, coding.high * coding.scale)


def _robust(images: Tensor, rule: Rule, whole: InputRange) -> InputRange | None:
    """The coding of a smaller range that is better by a bit; None where there is none."""
    sample = _sample(images)
    before = _ratio(sample, whole)
    if before > _BEST - _GAIN:
        return None
    ratios = {end: _ratio(sample, rule(_within(sample, end))) for end in _ends(images)}
    best = max(ratios.values(), default=before)
    if best < before + _GAIN:
        return None
    return rule(_within(images, max(end for end, ratio in ratios.items() if ratio >= best - _WORTH)))


def _sample(images: Tensor) -> Tensor:
    """Images [n, values] in float64, evenly spaced, as many as ratios are measured on; of large ones some pixels."""
    flat = images.flatten(1)
    size = min(flat.shape[1], _PER_IMAGE)
    spaced = _spaced(flat, max(_FEWEST, _VALUES // size))
    if size < flat.shape[1]:
        spaced = spaced[:, torch.randperm(flat.shape[1], generator=torch.Generator().manual_seed(0))[:size]]
    return spaced.double()


def _spaced(images: Tensor, most: int) -> Tensor:
    """At most ``most`` of the images, and at most as many as are measured on, evenly spaced."""
    number = min(len(images), _IMAGES, most)
    if number == len(images):
        return images
    return images[torch.linspace(0, len(images) - 1, number, dtype=torch.float64).round().long()]


def _ends(images: Tensor) -> set[float]:
    """Ends of the range that are tried: the peaks of single images."""
    low, high = torch.aminmax(images.flatten(1), dim=1)
    peaks = torch.maximum(high, -low).double().sort(descending=True).values
    most = min(max(_AT_LEAST, int(_OUTLIERS * len(peaks))), len(peaks) - 1)
    ranks = [*range(1, min(_PEAKS, most) + 1)]
    while ranks and ranks[-1] * _RANKS <= most:
        ranks.append(math.ceil(ranks[-1] * _RANKS))
    return {float(peaks[rank]) for rank in ranks if 0 < float(peaks[rank]) < float(peaks[0])}


def _within(images: Tensor, end: float) -> Tensor:
    """``images`` without the values beyond ``end``."""
    return torch.where((images > end) | (images < -end), torch.zeros((), dtype=images.dtype), images)


def _ratio(sample: Tensor, coding: InputRange) -> float:
    """Mean signal-to-noise ratio of the images [n, values] in dB; the best possible one if all are black."""
    coded = (sample / coding.scale).round().clamp(coding.low, coding.high) * coding.scale
    signal, noise = sample.square().sum(1), (sample - coded).square().sum(1)
    lit = signal > 0
    if not bool(lit.any()):
        return _BEST
    ratios = -10 * torch.log10((noise[lit] / signal[lit]).clamp(min=1e-12))
    return float(ratios.clamp(0, _BEST).mean())


def _coded(images: Tensor, coding: InputRange, channels: int) -> tuple[InputStatistics, list[tuple[int, int]]]:
    """Statistics of images, and for each channel (non-zero values, those of them that become 0)."""
    parts, lost = [], np.zeros((images.shape[channels], 2), np.int64)
    axes = tuple(axis for axis in range(images.ndim) if axis != channels)
    for batch in torch.split(_spaced(images, _IMAGES), _BATCH):
        integers, part = code(coding, batch.numpy())
        nonzero = np.count_nonzero(batch.numpy(), axis=axes)
        lost += np.stack([nonzero, nonzero - np.count_nonzero(integers, axis=axes)], axis=1)
        parts.append(part)
    return joined(parts).total, [(int(a), int(b)) for a, b in lost]


def _largest(images: Tensor, examples: int, what: str) -> str:
    """The value of largest magnitude, and where it stands, in words."""
    low, high = (int(index) for index in (images.argmin(), images.argmax()))
    flat = images.flatten()
    index = high if float(flat[high]) >= -float(flat[low]) else low
    number, *position = (int(each) for each in np.unravel_index(index, images.shape))
    name = f"example {what} {number}" if number < examples else f"calibration {what} {number - examples}"
    return f"{float(flat[index]):.4g} at {position} of {name}"


def _said(images: Tensor, whole: InputRange, coding: InputRange, place: str, what: str) -> str:
    """What was cut, and why."""
    low, high = coding.low * coding.scale, coding.high * coding.scale
    beyond = (images > high + coding.scale / 2) | (images < low - coding.scale / 2)
    hit = int(beyond.flatten(1).any(dim=1).sum())
    without = float(_ratio(_sample(images), whole))
    return (
        f"input range: {_counted(int(beyond.sum()), 'value')} in {hit:,} of {_counted(len(images), what)} cut to "
        f"the range {low:.4g} to {high:.4g}, which holds the rest (the largest: {place}); a range that held "
        f"all would leave {without / _GAIN:.1f} bits of an average {what}; if they are broken pixels, leave them out "
        f"of the calibration {what}s, and if they are not, scale the data so that they fit"
    )


def _losses(
    seen: InputStatistics, by_channel: list[tuple[int, int]], coding: InputRange, place: str, what: str
) -> Iterator[str]:
    """What one step of the coding does not show of the images, in words."""
    small = [c for c, (nonzero, zero) in enumerate(by_channel) if nonzero >= _FEW and zero > _CHANNEL_LOST * nonzero]
    if small and len(small) < len(by_channel):
        named = ", ".join(map(str, small[:_SHOWN])) + (f" and {len(small) - _SHOWN} more" if small[_SHOWN:] else "")
        yield (
            f"input range: nearly all values of channel (or feature) {named} become 0, since all share one step of "
            f"{coding.scale:.3g}, which the largest value sets ({place}); train on data whose channels have one size, "
            "such as with the mean of each subtracted and its deviation divided out"
        )
    elif seen.lost_share > _LOST:
        yield (
            f"input range: {100 * seen.lost_share:.3g} % of the values that are not zero become 0 in the {what}s of "
            f"the calibration, in steps of {coding.scale:.3g}, which the largest value sets ({place}); take the "
            "logarithm of such data, or leave broken values out"
        )


def _counted(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"
