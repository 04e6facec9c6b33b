"""Fusion by cases worked out by hand, and the best of each article as loops find it."""

from __future__ import annotations

from itertools import chain

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from knowledge_base.ranking import REREAD_ROWS, _best_rows, _nearest_rows, _Rows, fuse, weights

ARTICLES = st.lists(
    st.lists(st.sampled_from([0.1, 0.2, 0.3, 0.4, 0.5]), max_size=REREAD_ROWS + 3), min_size=1, max_size=6
)
"""Scores of the rows of some articles, of which one may have none, and two rows the same."""


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


def rows_of(articles: list[list[float]]) -> _Rows:
    """As if they were the first articles of a shelf."""
    lengths = np.array([len(own) for own in articles])
    first = lengths.cumsum() - lengths
    number = int(lengths.sum())
    return _Rows(first, lengths, first, np.arange(number), np.arange(len(articles)), np.zeros((number, 1), np.float32))


@given(ARTICLES)
def test_the_best_two_rows_of_each_article_are_those_that_sorting_finds(articles: list[list[float]]) -> None:
    best, second = _best_rows(rows_of(articles), floats(*chain(*articles))[None])
    highest = [sorted(own, reverse=True) for own in articles]
    assert best.tolist() == pytest.approx([own[0] if own else 0.0 for own in highest])
    assert second.tolist() == pytest.approx([own[min(1, len(own) - 1)] if own else 0.0 for own in highest])


@given(ARTICLES)
def test_the_best_row_of_each_article_is_the_first_of_those_alike(articles: list[list[float]]) -> None:
    rows = rows_of(articles)
    found = rows.where_best(floats(*chain(*articles)))
    wanted = [start + own.index(max(own)) for start, own in zip(rows.starts.tolist(), articles, strict=True) if own]
    assert found.tolist() == wanted


@given(ARTICLES)
def test_of_long_articles_the_nearest_rows_are_read_again_in_their_order(articles: list[list[float]]) -> None:
    rows = rows_of(articles)
    places = np.arange(len(articles))[::-1]
    near = _nearest_rows(rows, places, floats(*chain(*articles))[None])
    wanted = []
    for place in places:
        nearest = sorted(range(len(articles[place])), key=lambda row: -articles[place][row])[:REREAD_ROWS]
        wanted.append([int(rows.starts[place]) + row for row in sorted(nearest)])
    assert near.numbers.tolist() == list(chain(*wanted))
    assert near.lengths.tolist() == [len(own) for own in wanted]
