"""What callers give in their words, as the code has it: names, and the lead that ends a run."""

from __future__ import annotations

import re

from spikec.analysis.early_exit import confidence_of
from spikec.errors import DataError, ToolchainError
from spikec.ir import IntegerGraph
from spikec.words import option

#: Words that cannot name anything in C99 or in C++, where the header may be included, and ``main``.
_WORDS = """
    alignas alignof and and_eq asm auto bitand bitor bool break case catch char char8_t char16_t char32_t class co_await
    co_return co_yield compl concept const const_cast consteval constexpr constinit continue decltype default delete do
    double dynamic_cast else enum explicit export extern false float for friend goto if inline int long main mutable
    namespace new noexcept not not_eq nullptr operator or or_eq private protected public register reinterpret_cast
    requires restrict return short signed sizeof static static_assert static_cast struct switch template this
    thread_local throw true try typedef typeid typename union unsigned using virtual void volatile wchar_t while xor
    xor_eq
"""
#: Names of the headers of C, which NAME.h would hide.
_HEADERS = (
    "assert complex ctype errno fenv float inttypes iso646 limits locale math setjmp signal stdalign stdarg stdatomic "
    "stdbit stdbool stdckdint stddef stdint stdio stdlib stdnoreturn string tgmath threads time uchar wchar wctype"
)
_TAKEN = frozenset((*_WORDS.split(), *_HEADERS.split()))
_LONGEST = 40  # C99 promises 31 characters of names that several files share; prefixes count among them


def name_of(stem: str) -> str:
    """A name for C made of a file's: ``my-net.v2`` becomes ``my_net_v2``."""
    name = re.sub(r"[^0-9A-Za-z]+", "_", stem).strip("_")[:_LONGEST].rstrip("_")
    if not name or name[0].isdigit():
        name = f"net_{name}".rstrip("_")
    return f"{name}_net" if name in _TAKEN else name


def checked_name(name: str) -> str:
    """``name``, where C can have it. Raises ``ToolchainError`` that offers one where it cannot."""
    if name != name_of(name):
        raise ToolchainError(f"{name!r} is no name that every C and C++ compiler takes; {name_of(name)!r} is one")
    return name


def lead_of(graph: IntegerGraph, early_exit: str | float | None) -> float | None:
    """``Choices.early_exit`` of what callers give: "margin" or a lead in logits. Raises ``DataError`` for anything
    else, and for sequences."""
    if early_exit is None:
        return None
    if graph.sequences:
        raise DataError(f"{option('early_exit')} needs an image that stays the same; leave it out for sequences")
    return confidence_of(early_exit) or 0.0
