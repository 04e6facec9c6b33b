"""Imports every room's tables, so that `Base.metadata` is complete."""

import importlib

for _room in ("accounts", "conversations", "escalations", "api"):
    try:
        importlib.import_module(f"{_room}.models")
    except ModuleNotFoundError as error:
        if error.name != f"{_room}.models":
            raise

METADATA_COMPLETE = True
