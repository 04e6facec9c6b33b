"""Erlang C, against cases worked out by hand and a published one."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from escalations import erlang


def test_one_server_is_the_simplest_queue() -> None:
    """M/M/1 at half load, 6 minutes each: half must wait, 6 minutes on average; P(wait <= 12) = 1 - .5/e."""
    load = erlang.load(per_hour=5, handle_minutes=6)
    assert load == pytest.approx(0.5)
    assert erlang.must_wait(1, load) == pytest.approx(0.5)
    assert erlang.mean_wait(1, load, 6) == pytest.approx(6)
    assert erlang.served_within(1, load, 6, 12) == pytest.approx(1 - 0.5 / math.e)


def test_two_servers_by_hand() -> None:
    """A = 1, N = 2: (1/2 * 2) / (1 + 1 + 1/2 * 2) = 1/3 must wait, a third of the handling time on average."""
    assert erlang.must_wait(2, 1) == pytest.approx(1 / 3)
    assert erlang.mean_wait(2, 1, 9) == pytest.approx(3)
    assert erlang.served_within(2, 1, 9, 9) == pytest.approx(1 - 1 / (3 * math.e))


def test_three_servers_by_hand() -> None:
    """A = 2, N = 3: (8/6 * 3) / (1 + 2 + 2 + 8/6 * 3) = 4/9."""
    assert erlang.must_wait(3, 2) == pytest.approx(4 / 9)


def test_the_well_known_call_centre() -> None:
    """200 calls an hour of 3 minutes, 14 agents: 17.4 % wait, 7.8 s on average, 88.8 % within 20 s."""
    load = erlang.load(200, 3)
    assert load == pytest.approx(10)
    assert erlang.must_wait(14, load) == pytest.approx(0.1741, abs=5e-5)
    assert erlang.mean_wait(14, load, 3) * 60 == pytest.approx(7.8, abs=0.05)
    assert erlang.served_within(14, load, 3, 20 / 60) == pytest.approx(0.888, abs=5e-4)
    assert erlang.servers_needed(load, 3, 20 / 60, 0.8) == 14
    assert erlang.served_within(13, load, 3, 20 / 60) < 0.8


@pytest.mark.parametrize(("servers", "erlangs"), [(0, 0.1), (1, 1), (3, 3), (3, 7)])
def test_too_much_load_waits_for_ever(servers: int, erlangs: float) -> None:
    """At the limit and above nobody is served in time."""
    assert erlang.must_wait(servers, erlangs) == 1
    assert erlang.mean_wait(servers, erlangs, 10) == math.inf
    assert erlang.served_within(servers, erlangs, 10, 1e6) == 0


def test_nobody_comes() -> None:
    """Nobody waits, and nobody is needed."""
    assert (erlang.must_wait(0, 0), erlang.mean_wait(0, 0, 10), erlang.served_within(0, 0, 10, 1)) == (0, 0, 1)
    assert erlang.servers_needed(0, 10, 1, 0.9) == 0


@given(st.integers(1, 200), st.floats(0.01, 199), st.floats(0.1, 500))
def test_another_server_never_makes_it_worse(servers: int, erlangs: float, minutes: float) -> None:
    """Shares stay shares, and waits only shrink."""
    before, after = erlang.must_wait(servers, erlangs), erlang.must_wait(servers + 1, erlangs)
    assert 0 <= after <= before <= 1
    assert erlang.mean_wait(servers + 1, erlangs, minutes) <= erlang.mean_wait(servers, erlangs, minutes)
