"""CSV in."""

from __future__ import annotations

import os
from datetime import datetime
from decimal import Decimal
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from accounts.catalog import Catalog
from accounts.facts import customer_facts, internal_facts
from accounts.importing import import_csv
from kit.errors import UserError

EVAL = Path(os.environ.get("KOTAE_EVAL_DIR", Path(__file__).resolve().parents[3] / "shared" / "eval"))
MAPPING = """
fields:
  id: Customer
  name: {template: "{First} {Last}"}
  plan: {column: Tier, values: {P: pro, B: business}}
  price: {column: Fee, as: number, decimal: ","}
  currency: {constant: EUR}
  created_at: {column: Months, as: months_ago}
  renews_on: {column: Until, as: date, format: "%d.%m.%Y"}
  auto_renew: {column: Auto, as: boolean}
attributes: rest
"""
HEADER = "Customer,First,Last,Tier,Fee,Months,Until,Auto,Colour\n"


def files(folder: Path, rows: str, mapping: str = MAPPING, header: str = HEADER) -> tuple[Path, Path]:
    """A CSV and its mapping."""
    (folder / "c.csv").write_text(header + rows, encoding="utf-8")
    (folder / "m.yml").write_text(mapping, encoding="utf-8")
    return folder / "c.csv", folder / "m.yml"


async def test_a_mapping_reads_columns_into_fields(session: AsyncSession, tmp_path: Path, now: datetime) -> None:
    """Templates, values, decimal commas, dates of another form, months before today, and the rest kept."""
    csv, mapping = files(tmp_path, '7,Ada,Lo,P,"1.234,50",12,31.12.2026,ja? no,red\n'.replace("ja? no", "yes"))
    report = await import_csv(session, csv, mapping, now=now)
    assert (report.rows, report.new, report.written) == (1, 1, True)
    row = (await session.execute(text("SELECT name, created_at::date::text, attributes FROM accounts"))).one()
    assert tuple(row) == ("Ada Lo", "2025-11-18", {"Colour": "red"})
    query = "SELECT plan, amount, currency, renews_on::text, auto_renew FROM subscriptions"
    row = (await session.execute(text(query))).one()
    assert tuple(row) == ("pro", Decimal("1234.50"), "EUR", "2026-12-31", True)


async def test_one_wrong_row_and_nothing_is_written(session: AsyncSession, tmp_path: Path, now: datetime) -> None:
    """Every wrong row is listed with its line and what is wrong."""
    rows = (
        "1,A,B,P,5,1,31.12.2026,yes,\n"
        "2,A,B,X,5,1,31.12.2026,yes,\n"
        "3,A,B,P,five,1,31.12.2026,yes,\n"
        "4,A,B,P,5,-1,31.12.2026,yes,\n"
        "5,A,B,P,5,1,2026-12-31,yes,\n"
        "6,A,B,P,5,1,31.12.2026,perhaps,\n"
        "7,A,B,P\n"
        "1,A,B,P,5,1,31.12.2026,yes,\n"
        ",A,B,P,5,1,31.12.2026,yes,\n"
        '8,A,B,P,"5,999",1,31.12.2026,yes,\n'
    )
    report = await import_csv(session, *files(tmp_path, rows), now=now)
    assert not report.written
    assert report.wrong_count == 9
    assert [(each.line, each.problem.split(":")[0]) for each in report.wrong] == [
        (3, "plan"),
        (4, "price"),
        (5, "created_at"),
        (6, "renews_on"),
        (7, "auto_renew"),
        (8, "4 cells, the header has 9"),
        (9, "id"),
        (10, "id"),
        (11, "price"),
    ]
    assert (await session.execute(text("SELECT count(*) FROM accounts"))).scalar_one() == 0


async def test_a_column_that_is_not_there_is_named_with_those_that_are(
    session: AsyncSession, tmp_path: Path, now: datetime
) -> None:
    """The message is enough to correct the mapping."""
    csv, mapping = files(tmp_path, "", header="Customer,Name\n")
    with pytest.raises(UserError, match=r"no column 'First', which the mapping names for name: it has Customer, Name"):
        await import_csv(session, csv, mapping, now=now)
    csv, mapping = files(tmp_path, "", header=HEADER.replace("First", "first"))
    with pytest.raises(UserError, match="no column 'First'") as caught:
        await import_csv(session, csv, mapping, now=now)
    assert "did you mean 'first'?" in str(caught.value.hint)
    with pytest.raises(UserError, match="no column id") as caught:
        await import_csv(session, files(tmp_path, "", header="customer ID,Name\n")[0], None, now=now)
    assert "fields: {id: customer ID}" in str(caught.value.hint)


async def test_a_field_that_is_not_there_is_named_with_its_line(
    session: AsyncSession, tmp_path: Path, now: datetime
) -> None:
    """A slip in the mapping."""
    csv, mapping = files(tmp_path, "", mapping="fields:\n  id: Customer\n  prise: Fee\n")
    with pytest.raises(UserError, match="accounts have no field prise"):
        await import_csv(session, csv, mapping, now=now)


async def test_a_dry_run_writes_nothing(session: AsyncSession, tmp_path: Path, now: datetime) -> None:
    """It says what would be new."""
    report = await import_csv(session, *files(tmp_path, "1,A,B,P,5,1,31.12.2026,yes,\n"), now=now, dry_run=True)
    assert (report.new, report.written) == (1, False)
    assert (await session.execute(text("SELECT count(*) FROM accounts"))).scalar_one() == 0


async def test_other_kinds_need_accounts_that_are_there(session: AsyncSession, tmp_path: Path, now: datetime) -> None:
    """People and invoices by columns that are named as the fields."""
    (tmp_path / "a.csv").write_text("id,name,plan,shoe\na,A,pro,38\n")
    (tmp_path / "p.csv").write_text("id,account_id,email,champion\np,a,p@x,yes\nq,b,q@x,no\n")
    assert (await import_csv(session, tmp_path / "a.csv", None, now=now)).written
    report = await import_csv(session, tmp_path / "p.csv", None, now=now, kind="people")
    assert [(each.line, each.problem) for each in report.wrong] == [(3, "account_id: there is no account 'b'")]
    (tmp_path / "i.csv").write_text(
        "id,account_id,issued_on,due_on,amount,currency\ni,a,2026-11-01,2026-12-01,9.50,USD\n"
    )
    assert (await import_csv(session, tmp_path / "i.csv", None, now=now, kind="invoices")).written


async def test_progress_counts_to_the_end(session: AsyncSession, tmp_path: Path, now: datetime) -> None:
    """Reading is the first half, writing the second."""
    (tmp_path / "a.csv").write_text("id\n" + "".join(f"a{n}\n" for n in range(1200)))
    told: list[tuple[int, int]] = []
    await import_csv(
        session, tmp_path / "a.csv", None, now=now, progress=lambda done, total: told.append((done, total))
    )
    assert told[-1] == (2400, 2400)
    assert told == sorted(told)
    assert {total for _, total in told} == {2400}


@pytest.mark.skipif(not (EVAL / "telco-churn").is_dir(), reason=f"no evaluation data in {EVAL} (set KOTAE_EVAL_DIR)")
async def test_the_telco_customers_import_and_answer(
    session: AsyncSession, catalog: Catalog, root: Path, now: datetime
) -> None:
    """All 7,043, twice without a change the second time; one of them can be asked about."""
    csv = EVAL / "telco-churn" / "Telco-Customer-Churn.csv"
    mapping = root / "demo" / "mappings" / "telco-churn.yml"
    first = await import_csv(session, csv, mapping, now=now)
    assert (first.rows, first.new, first.written) == (7043, 7043, True)
    second = await import_csv(session, csv, mapping, now=now)
    assert (second.new, second.updated) == (0, 7043)
    kinds = await session.execute(text("SELECT kind, count(*) FROM subscription_changes GROUP BY kind ORDER BY kind"))
    assert [tuple(row) for row in kinds] == [("cancel", 1869), ("start", 7043)]
    facts = await customer_facts(session, catalog, "7590-VHVEG", None, now)
    assert (facts.plan.name, facts.plan.price) == ("DSL", Decimal("29.85"))
    assert (await internal_facts(session, catalog, "7590-VHVEG", now)).health_score is not None
