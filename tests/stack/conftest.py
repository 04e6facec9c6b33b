"""One running stack for all of these tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support import Stack, running_stack


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Everything that `kotae up` starts, with the sample company, on ports of its own."""
    with running_stack(tmp_path_factory.mktemp("stack")) as made:
        yield made
