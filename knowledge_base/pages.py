"""Pages of a website that were downloaded: a folder of HTML files, and what a sitemap among them says of their addresses."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from urllib.parse import unquote, urlsplit

from lxml import etree

from kit.errors import UserError
from kit.files import read_text

ENDINGS = (".html", ".htm", ".xhtml")
_ENCODING = re.compile(rb"<meta\b[^>]*?charset\s*=\s*[\"']?\s*([\w.:-]+)", re.IGNORECASE)
_DECLARATION = re.compile(r"^\s*<\?xml[^>]*\?>")
_HEAD = 2_048
"""Bytes in which a page says its encoding."""


@dataclass(frozen=True, slots=True)
class Page:
    """A file that was downloaded.

    Attributes:
        inside: its path within the folder.
        address: by the sitemap; empty where there is none.
        updated: by the sitemap.
    """

    file: Path
    inside: Path
    address: str = ""
    updated: date | None = None


def find(path: Path) -> tuple[list[Page], tuple[str, ...]]:
    """The pages of a folder. Where sitemaps lie in it, those they list: what else was downloaded is no content, such as lists of
    tags and pages of errors.

    Args:
        path: the folder, one page, or a sitemap that lies among its pages.
    Returns:
        the pages, and lines for the writer about what is missing.
    Raises:
        UserError: a sitemap is not XML, or lists nothing that is there.
    """
    if path.is_file() and path.suffix.lower() in ENDINGS:
        return [Page(path, Path(path.name))], ()
    folder = path.parent if path.is_file() else path
    files = {file.relative_to(folder).as_posix(): file for file in sorted(folder.rglob("*")) if file.is_file()}
    sitemaps = [path] if path.is_file() else [file for file in files.values() if is_sitemap(file)]
    listed: dict[str, date | None] = {}
    for sitemap in sitemaps:
        listed |= _listed(sitemap)
    if not sitemaps:
        return [Page(file, Path(name)) for name, file in files.items() if file.suffix.lower() in ENDINGS], ()
    return _of(listed, files, sitemaps[0])


def is_sitemap(file: Path) -> bool:
    """Whether a file lists the pages of a website (sitemaps.org)."""
    if file.suffix.lower() != ".xml":
        return False
    with file.open("rb") as start:
        return b"<urlset" in start.read(_HEAD)


def read(file: Path) -> str:
    """The text of a page, in the encoding it names; UTF-8 where it names none.

    Raises:
        UserError: it is not in that encoding.
    """
    data = file.read_bytes()
    named = _ENCODING.search(data[:_HEAD])
    try:
        text = data.decode(named[1].decode() if named else "utf-8", errors="strict")
    except LookupError:
        text = read_text(file)
    except UnicodeDecodeError as error:
        raise UserError(f"{file} is not {error.encoding} (byte {error.start})", "save it as UTF-8") from None
    return _DECLARATION.sub("", text.removeprefix("\ufeff"))


def _listed(sitemap: Path) -> dict[str, date | None]:
    """Addresses, and when each was changed."""
    try:
        root = etree.fromstring(sitemap.read_bytes(), etree.XMLParser(resolve_entities=False, no_network=True))
    except etree.XMLSyntaxError as error:
        raise UserError(f"{sitemap}: not XML ({error.msg})", "download it anew") from None
    made: dict[str, date | None] = {}
    for entry in root.iterfind("{*}url"):
        address = (entry.findtext("{*}loc") or "").strip()
        if address:
            made[address] = _date((entry.findtext("{*}lastmod") or "").strip()[:10])
    return made


def _of(
    listed: Mapping[str, date | None], files: Mapping[str, Path], sitemap: Path
) -> tuple[list[Page], tuple[str, ...]]:
    pages, missing = [], []
    for address, updated in listed.items():
        name = next((name for name in _names(address) if name in files), None)
        if name is None:
            missing.append(address)
        else:
            pages.append(Page(files[name], Path(name), address, updated))
    if not pages:
        raise UserError(f"{sitemap} lists no page that lies beside it", "put the downloaded pages into its folder")
    if missing:
        return pages, (f"{sitemap}: {len(missing)} of {len(listed)} pages are not there, such as {missing[0]}",)
    return pages, ()


def _names(address: str) -> Iterator[str]:
    """Where downloaders put a page: with or without a folder of its host, and an ending it has not."""
    split = urlsplit(address)
    place = unquote(split.path).strip("/")
    for top in ("", f"{split.netloc}/"):
        if place:
            yield from (f"{top}{place}{ending}" for ending in ("", ".html", ".htm"))
        yield f"{top}{place}/index.html" if place else f"{top}index.html"


def _date(text: str) -> date | None:
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None
