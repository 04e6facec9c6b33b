"""Files a company writes: read with one clear line about what is wrong and where."""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from kit.errors import UserError

Model = TypeVar("Model", bound=BaseModel)


def read_text(path: Path) -> str:
    """The text of a UTF-8 file, without the mark that spreadsheets put before it.

    Raises:
        UserError: it is missing, unreadable or not UTF-8.
    """
    try:
        return path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise UserError(f"{path} does not exist", "check the path") from None
    except IsADirectoryError:
        raise UserError(f"{path} is a folder", "name a file") from None
    except UnicodeDecodeError as error:
        raise UserError(f"{path} is not UTF-8 (byte {error.start})", "save it as UTF-8") from None
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror})", "check its permissions") from None


def read_yaml(path: Path, model: type[Model]) -> Model:
    """A YAML file as a checked model.

    Args:
        path: of the file.
        model: the pydantic model its top level is.
    Raises:
        UserError: missing, not YAML, or not of this form; names the line.
    """
    text = read_text(path)
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
        data = yaml.safe_load(text)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise UserError(f"{path}, line {line}: {error.problem or 'not YAML'}", "correct the YAML") from None
    try:
        return model.model_validate(data if data is not None else {})
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "the top level"
        wrong = first["msg"].removeprefix("Value error, ")
        line = line_of(root, first["loc"])
        others = sorted({line_of(root, each["loc"]) for each in error.errors()} - {line})
        more = f"; more is wrong in line {', '.join(map(str, others))}" if others else ""
        raise UserError(f"{path}, line {line}: {where}: {wrong[:1].lower()}{wrong[1:]}{more}", "correct it") from None


def line_of(node: yaml.Node | None, path: tuple[int | str, ...]) -> int:
    """The line, from 1, of the deepest part of `path` that is there."""
    line = node.start_mark.line + 1 if node is not None else 1
    for part in path:
        child = _child(node, part)
        if child is None:
            break
        node, line = child
    return line


def _child(node: yaml.Node | None, part: int | str) -> tuple[yaml.Node, int] | None:
    found: Any = None
    if isinstance(node, yaml.MappingNode):
        found = next(((value, key.start_mark.line + 1) for key, value in node.value if key.value == part), None)
    elif isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
        item = node.value[part]
        found = (item, item.start_mark.line + 1)
    return found  # type: ignore[no-any-return]  # yaml's nodes are untyped inside
