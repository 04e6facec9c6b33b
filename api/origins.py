"""Addresses in headers that anybody may write: `Origin` and `Referer`. What is none of a page belongs to nobody."""

from __future__ import annotations

from urllib.parse import SplitResult, urlsplit

_NONE = urlsplit("")


def split(address: str) -> SplitResult:
    """The parts of an address; all of them empty where it is none, such as `http://[`."""
    try:
        return urlsplit(address)
    except ValueError:
        return _NONE


def host(address: str) -> str:
    """Host and port of an address; empty where it is none."""
    return split(address).netloc
