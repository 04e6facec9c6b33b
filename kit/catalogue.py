"""Texts a person reads: a YAML file beside the code of its room, every language side by side."""

from __future__ import annotations

from pathlib import Path

import yaml

from kit.company import Language, in_language
from kit.files import read_text


class Catalogue:
    """Texts by key and language.

    Args:
        path: YAML file, `key: {en: …, ja: …}`.
    """

    def __init__(self, path: Path) -> None:
        self._texts: dict[str, dict[Language, str]] = yaml.safe_load(read_text(path))

    def say(self, key: str, lang: str, **values: object) -> str:
        """The text with its values filled in.

        Args:
            key: of the text.
            lang: `en` or `ja`; another language gets English.
            values: what the text names in braces.
        """
        return self.template(key, lang).format(**values)

    def template(self, key: str, lang: str) -> str:
        """The text as it is written, with the names of its values in braces."""
        return in_language(self._texts[key], "ja" if lang == "ja" else "en")

    def keys(self) -> dict[str, set[str]]:
        """Which languages each text has."""
        return {key: set(texts) for key, texts in self._texts.items()}
