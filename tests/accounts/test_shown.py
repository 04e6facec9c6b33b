"""What a person reads of an account in the terminal."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from accounts.catalog import Catalog
from accounts.facts import customer_facts, internal_facts
from accounts.health import Axis, Grid, Indicator
from accounts.kpi import kpis
from accounts.records import put_account
from accounts.schemas import PutAccount
from cli import accounts_shown
from kit.clock import now as clock

NOON = date(2026, 11, 18)


@pytest.fixture
async def shown(session: AsyncSession, catalog: Catalog, capsys: pytest.CaptureFixture[str]) -> str:
    """An account that pays late of nothing, ends in the future, and has a step overdue."""
    at = clock()
    payload = PutAccount.model_validate(
        {
            "name": "Foo",
            "plan": "pro",
            "seats": 3,
            "price": "1350.50",
            "per_months": 3,
            "created_at": "2025-01-01T00:00Z",
        }
    )
    await put_account(session, "foo", payload, at)
    known = await customer_facts(session, catalog, "foo", None, at)
    internal = await internal_facts(session, catalog, "foo", at)
    accounts_shown.account(known, internal, catalog, explain=True, today=at.date())
    accounts_shown.kpis(await kpis(session, catalog, at.replace(day=1), at, by="plan"))
    return capsys.readouterr().out


def test_an_account_is_shown_in_words(shown: str) -> None:
    """Price with its period, what is overdue, what the value rests on, each indicator's label and curve."""
    for words in ("Foo (foo)", "1,350.50 USD a quarter, 3 seats", "overdue", "margin", "revenue per account x margin"):
        assert words in shown
    assert "tenure_days" in shown
    assert "50 at 90" in shown


async def test_what_is_not_known_is_not_shown_as_nothing(
    session: AsyncSession, catalog: Catalog, capsys: pytest.CaptureFixture[str]
) -> None:
    """An account of a table of another trade: no seats used, no step overdue; one that ended has no stage and nothing to do."""
    at = clock()
    payload = PutAccount.model_validate({"plan": "DSL", "price": "29.85", "started_at": "2026-01-01T00:00Z"})
    for account, more in (("runs", {}), ("ended", {"cancelled_at": at})):
        await put_account(session, account, payload.model_copy(update=more), at)
        known = await customer_facts(session, catalog, account, None, at)
        accounts_shown.account(
            known, await internal_facts(session, catalog, account, at), catalog, explain=False, today=at.date()
        )
        out = capsys.readouterr().out
        assert "nothing is recorded" in out
        assert "overdue" not in out
        assert "; only " in out
        assert ("Stage" in out, "an account that has ended" in out) == (account == "runs", account == "ended")


def test_key_figures_are_shown_with_their_parts(shown: str) -> None:
    """A share in per cent; what cannot be said is a dash."""
    assert "nps" in shown
    assert "–" in shown
    assert "money in USD a month" in shown


def test_facts_and_curves_are_written_for_people(root: Path) -> None:
    """Shares in per cent, days as dates, two columns as rows."""
    assert accounts_shown.fact(0.412, "share") == "41 %"
    assert accounts_shown.fact(2, "complaints") == "2 complaints"
    assert accounts_shown.fact(1, "months") == "1 month"
    assert accounts_shown.fact(1234567.0, "") == "1,234,567"
    assert accounts_shown.fact(None, "days") == "missing"
    days = Indicator(group="usage", label="d", date="%d/%m/%Y", curve=[(date(2026, 3, 1).toordinal(), 10)], missing=5)
    assert accounts_shown.curve(days) == "10 at 2026-03-01, 5 where missing"
    grid = Grid(
        rows=Axis(fact="age", at=[20, 40]), columns=Axis(fact="plan", at=["a", "*"]), points=[[0, 50], [100, 25]]
    )
    both = Indicator(group="usage", label="b", grid=grid)
    assert accounts_shown.curve(both) == "age 20: 0 at plan a 50 at plan *, age 40: 100 at plan a 25 at plan *"
    assert both.worth("b", {"age": 30.0, "plan": "a"}) == 50
    assert both.worth("b", {"age": 50.0, "plan": "z"}) == 25
    assert both.worth("b", {"age": 50.0}) is None
    assert both.given("b", {"age": 50.0}) == "50 with nothing"
