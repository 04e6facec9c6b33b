"""Fusion by cases worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from knowledge_base.ranking import fuse


def floats(*values: float) -> np.ndarray[tuple[int], np.dtype[np.float32]]:
    return np.array(values, np.float32)


def test_each_side_is_scaled_to_its_own_range_then_weighted() -> None:
    # dense (.2, .6, 1.0) -> (0, .5, 1); lexical (10, 0, 5) -> (1, 0, .5); 3/4 dense
    made = fuse(floats(0.2, 0.6, 1.0), floats(10, 0, 5), 0.75)
    assert made.tolist() == pytest.approx([0.25, 0.375, 0.875])


def test_a_side_without_differences_has_no_say() -> None:
    assert fuse(floats(0.1, 0.3), floats(2, 2), 0.5).tolist() == pytest.approx([0.0, 0.5])
    assert fuse(floats(0.4), floats(1), 0.5).tolist() == [0.0]


def test_the_scale_of_a_side_does_not_matter() -> None:
    dense, lexical = floats(0.1, 0.5, 0.3), floats(3, 1, 2)
    assert fuse(dense, lexical).tolist() == pytest.approx(fuse(dense * 7 + 1, lexical * 100).tolist())
