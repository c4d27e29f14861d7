"""One deployment as a value, and its identity: a hash of everything that decides its result."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from spikec import defaults
from spikec.defaults import TIMESTEPS_MAX
from spikec.deployment import checks
from spikec.deployment.settings import Setting, defaults_of, setting, settings_of

_ID_DIGITS = 12
_PLAIN: dict[str, Any] = {
    "group": "plain NIR instead of a trained network (MODEL is FILE.nir)",
    "grid": False,
    "column": False,
    "identity": "unless default",
}


@dataclass(frozen=True)
class Configuration:
    """Which network becomes which integer spiking network, and, in a sweep, what is measured of it.

    A field made by ``setting`` states all that an option of ``spikec export`` and a key of grid files need, so a new
    field is written only here. A new field has the identity ``unless default``, so that older results are still found.
    :func:`spikec.deployment.fill` fills in what the network, its weights and the method decide.

    ``options``: the method's fields beside T and schedule. A filled ``schedule`` is None only if the method refused its
    settings or the model is a plain NIR file. ``limit``: images measured on (None: all), ``split``: of the test set, or
    of the training images that are ``held-out`` from calibration, in random order. ``energy``: profiles to estimate.
    ``as_trained``: weights keep the units they were fine-tuned with. ``data_assumed``: nobody named the data, and the
    default stands; not kept in JSON. ``max_pool``: None keeps max pools. ``files``: SHA-256 of the files named
    (weights, a model's Python file, an archive of images, a format, a profile), so that a changed file makes another
    configuration.
    ``frames``: the data are sequences, of which the network takes one frame in each step; their length is T.
    ``reset``, ``v_init``, ``dt``, ``integration`` and ``reading`` are for plain NIR files as the model, for which
    method and weights mean nothing. A file with leaky neurons or cycles runs on sequences, whose length is T.
    """

    model: str = setting(
        help="zoo name, package.module:callable, file.py:callable, file.onnx or a plain NIR file; runs the "
        "Python code it names: trust it",
        flags=("model",),
        metavar="MODEL",
        check=checks.model,
    )
    weights: str | None = setting(None, "trained weights (default: the shipped ones)", metavar="W", path=True)
    weights_entry: str | None = setting(
        None,
        "which dictionary of a checkpoint that holds several sets of weights, such as state_dict_ema",
        metavar="NAME",
        check=checks.text,
        column=False,
        identity="unless default",
    )
    data: str = setting(
        defaults.DATA,
        f"{defaults.DATA_SETS} (default: the shipped network chooses, else {{default}})",
        metavar="D",
        check=checks.data,
        derived=True,
    )
    data_root: str | None = setting(
        None,
        "where the data set's files are",
        metavar="DIR",
        path=True,
        check=checks.folder,
        column=False,
        identity="never",  # it differs between machines and changes no result
    )
    max_pool: str | None = setting(
        None,
        "exact keeps max pools, average puts average pools in their place, for which the weights should have been "
        "fine-tuned (default: as the weights were trained, else exact)",
        choices=("exact", "average"),
        derived=True,
    )
    method: str = setting(defaults.METHOD, "conversion method (default {default})", metavar="M", check=checks.method)
    options: Mapping[str, Any] = setting(
        {}, "a field of the method; may be repeated", flags=("--option",), metavar="NAME=VALUE", table=True, grid=False
    )
    timesteps: int = setting(
        defaults.TIMESTEPS,
        "steps per image (default {default}; graded: 1)",
        flags=("-T", "--timesteps"),
        metavar="T",
        least=1,
        most=TIMESTEPS_MAX,
        derived=True,
    )
    schedule: str | None = setting(
        None, "when a layer starts (default: the method's)", choices=("pipelined", "layerwise"), derived=True
    )
    frames: bool = setting(
        False,
        "the data are sequences (npz: with x [N, steps, ...], events:): the network takes one frame in each step, as "
        "many as a sequence has, and is calibrated on mean frames (default: as the weights were trained)",
        switch=True,
        derived=True,
        grid=False,
        column=False,
        identity="unless default",
    )
    spike_budget: float | None = setting(
        None,
        "choose the most spikes per step for each layer, so that an image takes at most S spikes (messages, as "
        "spikec energy counts them)",
        metavar="S",
        number=True,
        check=checks.positive,
        identity="unless default",
    )
    per: str = setting(
        defaults.PER,
        "one weight scale per layer (default) or channel",
        choices=("layer", "channel"),
        derived=True,
        precision=True,
    )
    bits: int = setting(
        defaults.BITS,
        "weight bits, 2 to 8 (default {default}; weights of spikec train --weight-bits: as they were trained)",
        metavar="B",
        least=2,
        most=8,
        derived=True,
        precision=True,
    )
    override: Mapping[str, int] = setting(
        {},
        "other weight bits for layers whose name matches, such as 'classifier.*=6'; may be repeated",
        metavar="LAYERS=B",
        table=True,
        check=checks.override,
        derived=True,
        precision=True,
    )
    scale: str = setting(
        defaults.SCALE,
        "choice of the weight scale: largest weight, power of two, or the one that changes fewest spike counts "
        "(default {default})",
        choices=("max", "power_of_two", "spikes"),
        derived=True,
        precision=True,
    )
    rounding: str = setting(
        defaults.ROUNDING,
        "every weight to the nearest integer (default), or gptq: chosen on calibration images, for 4 bits and fewer",
        choices=("nearest", "gptq"),
        column=False,
        identity="unless default",
    )
    format: str = setting(
        defaults.FORMAT,
        "number format of the target: {default} (default), loihi1, loihi2, netx or a .toml file",
        metavar="F",
        check=checks.format,
    )
    limit: int | None = setting(None, least=1, command=False)
    split: str = setting("test", choices=("test", "held-out"), command=False, column=False, identity="unless default")
    calibration: int = setting(
        defaults.CALIBRATION_IMAGES,
        "training images used (default {default})",
        metavar="N",
        least=1,
    )
    calibrate: str | None = setting(
        None,
        "what calibration images decide, without labels: thresholds (default), light or full, and changes to it such "
        "as full,per=layer",
        metavar="C",
        check=checks.calibration,
        column=False,
        identity="unless default",
    )
    seed: int = setting(defaults.SEED, "choice of the calibration images", metavar="S", least=0)
    energy: tuple[str, ...] = setting((), command=False, check=checks.energy, many=True, column=False)
    as_trained: bool = False
    data_assumed: bool = field(default=False, compare=False)
    files: Mapping[str, str] = field(default_factory=dict)
    force: bool = setting(
        False,
        "write the file even where numbers do not fit the format; they are listed",
        switch=True,
        grid=False,
        column=False,
        identity="unless default",
    )
    reset: str | None = setting(
        None,
        "how its neurons reset: subtract the threshold (images need it; sequences: else as the file says)",
        choices=("subtract",),
        **_PLAIN,
    )
    v_init: str | None = setting(
        None,
        "images only: where its membranes start, half the threshold or 0",
        choices=("half", "zero"),
        **_PLAIN,
    )
    dt: float | None = setting(
        None, "length of a step, needed for time constants and where r is not 1", metavar="S", number=True, **_PLAIN
    )
    integration: str | None = setting(
        None,
        "sequences only: decay by forward Euler (default), as frameworks step, or exponential",
        choices=("euler", "exponential"),
        **_PLAIN,
    )
    reading: str | None = setting(
        None,
        "sequences only: what counts of an integrator at the end, its last membrane (default), their sum or maximum",
        choices=("last", "sum", "maximum"),
        **_PLAIN,
    )

    @property
    def plain(self) -> bool:
        """Whether the model is a plain NIR file instead of a trained network."""
        return self.model.endswith(".nir")

    @property
    def sequences(self) -> bool:
        """Whether the model is a plain NIR file that runs on sequences. Raises ``GraphError`` for a damaged file."""
        from spikec.conversion.from_nir.sequences import needs_sequences
        from spikec.ir.profile.reading import read_nir

        return self.plain and needs_sequences(read_nir(self.model))

    @property
    def id(self) -> str:
        """12 hexadecimal digits, the same on every machine."""
        return identity(self.to_json())

    @property
    def label(self) -> str:
        """``digits-cnn qcfs T=4 pipelined int8/layer``: for a line of progress, not unique."""
        method = " ".join([self.method, *(f"{name}={value}" for name, value in own(self.method, self.options).items())])
        schedule = f" {self.schedule}" if self.schedule else ""
        return f"{self.model} {method} T={self.timesteps}{schedule} int{self.bits}/{self.per}"

    def to_json(self) -> dict[str, Any]:
        """JSON types only; fields that were added later are left out if they have their default."""
        values = {**asdict(self), "energy": list(self.energy)}
        del values["data_assumed"]
        return {name: value for name, value in values.items() if name not in _LATER or value != DEFAULTS[name]}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Configuration:
        return cls(**{**data, "energy": tuple(data["energy"])})


#: How each field is set, by its name, in the order of the fields.
SETTINGS: dict[str, Setting] = settings_of(Configuration)
#: The value of each field if nothing else decides it.
DEFAULTS = defaults_of(Configuration)
_LATER = [name for name, about in SETTINGS.items() if about.identity == "unless default"]
_NO_IDENTITY = [name for name, about in SETTINGS.items() if about.identity == "never"]


def own(method: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """The options that are not the method's defaults, for people to read."""
    from spikec.conversion import methods

    kind = methods().get(method)
    usual = {} if kind is None else {each.name: each.default for each in fields(kind)}
    return {name: value for name, value in options.items() if name not in usual or usual[name] != value}


def identity(data: Mapping[str, Any]) -> str:
    """The id of a configuration given as JSON."""
    relevant = {key: _normal(value) for key, value in data.items() if key not in _NO_IDENTITY}
    return sha256(relevant)[:_ID_DIGITS]


def sha256(document: Any) -> str:
    """Hash of a JSON document, whatever the order of its keys."""
    import hashlib
    import json

    return hashlib.sha256(json.dumps(document, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def _normal(value: Any) -> Any:
    """1.0 and 1 are one setting."""
    if isinstance(value, dict):
        return {key: _normal(item) for key, item in value.items()}
    return int(value) if isinstance(value, float) and value.is_integer() else value
