"""The console's texts."""

from pathlib import Path

from kit.catalogue import Catalogue

TEXTS = Catalogue(Path(__file__).with_name("texts.yml"))
