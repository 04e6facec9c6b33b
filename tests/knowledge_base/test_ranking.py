"""Fusion by cases worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from knowledge_base.ranking import fuse, weights


def floats(*values: float) -> np.ndarray[tuple[int], np.dtype[np.float32]]:
    return np.array(values, np.float32)


def test_each_side_is_scaled_from_none_to_its_best_then_weighted() -> None:
    # dense (.2, .6, 1.0) above .2 -> (0, .5, 1); lexical (10, 0, 5) -> (1, 0, .5); 3/4 dense
    made = fuse((floats(0.2, 0.6, 1.0), floats(10, 0, 5)), (0.2, 0.0), (0.75, 0.25))
    assert made.tolist() == pytest.approx([0.25, 0.375, 0.875])


def test_three_sides_are_weighted_as_the_product_does() -> None:
    # (1, .5), (0, 1), (1, 0) by .525, .3, .175
    made = fuse((floats(0.9, 0.5), floats(0, 4), floats(2, 0)), (0.1, 0.0, 0.0), weights(0.7))
    assert made.tolist() == pytest.approx([0.7, 0.5625])


@pytest.mark.parametrize(("covered", "together"), [(0.0, 0.0), (0.4, 0.0), (0.7, 0.175), (1.0, 0.35)])
def test_words_that_stand_together_count_where_the_words_are_there(covered: float, together: float) -> None:
    assert weights(covered) == pytest.approx((0.7 - together, 0.3, together))


def test_words_count_little_between_languages() -> None:
    assert weights(1.0, across=True) == pytest.approx((0.9, 0.1, 0.0))


def test_below_the_floor_counts_as_none() -> None:
    made = fuse((floats(0.1, 0.4, 0.8), floats(0, 0, 0)), (0.4, 0.0), (1.0, 0.0))
    assert made.tolist() == pytest.approx([0, 0, 1])


def test_a_side_that_finds_nothing_has_no_say() -> None:
    assert fuse((floats(0.1, 0.1), floats(0, 2)), (0.1, 0.0), (0.5, 0.5)).tolist() == pytest.approx([0.0, 0.5])
    assert fuse((floats(0.1), floats(0)), (0.1, 0.0), (0.5, 0.5)).tolist() == [0.0]


def test_the_scale_of_a_side_does_not_matter() -> None:
    dense, lexical = floats(0.1, 0.5, 0.3), floats(3, 1, 2)
    moved = fuse((dense * 7 + 1, lexical * 100), (1.7, 0.0), (0.6, 0.4))
    assert fuse((dense, lexical), (0.1, 0.0), (0.6, 0.4)).tolist() == pytest.approx(moved.tolist())
