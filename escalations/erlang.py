"""How long people wait for a CSM: the Erlang C formula.

Customers come at random (Poisson), are served in the order they come by whichever of `servers` is free first, handling times are
exponential, and nobody gives up. Source: A. K. Erlang, "Solution of some problems in the theory of probabilities of
significance in automatic telephone exchanges", 1917; in the form of R. B. Cooper, "Introduction to Queueing Theory", 2nd ed.,
1981, section 3.4.

With the offered load A = arrivals x handling time (erlangs) and N servers, N > A:

    B(0) = 1,  B(n) = A B(n-1) / (n + A B(n-1))     nobody free, were nobody to wait (Erlang B, by recursion: no factorials)
    C = N B(N) / (N - A (1 - B(N)))                 one who comes has to wait
    mean wait = C T / (N - A)                       T the mean handling time
    P(wait <= t) = 1 - C exp(-(N - A) t / T)

Where A >= N the queue grows without end: everybody waits, for ever.
"""

from __future__ import annotations

import math


def load(per_hour: float, handle_minutes: float) -> float:
    """The offered load.

    Args:
        per_hour: arrivals an hour.
        handle_minutes: mean time one is handled, minutes.
    Returns:
        erlangs: how many servers are busy on average, were there enough.
    """
    return per_hour * handle_minutes / 60


def must_wait(servers: int, erlangs: float) -> float:
    """The share of those who come that finds nobody free, 0 to 1."""
    if erlangs <= 0:
        return 0.0
    if erlangs >= servers:
        return 1.0
    blocked = 1.0
    for number in range(1, servers + 1):
        blocked = erlangs * blocked / (number + erlangs * blocked)
    return servers * blocked / (servers - erlangs * (1 - blocked))


def mean_wait(servers: int, erlangs: float, handle_minutes: float) -> float:
    """The mean wait in minutes, of all who come; infinite where the load is more than the servers can take."""
    if erlangs <= 0:
        return 0.0
    if erlangs >= servers:
        return math.inf
    return must_wait(servers, erlangs) * handle_minutes / (servers - erlangs)


def served_within(servers: int, erlangs: float, handle_minutes: float, minutes: float) -> float:
    """The share of those who come that waits at most so many minutes, 0 to 1."""
    if erlangs <= 0:
        return 1.0
    if erlangs >= servers:
        return 0.0
    return 1 - must_wait(servers, erlangs) * math.exp(-(servers - erlangs) * minutes / handle_minutes)


def servers_needed(erlangs: float, handle_minutes: float, minutes: float, share: float) -> int:
    """The fewest servers with which that share waits at most so many minutes."""
    servers = max(1, math.floor(erlangs) + 1) if erlangs > 0 else 0
    while served_within(servers, erlangs, handle_minutes, minutes) < share:
        servers += 1
    return servers
