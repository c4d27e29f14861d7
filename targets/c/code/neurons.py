"""The rules to fire by, one for each kind of neuron, as functions of C."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from spikec.errors import DoesNotFit
from spikec.implementations import Implementations
from spikec.ir.graph import Population
from spikec.ir.kinds import IF, BitSerialIF, CalibratedIF, CubaLIF, GradedIF, Kind, Maximum, SignedIF
from spikec.ir.leak import UNIT, Leak
from spikec.targets.c.code.context import Sink
from spikec.targets.c.code.layer import Charged, Layer, number
from spikec.targets.c.code.leaking import Leaking
from spikec.targets.c.code.numbers import holding, widest
from spikec.targets.c.code.tables import Table
from spikec.targets.c.code.text import Text


@dataclass(frozen=True)
class Firing:
    """What a run calls for a population: ``sink`` for what spikes add; ``fire``, a function of the state, what is on
    and where emissions go; ``rehearse`` and ``shift``: functions of a first pass over the input, where there is one."""

    sink: Sink | None
    fire: str
    rehearse: str = ""
    shift: str = ""


Fire = Callable[[Layer, str], Firing]
#: Pipelined: from a layer and the type of its emissions.
FIRE: Implementations[Fire] = Implementations("rule to fire by in C", "spikec.targets.c.code.neurons.FIRE", Kind)
FIRE.refuse(lambda kind: DoesNotFit(f"{kind} neurons do not run pipelined"), BitSerialIF, GradedIF)
FIRE.refuse(
    lambda kind: DoesNotFit(f"{kind} neurons send what a max pool gains: they have no rule to fire by"), Maximum
)

#: Layerwise: the line ``k = ...`` from ``m``, the membrane after everything arrived; from the largest number.
Emit = Callable[[Layer, Text, str, Table, int], None]
EMIT: Implementations[Emit] = Implementations(
    "rule to emit by once all input is there in C", "spikec.targets.c.code.neurons.EMIT", Kind
)
EMIT.refuse(lambda kind: DoesNotFit(f"{kind} neurons do not run layerwise"), CalibratedIF, CubaLIF)
EMIT.refuse(
    lambda kind: DoesNotFit(f"{kind} neurons send what a max pool gains: they have no rule to fire by"), Maximum
)

#: Up to so many levels, they are counted bit by bit, which processors do for many neurons at once.
_COUNTED = 255


def head(layer: Layer, function: str, e_type: str) -> str:
    """The first line of a function that fires."""
    on = ", const int32_t on" if layer.code.graph.drain else ""
    return f"static void {function}({layer.code.prefix}_state *const s, {e_type} *restrict const e{on})"


def levels(text: Text, result: str, m: str, theta: Table, most: int, ctype: str) -> None:
    """Lines for ``result = clip(floor(m / theta), 0, most)``."""
    if most == 1:
        text.line(f"const {ctype} {result} = {m} >= {theta.at};")
        return
    if most > _COUNTED or theta.high * 2 ** most.bit_length() >= 2 ** (63 if ctype == "int64_t" else 31):
        text.line(f"{ctype} {result} = {m} < {theta.at} ? 0 : ({ctype})({m} / {theta.at});")
        text.line(f"if ({result} > {number(most)}) {result} = {number(most)};")
        return
    wide = ctype if ctype == "int64_t" else "int32_t"
    text.line(f"{wide} rest = {m}, {result} = 0;")
    for bit in reversed(range(most.bit_length())):
        part = f"({wide}){theta.at} * {2**bit}" if bit else f"({wide}){theta.at}"
        text.line(f"{result} += rest >= {part} ? {2**bit} : 0; rest -= rest >= {part} ? {part} : 0;")
    if most + 1 != 2 ** most.bit_length():
        text.line(f"if ({result} > {most}) {result} = {most};")


def _settled(layer: Layer, theta: Table) -> tuple[int, int]:
    """Range of the membrane between steps: a spike takes no more than is there, one of -1 gives back no more than one
    threshold."""
    low, high = layer.membrane
    return min(low, 0), max(high, theta.high)


def _theta(layer: Layer, factor: int = 1) -> Table:
    assert isinstance(layer.node, Population)
    return layer.table("theta", layer.node.theta * factor, "thresholds")


@FIRE.register(IF)
def _plain(layer: Layer, e_type: str) -> Firing:
    assert isinstance(layer.node, Population)
    theta, most = _theta(layer), layer.node.neuron.emission[1]
    charged = Charged(layer, settled=_settled(layer, theta))
    return Firing(charged.sink if layer.has_driven else None, _write_plain(layer, charged, theta, most, e_type))


def _write_plain(layer: Layer, charged: Charged, theta: Table, most: int, e_type: str) -> str:
    text, function = layer.code.functions, layer.code.name("fire", layer.id)
    text.comment(
        f"{layer.node.name}, if: m = v + z; "
        f"s = {'[m >= theta]' if most == 1 else f'clip(floor(m / theta), 0, {most})'}; v = m - s theta"
    )
    with text.function(head(layer, function, e_type)):
        charged.pointers(text)
        with layer.each(text, theta, *charged.tables):
            charged.charge(text)
            m_type = charged.m_type
            if most == 1:
                text.line(f"const int32_t fired = m >= {theta.at};")
                text.line(f"v[n] = ({charged.v_type})(fired ? m - {theta.at} : m);")
                text.line(f"e[n] = ({e_type})fired;")
            else:
                levels(text, "k", "m", theta, most, "int64_t" if m_type == "int64_t" else "int32_t")
                text.line(f"v[n] = ({charged.v_type})(m - k * {theta.at});")
                text.line(f"e[n] = ({e_type})k;")
    return function


@FIRE.register(SignedIF)
def _signed(layer: Layer, e_type: str) -> Firing:
    node, timesteps = layer.node, layer.code.graph.timesteps
    assert isinstance(node, Population)
    assert isinstance(node.neuron, SignedIF)
    theta, most = _theta(layer), node.neuron.emission[1]
    negative = layer.table("negative", node.neuron.negative_thresholds(node.shape), "negative thresholds")
    charged = Charged(layer, settled=_settled(layer, theta))
    reached = theta.high * max(most * timesteps, 1) + max(-charged.reach[0], charged.reach[1])
    wide = widest(holding(-reached, reached), "int32_t")  # of what is computed from a membrane and thresholds
    count_type = holding(0, most * timesteps)
    count = layer.keep("sent", count_type, "net spikes so far")
    text, function = layer.code.functions, layer.code.name("fire", layer.id)
    if most == 1:
        rule = f"s = +1 if m >= theta and c < {timesteps}, -1 if m <= -theta_neg and c > 0, else 0"
    else:
        rule = (
            f"s = min(floor(m / theta), {most}, {most * timesteps} - c) if m >= theta, "
            f"-min(ceil(-m / theta), {most}, c) if m <= -theta_neg and c > 0, else 0"
        )
    text.comment(f"{node.name}, signed_if: m = v + z; {rule}; v = m - s theta; c += s")
    with text.function(head(layer, function, e_type)):
        charged.pointers(text)
        text.line(f"{count_type} *restrict const sent = {count};")
        with layer.each(text, theta, negative, *charged.tables):
            charged.charge(text, m_type=wide)
            if most == 1:
                text.line(f"const int32_t up = (m >= {theta.at}) & (sent[n] < {number(timesteps)});")
                text.line(f"const int32_t down = (m <= -({wide}){negative.at}) & (sent[n] > 0);")
                text.line("const int32_t k = up - down;")
            else:
                text.line(f"const {wide} theta = {theta.at}, left = {number(most * timesteps)} - ({wide})sent[n];")
                text.line(f"{wide} k = 0;")
                with text.block("if (m >= theta)"):
                    text.line("k = m / theta;")
                    text.line(f"if (k > {most}) k = {most};")
                    text.line("if (k > left) k = left;")
                with text.block(f"else if (m <= -({wide}){negative.at})"):
                    text.line("k = (theta - 1 - m) / theta;")
                    text.line(f"if (k > {most}) k = {most};")
                    text.line("if (k > sent[n]) k = sent[n];")
                    text.line("k = -k;")
            text.line(f"v[n] = ({charged.v_type})(m - k * ({wide}){theta.at});")
            text.line(f"sent[n] = ({count_type})(sent[n] + k);")
            text.line(f"e[n] = ({e_type})k;")
    return Firing(charged.sink if layer.has_driven else None, function)


@FIRE.register(CubaLIF)
def _leaky(layer: Layer, e_type: str) -> Firing:
    node = layer.node
    assert isinstance(node, Population)
    assert isinstance(node.neuron, CubaLIF)
    theta = _theta(layer, UNIT)
    leaking = Leaking(layer, Leak.of(node.neuron, node.shape))
    text, function = layer.code.functions, layer.code.name("fire", layer.id)
    after = "v - 64 theta" if node.neuron.subtract else "0"
    text.comment(
        f"{node.name}, cuba_lif: {leaking.equation}; s = [v > 64 theta]; v = {after} where s. "
        "Here theta has the factor 64."
    )
    with text.function(head(layer, function, e_type)):
        leaking.pointers(text)
        with layer.each(text, theta, *leaking.tables):
            leaking.charge(text)
            text.line(f"const int32_t fired = m > {theta.at};")
            left = f"m - (int32_t){theta.at}" if node.neuron.subtract else "0"
            text.line(f"v[n] = fired ? {left} : m;")
            text.line(f"e[n] = ({e_type})fired;")
    return Firing(leaking.sink, function)


@FIRE.register(CalibratedIF)
def _calibrated(layer: Layer, e_type: str) -> Firing:
    node = layer.node
    assert isinstance(node, Population)
    theta, rho = _theta(layer), node.neuron.rehearsal
    low, high = _settled(layer, theta)
    reach = max(theta.high, high, theta.high - low)  # how far a start may be shifted
    settled = min(low, layer.v_init.low - reach), max(high, layer.v_init.high + reach)
    charged = Charged(layer, settled=settled)
    fire = _write_plain(layer, charged, theta, 1, e_type)
    n_type, m_type = holding(0, rho), charged.m_type
    fired, least, most = (
        layer.keep("fired", n_type, "spikes of the first pass"),
        layer.keep("least", m_type, "smallest membrane that fired"),
        layer.keep("most", m_type, "largest membrane that did not"),
    )
    text, code = layer.code.functions, layer.code
    rehearse, shift = code.name("rehearse", layer.id), code.name("shift", layer.id)
    text.comment(
        f"{node.name}, calibrated_if, first pass: a step of if, remembering a = least m that fired, b = most m"
    )
    with text.function(f"static void {rehearse}({code.prefix}_state *const s, const int32_t step)"):
        charged.pointers(text)
        text.line(f"{n_type} *restrict const fired = {fired};")
        text.line(f"{m_type} *restrict const least = {least};")
        text.line(f"{m_type} *restrict const most = {most};")
        with layer.each(text, theta, *charged.tables):
            charged.charge(text)
            with text.block(f"if (m >= {theta.at})"):
                text.line("if (fired[n] == 0 || m < least[n]) least[n] = m;")
                text.line(f"fired[n] = ({n_type})(fired[n] + 1);")
                text.line(f"v[n] = ({charged.v_type})(m - {theta.at});")
            with text.block("else"):
                text.line("if (fired[n] == step || m > most[n]) most[n] = m;")
                text.line(f"v[n] = ({charged.v_type})m;")
    text.comment(
        f"{node.name}, calibrated_if, between the passes: v = v_init - max(theta, a - theta + 1) where v < 0 and "
        f"n > 0, v_init + max(theta, theta - b) where v >= theta and n < {rho}, else v_init"
    )
    wide = "int64_t" if m_type == "int64_t" or max(-settled[0], settled[1]) + reach >= 2**31 else "int32_t"
    with text.function(f"static void {shift}({code.prefix}_state *const s)"):
        text.line(f"{charged.v_type} *restrict const v = {charged.v};")
        text.line(f"const {n_type} *restrict const fired = {fired};")
        text.line(f"const {m_type} *restrict const least = {least};")
        text.line(f"const {m_type} *restrict const most = {most};")
        with layer.each(text, theta, layer.v_init):
            text.line(f"const {wide} theta = {theta.at};")
            text.line(f"{wide} start = {layer.v_init.at};")
            with text.block("if (v[n] < 0 && fired[n] > 0)"):
                text.line(f"const {wide} surplus = ({wide})least[n] - theta + 1;")
                text.line("start -= surplus > theta ? surplus : theta;")
            with text.block(f"else if (v[n] >= theta && fired[n] < {number(rho)})"):
                text.line(f"const {wide} lack = theta - ({wide})most[n];")
                text.line("start += lack > theta ? lack : theta;")
            text.line(f"v[n] = ({charged.v_type})start;")
    return Firing(charged.sink if layer.has_driven else None, fire, rehearse, shift)


@EMIT.register(IF, SignedIF, BitSerialIF, GradedIF)
def _number(layer: Layer, text: Text, m_type: str, theta: Table, most: int) -> None:
    levels(text, "k", "m", theta, most, "int64_t" if m_type == "int64_t" else "int32_t")
