"""The part of JSON Schema that the schemas in ``docs`` use."""

from __future__ import annotations

import re

_TYPES = {
    "object": dict,
    "array": list,
    "string": str,
    "integer": int,
    "number": int | float,
    "boolean": bool,
    "null": type(None),
}
_SAYS_NOTHING = {"$schema", "$id", "$defs", "title", "description", "contentMediaType", "x-dtype", "if", "then"}


def errors(schema, value, path="$", root=None):
    """Violations of ``schema`` by ``value``; an unknown keyword is an error of the schema. ``root``: what holds the
    definitions, by default ``schema``."""
    root = schema if root is None else root
    for keyword, wanted in schema.items():
        if keyword not in _SAYS_NOTHING and keyword not in _KEYWORDS:
            yield f"{path}: keyword {keyword} is not implemented"
        elif keyword in _KEYWORDS:
            yield from _KEYWORDS[keyword](schema, wanted, value, path, root)
    if "if" in schema and not list(errors(schema["if"], value, path, root)):
        yield from errors(schema["then"], value, path, root)


def _when(fails, message, kind=object):
    """A keyword that holds or fails as a whole; it says nothing of values that are not of ``kind``."""

    def check(schema, wanted, value, path, root):
        return [f"{path}: {message} {wanted!r}"] if isinstance(value, kind) and fails(wanted, value) else []

    return check


def _is_not(name, value):
    return not isinstance(value, _TYPES[name]) or (isinstance(value, bool) and name != "boolean")


def _properties(schema, wanted, value, path, root):
    for key, part in wanted.items():
        if isinstance(value, dict) and key in value:
            yield from errors(part, value[key], f"{path}.{key}", root)


def _additional(schema, wanted, value, path, root):
    for key in set(value if isinstance(value, dict) else ()) - set(schema.get("properties", {})):
        if wanted is False:
            yield f"{path}: {key} is not known"
        else:
            yield from errors(wanted, value[key], f"{path}.{key}", root)


def _reference(schema, wanted, value, path, root):
    return errors(root["$defs"][wanted.removeprefix("#/$defs/")], value, path, root)


def _matching(fails, message):
    """A keyword that counts the parts of it that ``value`` matches."""

    def check(schema, options, value, path, root):
        matching = sum(not list(errors(option, value, path, root)) for option in options)
        return [f"{path}: {message}"] if fails(matching) else []

    return check


def _all_of(schema, parts, value, path, root):
    return [error for part in parts for error in errors(part, value, path, root)]


def _items(schema, part, value, path, root):
    each = value if isinstance(value, list) else []
    return [error for item in each for error in errors(part, item, f"{path}[]", root)]


def _names(schema, part, value, path, root):
    return [error for key in value for error in errors(part, key, f"{path}.{key}", root)]


_KEYWORDS = {
    "type": _when(_is_not, "not of type"),
    "const": _when(lambda c, v: v != c, "not"),
    "enum": _when(lambda options, v: v not in options, "none of"),
    "pattern": _when(lambda p, v: not re.search(p, v), "does not match", str),
    "minimum": _when(lambda low, v: v < low, "below", int | float),
    "maximum": _when(lambda high, v: v > high, "above", int | float),
    "exclusiveMinimum": _when(lambda low, v: v <= low, "not above", int | float),
    "minItems": _when(lambda n, v: len(v) < n, "fewer items than", list),
    "maxItems": _when(lambda n, v: len(v) > n, "more items than", list),
    "required": _when(lambda keys, v: not set(keys) <= set(v), "lacks one of", dict),
    "oneOf": _matching(lambda n: n != 1, "not exactly one of the forms"),
    "anyOf": _matching(lambda n: n == 0, "none of the forms"),
    "allOf": _all_of,
    "items": _items,
    "propertyNames": _names,
    "properties": _properties,
    "additionalProperties": _additional,
    "$ref": _reference,
}
