"""Names of tensors in checkpoints: what wrappers put before and between them, and what is no part of a network."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import TypeVar

#: Segments that torch.compile, DataParallel, DDP, FSDP, DeepSpeed and checkpointing add, anywhere in a name.
_WRAPPERS = ("_orig_mod", "module", "_fsdp_wrapped_module", "_checkpoint_wrapped_module", "_forward_module")
_LOSS = re.compile(r"(^|[._])(criterion|criteria|loss|losses|metric|metrics)", re.IGNORECASE)
_COUNTERS = ("num_batches_tracked", "n_averaged", "num_updates", "total_ops", "total_params")
_AUXILIARY = re.compile(r"^aux", re.IGNORECASE)
_OBSERVED = re.compile(r"(fake_quant|activation_post_process)\b.*\.(scale|zero_point|min_val|max_val)$")
_Value = TypeVar("_Value")

#: Parts of names that say how a file was made, and what its owner can do.
_HINTS = (
    (
        re.compile(r"fake_quant|activation_post_process"),
        "the file is of a network in quantisation-aware training: build MODEL as in that training, with prepare_qat",
    ),
    (
        re.compile(r"_packed_params|(^|\.)zero_point$"),
        "the file is of a quantised network: build MODEL with the same quantised modules",
    ),
    (
        re.compile(r"(weight_[gvu]|parametrizations\..*original\d?)$"),
        "the file is of a reparametrised network: before saving, call torch.nn.utils.remove_weight_norm, "
        "remove_spectral_norm or parametrize.remove_parametrizations",
    ),
    (re.compile(r"lora_"), "the file has LoRA adapters: merge them into the weights before saving"),
)


def bare(named: Mapping[str, _Value]) -> dict[str, _Value]:
    """Without the segments of wrappers; unchanged where two names would become one."""
    short = {".".join(part for part in name.split(".") if part not in _WRAPPERS): v for name, v in named.items()}
    return short if len(short) == len(named) and "" not in short else dict(named)


def prefixes(own: Iterable[str], found: Iterable[str]) -> list[str]:
    """What may stand before the names of ``own`` among the ``found`` ones, with the most matches first."""
    known, matches = set(own), Counter[str]()
    for name in found:
        place = 0
        while True:
            if name[place:] in known:
                matches[name[:place]] += 1
            dot = name.find(".", place)
            if dot < 0:
                break
            place = dot + 1
    return [prefix for prefix, _ in sorted(matches.items(), key=lambda each: (-each[1], len(each[0])))]


def common_lead(names: Iterable[str]) -> list[str]:
    """The segments that all names begin with, the last segment of each apart."""
    split = [name.split(".")[:-1] for name in names]
    if not split:
        return []
    lead = []
    for parts in zip(*split, strict=False):
        if len(set(parts)) > 1:
            break
        lead.append(parts[0])
    return lead


def no_part(name: str) -> bool:
    """Whether a tensor belongs to a loss, a metric, an auxiliary head of training or a count, and to no network."""
    return bool(_LOSS.search(name) or _AUXILIARY.search(name)) or is_counter(name)


def is_counter(name: str) -> bool:
    """Counters of batch norm are absent from weights saved before PyTorch 0.4.1; none of these means anything in eval
    mode."""
    return name.rpartition(".")[2] in _COUNTERS


def observed(name: str) -> bool:
    """Whether an observer of quantisation keeps it, which takes the shape that it finds."""
    return bool(_OBSERVED.search(name))


def hints(names: Iterable[str]) -> list[str]:
    listed = list(names)
    return [sentence for pattern, sentence in _HINTS if any(pattern.search(name) for name in listed)]


def some(names: Iterable[str], most: int = 20) -> str:
    listed = list(names)
    return ", ".join(listed[:most]) + (f" and {len(listed) - most} more" if len(listed) > most else "")
