"""The only SQL of this room."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime
from functools import cache
from itertools import islice
from typing import Any, TypeVar

import orjson
from sqlalchemy import Column, ColumnElement, Table, Text, bindparam, delete, func, select, text
from sqlalchemy.dialects import postgresql
from sqlalchemy.dialects.postgresql import ARRAY, BIT
from sqlalchemy.ext.asyncio import AsyncSession

from accounts import models as m
from kit.database import Base, Database, driven, rows
from kit.statements import Statement

Row = Mapping[str, Any]
Item = TypeVar("Item")
CHUNK = 5_000
_DIALECT = postgresql.dialect()  # type: ignore[no-untyped-call]  # SQLAlchemy gives it no types


def chunks(items: Iterable[Item], size: int = CHUNK) -> Iterator[list[Item]]:
    """Lots of a size that one statement takes well."""
    rest = iter(items)
    while chunk := list(islice(rest, size)):
        yield chunk


def _table(model: type[Base]) -> Table:
    table = model.__table__
    assert isinstance(table, Table)
    return table


def _any(column: Any, ids: Collection[str]) -> ColumnElement[bool]:
    """The column is one of these. One array, where IN would make a parameter of each and another statement of each number of them."""
    return column == func.any(bindparam(None, list(ids), type_=postgresql.ARRAY(Text)))  # type: ignore[no-any-return]  # `column` is of any type


def _json(value: object) -> str:
    return orjson.dumps(value, option=orjson.OPT_NON_STR_KEYS, default=str).decode()


async def upsert(
    session: AsyncSession,
    model: type[Base],
    rows: Sequence[Row],
    *,
    on: Sequence[str],
    update: Mapping[str, str] | None = None,
    where: str = "",
    returning: str = "",
) -> list[str]:
    """Inserts many rows with one statement for each few thousand; rows that are there already are updated.

    Args:
        rows: all with the same keys; no two with the same values of `on`.
        on: the columns of the unique constraint.
        update: expression by column, where `new` is `excluded`, such as {"events": "t.events + new.events"}. None sets
            every other column to its new value; an empty mapping leaves rows that are there as they are.
        where: condition for the update, same words.
        returning: a column of the rows inserted or updated to return.
    """
    if not rows:
        return []
    columns = list(rows[0])
    if update is None:
        update = {name: f"new.{name}" for name in columns if name not in on}
    statement = text(_upsert_sql(_table(model), tuple(columns), tuple(on), tuple(update.items()), where, returning))
    found: list[str] = []
    for chunk in chunks(rows):
        result = await session.execute(statement, {"rows": _json(chunk)})
        if returning:
            found.extend(result.scalars())
    return found


@cache
def _upsert_sql(
    table: Table,
    columns: tuple[str, ...],
    on: tuple[str, ...],
    changes: tuple[tuple[str, str], ...],
    where: str,
    returning: str,
    parameter: str = "rows",
) -> str:
    # All rows as one JSON text: made and read by machine code on both sides, where a parameter for each value, or an array for
    # each column, costs Python far more. The statement stays the same whatever the number of rows.
    shape = ", ".join(f"{name} {_wire_type(table.c[name])}" for name in columns)
    values = ", ".join(
        f"CAST(given.{name} AS bit({m.SLOTS}))" if isinstance(table.c[name].type, BIT) else f"given.{name}"
        for name in columns
    )
    names = ", ".join(columns)
    sql = (
        f"INSERT INTO {table.name} AS t ({names}) SELECT {values} FROM json_to_recordset(CAST(:{parameter} AS json)) AS given({shape}) "  # noqa: S608  # names are our own tables' and columns'
        f"ON CONFLICT ({', '.join(on)}) DO "
    )
    if changes:
        sql += "UPDATE SET " + ", ".join(f"{name} = {_words(change)}" for name, change in changes)
        sql += f" WHERE {_words(where)}" if where else ""
    else:
        sql += "NOTHING"
    return sql + (f" RETURNING t.{returning}" if returning else "")


def _words(expression: str) -> str:
    return expression.replace("new.", "excluded.")


def _wire_type(column: Column[Any]) -> str:
    return "text" if isinstance(column.type, BIT) else column.type.compile(_DIALECT)


# --- accounts, people, subscriptions


async def account(session: AsyncSession, account_id: str) -> m.Account | None:
    return await session.get(m.Account, account_id, populate_existing=True)


async def accounts_known(session: AsyncSession, ids: Collection[str]) -> set[str]:
    """Which of these accounts there are."""
    found = await session.execute(select(m.Account.id).where(_any(m.Account.id, ids))) if ids else None
    return set(found.scalars()) if found else set()


# One array, and not a condition with OR, so that the rows are found by the index. Ids come as JSON, which costs Python less than an array.
_HOLD = Statement(
    """
WITH them AS MATERIALIZED (
  SELECT id, account_id FROM people WHERE id = ANY(ARRAY(SELECT json_array_elements_text(CAST(:people AS json))))
), held AS (
  SELECT id FROM accounts
  WHERE id = ANY(ARRAY(SELECT account_id FROM them UNION ALL SELECT json_array_elements_text(CAST(:named AS json))))
  ORDER BY id FOR NO KEY UPDATE
)
SELECT id AS account_id, NULL AS person_id FROM held
UNION ALL SELECT account_id, id FROM them
"""
)


async def hold_accounts(
    session: AsyncSession, named: Collection[str], people: Collection[str]
) -> tuple[set[str], dict[str, str | None]]:
    """Holds these accounts, and those of these people, until the transaction ends.

    Always in the order of ids, so that two callers cannot hold what the other needs.

    Returns:
        The accounts there are, and the account of each person who is known.
    """
    found = await driven(session, _HOLD, {"named": _json(list(named)), "people": _json(list(people))})
    return {account for account, person in found if person is None}, {
        person: account for account, person in found if person is not None
    }


async def person(session: AsyncSession, person_id: str) -> m.Person | None:
    return await session.get(m.Person, person_id, populate_existing=True)


async def subscriptions(session: AsyncSession, account_ids: Collection[str]) -> list[m.Subscription]:
    """All subscriptions of these accounts, also those that ended, oldest first."""
    found: list[m.Subscription] = []
    for chunk in chunks(account_ids):
        query = (
            select(m.Subscription)
            .where(_any(m.Subscription.account_id, chunk))
            .order_by(m.Subscription.started_at, m.Subscription.id)
            .execution_options(populate_existing=True)
        )
        found.extend((await session.execute(query)).scalars())
    return found


async def subscription_states(session: AsyncSession, ids: Collection[str]) -> list[Row]:
    """The rows of these subscriptions, by their own id."""
    found: list[Row] = []
    for chunk in chunks(ids):
        query = select(*_table(m.Subscription).c).where(_any(m.Subscription.id, chunk))
        found.extend(dict(row) for row in (await session.execute(query)).mappings())
    return found


async def forget_history(session: AsyncSession, subscriptions: Collection[str]) -> None:
    """Removes every line of these subscriptions' history."""
    for chunk in chunks(subscriptions):
        await session.execute(
            text("DELETE FROM subscription_changes WHERE subscription_id = ANY(:ids)"), {"ids": list(chunk)}
        )


async def move_starts(session: AsyncSession, starts: Mapping[str, datetime]) -> None:
    """Corrects when subscriptions began, by id: the first line of each history."""
    for chunk in chunks(sorted(starts.items())):
        await session.execute(
            text(
                "UPDATE subscription_changes AS t SET at = given.at "
                "FROM unnest(CAST(:ids AS text[]), CAST(:ats AS timestamptz[])) AS given(id, at) "
                "WHERE t.id = (SELECT id FROM subscription_changes WHERE subscription_id = given.id AND kind = 'start' "
                "ORDER BY at LIMIT 1)"
            ),
            {"ids": [key for key, _ in chunk], "ats": [at for _, at in chunk]},
        )


async def introduce_accounts(session: AsyncSession, first_seen: Mapping[str, datetime], traits_at: datetime) -> None:
    """Creates accounts of which nothing is known but when they were first seen; leaves those that are there."""
    rows = [
        {"id": key, "name": key, "created_at": at, "traits_at": traits_at} for key, at in sorted(first_seen.items())
    ]
    await upsert(session, m.Account, rows, on=["id"], update={})


async def introduce_people(
    session: AsyncSession, people: Mapping[str, tuple[str | None, datetime]], traits_at: datetime
) -> None:
    """Creates people of whom nothing is known but their account and when they were first seen; gives those who are there and have no account theirs."""
    rows = [
        {"id": key, "account_id": account, "created_at": at, "traits_at": traits_at}
        for key, (account, at) in sorted(people.items())
    ]
    await upsert(
        session,
        m.Person,
        rows,
        on=["id"],
        update={"account_id": "new.account_id"},
        where="t.account_id IS NULL AND new.account_id IS NOT NULL",
    )


async def set_people(session: AsyncSession, column: str, values: Mapping[str, Any]) -> None:
    """Sets one column of people, by id."""
    wire = _wire_type(_table(m.Person).c[column])
    for chunk in chunks(sorted(values.items())):
        await session.execute(
            text(
                f"UPDATE people SET {column} = given.value "  # noqa: S608  # a column of ours
                f"FROM unnest(CAST(:ids AS text[]), CAST(:values AS {wire}[])) AS given(id, value) WHERE people.id = given.id"
            ),
            {"ids": [key for key, _ in chunk], "values": [value for _, value in chunk]},
        )


async def people_of(session: AsyncSession, account_id: str) -> list[m.Person]:
    query = select(m.Person).where(m.Person.account_id == account_id).order_by(m.Person.id)
    return list((await session.execute(query)).scalars())


async def marks(session: AsyncSession, ids: Collection[str], attribute: str) -> dict[str, Any]:
    """One attribute of each of these accounts that is there; None where it has none."""
    query = select(m.Account.id, m.Account.attributes[attribute].label("mark")).where(_any(m.Account.id, ids))
    return {row.id: row.mark for row in await session.execute(query)}


async def delete_accounts(session: AsyncSession, ids: Collection[str]) -> int:
    """Removes accounts with everything that is theirs."""
    result = await session.execute(delete(m.Account).where(_any(m.Account.id, ids)).returning(m.Account.id))
    return len(result.all())


# --- usage


# From `used` to the daily figures. A first time that is known is not touched: a conflict would lock its row, which is a write.
_ROLL_UP = f"""
days AS (
  SELECT account_id, CAST(at AT TIME ZONE 'UTC' AS date) AS day, coalesce(person_id, '') AS person_id, count(*) AS events,
         bit_or(set_bit(CAST(0 AS bit({m.SLOTS})),
                        CAST(CAST(floor(extract(epoch FROM at)) AS bigint) % 86400 / {m.SLOT_MINUTES * 60} AS integer), 1)) AS slots
  FROM used GROUP BY 1, 2, 3
), people_days AS (
  INSERT INTO daily_people AS t (account_id, day, person_id, events, slots)
  SELECT * FROM days ORDER BY account_id, day, person_id
  ON CONFLICT (account_id, day, person_id) DO UPDATE SET events = t.events + excluded.events, slots = t.slots | excluded.slots
), counted AS (
  INSERT INTO daily_events AS t (account_id, day, name, times, quantity)
  SELECT account_id, CAST(at AT TIME ZONE 'UTC' AS date) AS day, name, count(*),
         sum(CASE WHEN jsonb_typeof(properties -> 'quantity') <> 'number' THEN 1
                  WHEN CAST(properties ->> 'quantity' AS numeric) BETWEEN 0 AND 1e9 THEN CAST(properties ->> 'quantity' AS numeric)
                  ELSE 1 END)
  FROM used GROUP BY 1, 2, 3 ORDER BY 1, 2, 3
  ON CONFLICT (account_id, day, name) DO UPDATE SET times = t.times + excluded.times, quantity = t.quantity + excluded.quantity
), firsts AS (
  INSERT INTO account_events AS t (account_id, name, first_at)
  SELECT * FROM (SELECT account_id, name, min(at) AS at FROM used GROUP BY 1, 2) AS said
  WHERE NOT EXISTS (SELECT FROM account_events AS e WHERE e.account_id = said.account_id AND e.name = said.name AND e.first_at <= said.at)
  ORDER BY 1, 2
  ON CONFLICT (account_id, name) DO UPDATE SET first_at = excluded.first_at WHERE excluded.first_at < t.first_at
), seen AS (
  -- To within five minutes: a row is not written anew for every event.
  UPDATE people SET last_seen_at = latest.at
  FROM (SELECT person_id, max(at) AS at FROM used WHERE person_id IS NOT NULL GROUP BY 1) AS latest
  WHERE people.id = latest.person_id AND (last_seen_at IS NULL OR last_seen_at < latest.at - interval '5 minutes')
)"""  # noqa: S608  # made of constants
_USE = f"type IN {m.USE}"
_GIVEN = """json_to_recordset(CAST(:rows AS json)) AS given(
    message_id text, type text, name text, account_id text, person_id text, at timestamptz, properties jsonb)"""
_TAKE = Statement(
    f"""
WITH taken AS (
  INSERT INTO events (message_id, type, name, account_id, person_id, at, received_at, properties)
  SELECT message_id, type, name, account_id, person_id, at, :now, properties FROM {_GIVEN}
  ON CONFLICT (message_id) DO NOTHING RETURNING *
), used AS (
  SELECT * FROM taken WHERE account_id IS NOT NULL AND {_USE}
), {_ROLL_UP}
SELECT message_id FROM taken
"""  # noqa: S608  # made of constants
)
# The same where everybody is known already: holding the accounts and finding those of the people is part of the one statement then.
_TAKE_OF_KNOWN = Statement(
    f"""
WITH given AS MATERIALIZED (SELECT * FROM {_GIVEN}), them AS MATERIALIZED (
  SELECT id, account_id FROM people WHERE id = ANY(ARRAY(SELECT person_id FROM given))
), settled AS MATERIALIZED (
  SELECT message_id, type, name, coalesce(given.account_id, them.account_id) AS account_id, person_id, at, properties,
         person_id IS NULL OR them.account_id IS NOT NULL AS known
  FROM given LEFT JOIN them ON them.id = person_id
), held AS MATERIALIZED (
  SELECT id FROM accounts WHERE id = ANY(ARRAY(SELECT account_id FROM settled)) ORDER BY id FOR NO KEY UPDATE
), fits AS MATERIALIZED (
  SELECT bool_and(known AND account_id IS NOT NULL) AND count(DISTINCT account_id) = (SELECT count(*) FROM held) AS all_known FROM settled
), taken AS (
  INSERT INTO events (message_id, type, name, account_id, person_id, at, received_at, properties)
  SELECT message_id, type, name, account_id, person_id, at, :now, properties FROM settled WHERE (SELECT all_known FROM fits)
  ON CONFLICT (message_id) DO NOTHING RETURNING *
), used AS (SELECT * FROM taken), {_ROLL_UP}
SELECT message_id, account_id FROM taken UNION ALL SELECT NULL, NULL FROM fits WHERE NOT all_known
"""  # noqa: S608  # made of constants
)
_CLAIM = text(f"""
WITH used AS (
  UPDATE events SET account_id = people.account_id FROM people
  WHERE people.id = events.person_id AND events.account_id IS NULL AND people.account_id IS NOT NULL
    AND events.person_id = ANY(:people) AND events.{_USE}
  RETURNING events.*
), {_ROLL_UP}
SELECT account_id FROM used
""").bindparams(bindparam("people", type_=ARRAY(Text)))  # noqa: S608  # made of constants


async def take_events(session: AsyncSession, rows: Sequence[Row], now: datetime) -> list[str]:
    """Writes raw events that are not there yet and adds those of use to the daily figures, as one statement.

    Args:
        rows: by `message_id`, no two with the same; the caller holds their accounts (`hold_accounts`).
        now: when they came in.
    Returns:
        The `message_id` of each that was not there.
    """
    found: list[str] = []
    for chunk in chunks(rows):
        found += [id_ for (id_,) in await driven(session, _TAKE, {"rows": _json(chunk), "now": now})]
    return found


async def take_events_of_known(database: Database, rows: Sequence[Row], now: datetime) -> dict[str, str] | None:
    """`take_events` for use by people and accounts all of whom are known, in one statement that is a transaction of its own.

    Args:
        rows: as `take_events` has them, at most `CHUNK`; an account that is not named is that of the person.
    Returns:
        The account of each that was not there, by `message_id`; None where somebody is not known, and nothing was written.
    Raises:
        psycopg.Error: it could not be written.
    """
    found = await database.rows(_TAKE_OF_KNOWN, {"rows": _json(rows), "now": now})
    taken = {row["message_id"]: row["account_id"] for row in found}
    return None if None in taken else taken


async def with_unclaimed_events(session: AsyncSession, people: Collection[str]) -> list[str]:
    """Those of these people of whom there is use that came before they had an account."""
    found: list[str] = []
    for chunk in chunks(people):
        theirs = m.Event.account_id.is_(None), m.Event.type.in_(m.USE), _any(m.Event.person_id, chunk)
        query = select(m.Event.person_id).where(*theirs).distinct()
        found.extend(id_ for id_ in (await session.execute(query)).scalars() if id_ is not None)
    return found


async def claim_events(session: AsyncSession, people: Collection[str]) -> list[str]:
    """Gives events that came before their person had an account to that account, and adds them to its daily figures.

    Returns:
        The account of each.
    """
    if not people:
        return []
    return list((await session.execute(_CLAIM, {"people": sorted(people)})).scalars())


# Everything that a turn asks of one account, in one round trip. Money travels as text, so that no cent is lost in jsonb.
_ASKER = Statement(
    """
SELECT a.id, a.name, a.created_at, a.attributes, a.owner, a.potential_seats,
       p.name AS person_name, p.role AS person_role, p.lang AS person_lang,
       (SELECT count(*) FROM people WHERE account_id = a.id AND left_at IS NULL) AS members,
       (SELECT coalesce(jsonb_agg(to_jsonb(s) || jsonb_build_object('amount', s.amount::text) ORDER BY s.started_at, s.id), '[]')
          FROM subscriptions AS s WHERE s.account_id = a.id) AS subscriptions,
       (SELECT coalesce(jsonb_agg(to_jsonb(i) || jsonb_build_object('amount', i.amount::text, 'refunded', i.refunded::text)
                                  ORDER BY i.issued_on DESC, i.id DESC), '[]')
          FROM (SELECT * FROM invoices WHERE account_id = a.id AND issued_on <= :day
                ORDER BY issued_on DESC, id DESC LIMIT 5) AS i) AS invoices,
       (SELECT coalesce(jsonb_object_agg(name, first_at), '{}') FROM account_events
         WHERE account_id = a.id AND name = ANY(:steps)) AS firsts,
       (SELECT coalesce(jsonb_object_agg(step, done_at), '{}') FROM onboarding_marks WHERE account_id = a.id) AS marks,
       (SELECT coalesce(jsonb_agg(jsonb_build_object('name', name, 'day', day, 'quantity', quantity::text)), '[]')
          FROM daily_events
         WHERE account_id = a.id AND day BETWEEN :since AND :day AND name = ANY(:metered)) AS used,
       (SELECT count(*) FROM tickets
         WHERE account_id = a.id AND kind = 'complaint' AND opened_at <= :now AND opened_at > :now - interval '90 days')
         AS complaints,
       (SELECT jsonb_build_object('score', score, 'band', band) FROM health_scores
         WHERE account_id = a.id AND day BETWEEN :scored_since AND :day ORDER BY day DESC LIMIT 1) AS scored
FROM accounts AS a LEFT JOIN people AS p ON p.id = :person AND p.account_id = a.id
WHERE a.id = :account
""",
    steps=ARRAY(Text),
    metered=ARRAY(Text),
)


async def asker(at: Database | AsyncSession, **values: Any) -> Row | None:
    """One account, and a person of it, as `accounts.facts.Asker` reads it; None where there is no such account."""
    found = await rows(at, _ASKER, values)
    return dict(found[0]) if found else None


# --- health

_FACTS = """
WITH chosen AS (
  SELECT id, created_at, CASE WHEN :with_attributes THEN attributes END AS attributes FROM accounts WHERE created_at <= :at {only_id}
), bought AS (
  SELECT account_id, sum(seats) AS seats, max(term_months) AS term_months, bool_and(auto_renew) AS auto_renew,
         min(renews_on) FILTER (WHERE renews_on >= :day) AS renews_on,
         (array_agg(plan ORDER BY amount / per_months DESC NULLS LAST, at, subscription_id))[1] AS plan
  FROM (
    SELECT DISTINCT ON (subscription_id) * FROM subscription_changes
    WHERE at <= :at {only} ORDER BY subscription_id, at DESC, id DESC) AS latest
  WHERE kind <> 'cancel' GROUP BY account_id
), members AS (
  SELECT account_id, count(*) FILTER (WHERE left_at IS NULL OR left_at > :at) AS people,
         count(*) FILTER (WHERE champion) AS champions,
         count(*) FILTER (WHERE champion AND (left_at IS NULL OR left_at > :at)
                          AND last_seen_at > :at - interval '30 days') AS champions_here
  FROM people WHERE account_id IS NOT NULL AND created_at <= :at {only} GROUP BY account_id
), bills AS (
  SELECT account_id,
         coalesce(max(:day - due_on) FILTER (WHERE (paid_on IS NULL OR paid_on > :day) AND due_on < :day), 0) AS days_late,
         avg(CASE WHEN paid_on <= due_on THEN 0 ELSE 1 END) FILTER (WHERE due_on BETWEEN :day - 365 AND :day - 1) AS late_share
  FROM invoices WHERE issued_on <= :day {only} GROUP BY account_id
), taught AS (
  SELECT account_id, count(*) FILTER (WHERE attended) AS attended FROM trainings
  WHERE held_on BETWEEN :day - 365 AND :day {only} GROUP BY account_id
), done AS (
  SELECT account_id, jsonb_object_agg(name, first_at) FILTER (WHERE name = ANY(:steps)) AS firsts
  FROM account_events WHERE first_at <= :at {only} GROUP BY account_id
), marked AS (
  SELECT account_id, jsonb_object_agg(step, done_at) AS marks FROM onboarding_marks
  WHERE done_at <= :at {only} GROUP BY account_id
), used AS (
  SELECT account_id,
         sum(events) FILTER (WHERE day > :day - 28) AS recent, sum(events) FILTER (WHERE day <= :day - 28) AS past,
         -- One bit a day, as counting different days would sort every account's.
         bit_count(bit_or(CAST(1 AS bit(28)) << (:day - day)) FILTER (WHERE day > :day - 28)) AS days, max(day) AS last_day,
         sum(events) FILTER (WHERE day > :day - 7) AS week,
         sum(events) FILTER (WHERE day BETWEEN :day - 34 AND :day - 7) AS four_weeks_before,
         sum(sessions) FILTER (WHERE day > :day - 28) AS sessions,
         sum(minutes) FILTER (WHERE day > :day - 28) AS minutes
  FROM daily_people WHERE day BETWEEN :day - 83 AND :day {only} GROUP BY account_id
), active AS (
  SELECT account_id, count(*) AS people FROM (
    SELECT DISTINCT account_id, person_id FROM daily_people
    WHERE day BETWEEN :day - 27 AND :day AND person_id <> '' {only}) AS distinct_people GROUP BY account_id
), kinds AS (
  SELECT account_id, count(*) AS kinds FROM (
    SELECT DISTINCT account_id, name FROM daily_events
    WHERE day BETWEEN :day - 27 AND :day {only}) AS distinct_names GROUP BY account_id
), recommended AS (
  SELECT account_id, avg(score) AS nps FROM (
    SELECT DISTINCT ON (account_id, person_id) account_id, score FROM surveys
    WHERE kind = 'nps' AND answered_at <= :at AND answered_at > :at - interval '365 days' {only}
    ORDER BY account_id, person_id, answered_at DESC) AS latest GROUP BY account_id
), satisfied AS (
  SELECT account_id, avg(score) AS csat FROM surveys
  WHERE kind = 'csat' AND answered_at <= :at AND answered_at > :at - interval '180 days' {only} GROUP BY account_id
), asked AS (
  SELECT account_id,
         count(*) FILTER (WHERE kind = 'complaint' AND opened_at > :at - interval '90 days') AS complaints,
         count(*) FILTER (WHERE opened_at > :at - interval '30 days') AS tickets,
         count(*) FILTER (WHERE opened_at <= :at - interval '30 days') AS tickets_before
  FROM tickets WHERE opened_at <= :at AND opened_at > :at - interval '120 days' {only} GROUP BY account_id
)
SELECT chosen.id, chosen.created_at, chosen.attributes, bought.account_id IS NOT NULL AS subscribed, bought.plan, bought.seats, bought.term_months, bought.auto_renew, bought.renews_on,
       members.people AS members, members.champions, members.champions_here, bills.days_late, bills.late_share, taught.attended, done.firsts, marked.marks,
       done.account_id IS NOT NULL AS ever_used, used.recent, used.past, used.days, used.sessions, used.minutes,
       used.last_day, used.week, used.four_weeks_before,
       active.people AS active, kinds.kinds, recommended.nps, satisfied.csat,
       asked.complaints, asked.tickets, asked.tickets_before,
       EXISTS (SELECT FROM tickets) AS any_tickets, EXISTS (SELECT FROM trainings) AS any_trainings
FROM chosen
LEFT JOIN bought ON bought.account_id = chosen.id LEFT JOIN members ON members.account_id = chosen.id
LEFT JOIN bills ON bills.account_id = chosen.id LEFT JOIN taught ON taught.account_id = chosen.id
LEFT JOIN done ON done.account_id = chosen.id LEFT JOIN marked ON marked.account_id = chosen.id
LEFT JOIN used ON used.account_id = chosen.id LEFT JOIN active ON active.account_id = chosen.id
LEFT JOIN kinds ON kinds.account_id = chosen.id LEFT JOIN recommended ON recommended.account_id = chosen.id
LEFT JOIN satisfied ON satisfied.account_id = chosen.id LEFT JOIN asked ON asked.account_id = chosen.id
"""


def _facts_sql(only: bool) -> str:
    return _FACTS.format(
        only_id="AND id = ANY(:ids)" if only else "", only="AND account_id = ANY(:ids)" if only else ""
    )


_TYPES = (bindparam("steps", type_=postgresql.ARRAY(m.Account.id.type)),)
_FACTS_OF_ALL = text(_facts_sql(only=False)).bindparams(*_TYPES)
_FACTS_OF_SOME = text(_facts_sql(only=True)).bindparams(*_TYPES)


async def health_rows(
    session: AsyncSession,
    ids: Collection[str] | None,
    steps: Collection[str],
    at: datetime,
    *,
    with_attributes: bool = False,
) -> list[Row]:
    """What health is worked out from, as it was known at a time, one row an account.

    Args:
        ids: these accounts, or None for all.
        steps: names of the events that do an onboarding step.
        with_attributes: the company's own attributes as well.
    """
    given: dict[str, Any] = {"at": at, "day": at.date(), "steps": list(steps), "with_attributes": with_attributes}
    if ids is None:
        result = await session.execute(_FACTS_OF_ALL, given)
    else:
        result = await session.execute(_FACTS_OF_SOME, given | {"ids": list(ids)})
    return [dict(row) for row in result.mappings()]


async def scores_between(session: AsyncSession, account_id: str, since: date, before: date) -> list[m.HealthScore]:
    """Health scores of the days from `since` up to but without `before`, oldest first."""
    query = (
        select(m.HealthScore)
        .where(m.HealthScore.account_id == account_id, m.HealthScore.day >= since, m.HealthScore.day < before)
        .order_by(m.HealthScore.day)
    )
    return list((await session.execute(query)).scalars())


async def bands_before(session: AsyncSession, ids: Collection[str] | None, day: date) -> dict[str, str | None]:
    """The band of each account's last score before a day, of the 40 days before it."""
    only = "AND account_id = ANY(:ids)" if ids is not None else ""
    query = text(
        "SELECT DISTINCT ON (account_id) account_id, band FROM health_scores "  # noqa: S608  # made of constants
        f"WHERE day < :day AND day >= :day - 40 {only} ORDER BY account_id, day DESC"
    )
    result = await session.execute(query, {"day": day} | ({"ids": list(ids)} if ids is not None else {}))
    return {row.account_id: row.band for row in result}


async def notes(session: AsyncSession, account_id: str, limit: int = 20) -> list[m.AccountNote]:
    """The latest notes, newest first."""
    query = (
        select(m.AccountNote)
        .where(m.AccountNote.account_id == account_id)
        .order_by(m.AccountNote.created_at.desc(), m.AccountNote.id.desc())
    )
    return list((await session.execute(query.limit(limit))).scalars())


_BY_KIND: dict[str, type[Base]] = {
    "accounts": m.Account,
    "people": m.Person,
    "tickets": m.Ticket,
    "invoices": m.Invoice,
    "surveys": m.Survey,
    "trainings": m.Training,
}


async def count_new(session: AsyncSession, kind: str, ids: Collection[str]) -> int:
    """How many of these ids there are not yet."""
    key = _table(_BY_KIND[kind]).c.id
    known = 0
    for chunk in chunks(ids):
        known += (await session.execute(select(func.count()).where(_any(key, chunk)))).scalar_one()
    return len(ids) - known


async def scores_from(session: AsyncSession, account_id: str, day: date) -> list[m.HealthScore]:
    """Health scores from a day on, oldest first."""
    query = (
        select(m.HealthScore)
        .where(m.HealthScore.account_id == account_id, m.HealthScore.day >= day)
        .order_by(m.HealthScore.day)
    )
    return list((await session.execute(query)).scalars())


async def usage_from(session: AsyncSession, account_id: str, day: date) -> list[Row]:
    """Days of use from a day on."""
    query = text(
        "SELECT day, sum(events) AS events, count(*) FILTER (WHERE person_id <> '') AS people FROM daily_people "
        "WHERE account_id = :account AND day >= :day GROUP BY day"
    )
    return [dict(row) for row in (await session.execute(query, {"account": account_id, "day": day})).mappings()]


_STANDINGS = """
WITH latest AS (
  SELECT DISTINCT ON (account_id) account_id, score, band FROM health_scores
  WHERE day <= CAST(:day AS date) ORDER BY account_id, day DESC
), earlier AS (
  SELECT DISTINCT ON (account_id) account_id, score FROM health_scores
  WHERE day <= CAST(:day AS date) - 30 AND day > CAST(:day AS date) - 37 ORDER BY account_id, day DESC
), pays AS (
  SELECT DISTINCT ON (account_id) account_id, plan, renews_on FROM subscriptions
  WHERE cancelled_at IS NULL OR cancelled_at > :now ORDER BY account_id, amount / per_months DESC NULLS LAST
)
SELECT accounts.id AS account_id, accounts.name, accounts.owner, CAST(latest.score AS double precision) AS score, latest.band,
       CAST(latest.score - earlier.score AS double precision) AS change, pays.plan, pays.renews_on
FROM accounts LEFT JOIN latest ON latest.account_id = accounts.id LEFT JOIN earlier ON earlier.account_id = accounts.id
LEFT JOIN pays ON pays.account_id = accounts.id
"""


async def standings(
    session: AsyncSession, now: datetime, *, words: str, band: str | None, owner: str | None, limit: int
) -> list[Row]:
    """Accounts with their latest score, the worst first."""
    query = text(
        _STANDINGS
        + """WHERE (:words = '' OR strpos(lower(accounts.name), lower(:words)) > 0 OR accounts.id = :words)
          AND (CAST(:band AS text) IS NULL OR latest.band = :band)
          AND (CAST(:owner AS text) IS NULL OR lower(accounts.owner) = lower(:owner))
        ORDER BY latest.score NULLS LAST, accounts.name LIMIT :limit"""
    )
    given = {"now": now, "day": now.date(), "words": words, "band": band, "owner": owner, "limit": limit}
    return [dict(row) for row in (await session.execute(query, given)).mappings()]


async def movers(session: AsyncSession, now: datetime, limit: int) -> list[Row]:
    """Accounts by how much their score changed in 30 days."""
    query = text(
        _STANDINGS + "WHERE latest.score <> earlier.score ORDER BY abs(latest.score - earlier.score) DESC LIMIT :limit"
    )
    return [
        dict(row) for row in (await session.execute(query, {"now": now, "day": now.date(), "limit": limit})).mappings()
    ]


async def bands(session: AsyncSession, now: datetime) -> list[Row]:
    """How many accounts are in each band by their latest score."""
    query = text(f"SELECT band, count(*) AS accounts FROM ({_STANDINGS}) AS standing GROUP BY band")  # noqa: S608  # a constant
    return [dict(row) for row in (await session.execute(query, {"now": now, "day": now.date()})).mappings()]


# --- key figures


async def history(session: AsyncSession, end: datetime) -> list[Row]:
    """Every line of every subscription's history before a moment, by account and then time."""
    result = await session.execute(
        text(
            "SELECT account_id, subscription_id, at, kind, plan, amount, currency, per_months, reason "
            "FROM subscription_changes WHERE at < :end ORDER BY account_id, at, id"
        ),
        {"end": end},
    )
    return [dict(row) for row in result.mappings()]


async def account_names(session: AsyncSession, ids: Collection[str]) -> dict[str, str]:
    """Names, by id."""
    query = select(m.Account.id, m.Account.name).where(m.Account.id.in_(ids))
    return {row[0]: row[1] for row in (await session.execute(query)).all()}


async def account_traits(session: AsyncSession, name: str | None) -> dict[str, Any]:
    """One trait of every account: its owner, or an attribute; None where no name is given."""
    value: Any = text("NULL")
    if name is not None:
        value = m.Account.owner if name == "owner" else m.Account.attributes[name].astext
    return {row[0]: row[1] for row in await session.execute(select(m.Account.id, value))}


_PERIOD = {
    # Each person's latest answer alone.
    "nps": """
SELECT account_id, sum(CASE WHEN score >= 9 THEN 1 WHEN score <= 6 THEN -1 ELSE 0 END) AS nps, count(*) AS nps_answers
FROM (SELECT DISTINCT ON (account_id, person_id) account_id, score FROM surveys
      WHERE kind = 'nps' AND answered_at >= :start AND answered_at < :end
      ORDER BY account_id, person_id, answered_at DESC) AS latest
WHERE account_id IS NOT NULL GROUP BY account_id""",
    "csat": """
SELECT account_id, count(*) FILTER (WHERE score >= 4) AS csat, count(*) AS csat_answers FROM surveys
WHERE kind = 'csat' AND answered_at >= :start AND answered_at < :end AND account_id IS NOT NULL GROUP BY account_id""",
    "people": """
SELECT account_id, count(*) AS people FROM people
WHERE account_id IS NOT NULL AND created_at < :end AND (left_at IS NULL OR left_at >= :end) GROUP BY account_id""",
    # Of those who are counted as people.
    "active": """
SELECT daily_people.account_id, count(DISTINCT person_id) AS active FROM daily_people
JOIN people ON people.id = person_id AND people.account_id = daily_people.account_id
WHERE day >= :active_day AND day < :end_day AND created_at < :end AND (left_at IS NULL OR left_at >= :end)
GROUP BY daily_people.account_id""",
    "use": """
SELECT account_id, sum(minutes) AS minutes, sum(sessions) AS sessions FROM daily_people
WHERE day >= :start_day AND day < :end_day GROUP BY account_id""",
}


async def period_figures(
    session: AsyncSession, start: datetime, end: datetime, active_from: datetime
) -> dict[str, dict[str, int]]:
    """Answers, people and use of a period, by what they are and then by account. Days are whole UTC days."""
    found: dict[str, dict[str, int]] = {}
    for query in _PERIOD.values():
        moments = {"start": start, "end": end, "active": active_from}
        given = moments | {f"{name}_day": moment.astimezone(UTC).date() for name, moment in moments.items()}
        used = {name: value for name, value in given.items() if re.search(rf":{name}\b", query)}
        for row in (await session.execute(text(query), used)).mappings():
            for name in row:
                if name != "account_id":
                    found.setdefault(name, {})[row["account_id"]] = int(row[name])
    return found


async def use_by_week(session: AsyncSession) -> list[Row]:
    """Of each week in which anybody used the product: its Monday, and the accounts that did as a share of those with a subscription then."""
    query = text(
        "WITH weeks AS (SELECT CAST(date_trunc('week', day) AS date) AS week, count(DISTINCT account_id) AS used "
        "FROM daily_people GROUP BY 1) "
        "SELECT week, CAST(used AS double precision) / greatest(1, (SELECT count(DISTINCT account_id) FROM subscriptions "
        "WHERE started_at < week + 7 AND (cancelled_at IS NULL OR cancelled_at > week))) AS share FROM weeks ORDER BY week"
    )
    return [dict(row) for row in (await session.execute(query)).mappings()]


async def last_ends(session: AsyncSession) -> dict[str, datetime]:
    """When each account that has no running subscription any more ended its last one."""
    result = await session.execute(
        text(
            "SELECT account_id, max(at) AS at FROM ("
            "  SELECT DISTINCT ON (subscription_id) account_id, at, kind FROM subscription_changes"
            "  ORDER BY subscription_id, at DESC, id DESC) AS latest "
            "GROUP BY account_id HAVING bool_and(kind = 'cancel')"
        )
    )
    return {row.account_id: row.at for row in result}


# --- erasure


async def delete_events(session: AsyncSession, before: datetime, limit: int) -> int:
    """Removes raw events that came in before a moment, at most so many."""
    old = select(m.Event.message_id).where(m.Event.received_at < before).limit(limit)
    gone = await session.execute(delete(m.Event).where(m.Event.message_id.in_(old)).returning(m.Event.message_id))
    return len(gone.all())


async def erase_person(session: AsyncSession, person_id: str, stand_in: str) -> None:
    """Removes a person: their row and raw events go; what is counted stays, under a name that leads nowhere; what they wrote goes."""
    given = {"id": person_id, "stand_in": stand_in}
    for query in (
        "DELETE FROM events WHERE person_id = :id",
        "UPDATE daily_people SET person_id = :stand_in WHERE person_id = :id",
        "UPDATE surveys SET person_id = :stand_in, comment = NULL, conversation_id = NULL WHERE person_id = :id",
        "UPDATE tickets SET person_id = NULL, subject = NULL WHERE person_id = :id",
        "UPDATE trainings SET person_id = NULL WHERE person_id = :id",
        "UPDATE onboarding_marks SET done_by = NULL WHERE done_by = :id",
        "DELETE FROM greetings WHERE visitor = :id",
        "DELETE FROM people WHERE id = :id",
    ):
        wanted = {name: value for name, value in given.items() if f":{name}" in query}
        await session.execute(text(query), wanted)


_WHOSE = {
    "accounts": {"accounts": ["id"]},
    "people": {"people": ["id"], "greetings": ["visitor"], "onboarding_marks": ["done_by"]},
    "conversations": {"greetings": ["conversation_id", "visitor"]},
}
"""Which columns of a table name an account, a person or a conversation, where they are not called so."""
_CALLED = {"accounts": "account_id", "people": "person_id", "conversations": "conversation_id"}


async def rows_of(session: AsyncSession, **whose: Sequence[str]) -> dict[str, list[Row]]:
    """Every row of this room's tables that belongs to one of these, by table, as plain data.

    Args:
        whose: ids of `accounts`, `people` and `conversations`.
    """
    found: dict[str, list[Row]] = {}
    for model in vars(m).values():
        if isinstance(model, type) and issubclass(model, Base) and model.__module__ == m.__name__:
            table = _table(model)
            named = {kind: _WHOSE[kind].get(table.name, [_CALLED[kind]]) for kind in whose}
            owned = [f"t.{each} = ANY(:{kind})" for kind, names in named.items() for each in names if each in table.c]
            if owned:
                query = text(f"SELECT to_jsonb(t) FROM {table.name} t WHERE {' OR '.join(owned)} ORDER BY 1")  # noqa: S608  # names of our own tables and columns
                given = {kind: list(ids) for kind, ids in whose.items() if f":{kind}" in query.text}
                found[table.name] = list((await session.execute(query, given)).scalars())
    return found


async def leave_conversations(session: AsyncSession, ids: Sequence[str]) -> None:
    """Takes the ids of conversations that go out of what stays, and what a visitor wrote of one; scores and greetings still count."""
    for query in (
        "UPDATE surveys SET conversation_id = NULL, comment = CASE WHEN person_id IS NULL THEN NULL ELSE comment END "
        "WHERE conversation_id = ANY(:ids)",
        "UPDATE greetings SET conversation_id = NULL, visitor = CASE WHEN visitor = conversation_id THEN id ELSE visitor END "
        "WHERE conversation_id = ANY(:ids)",
    ):
        await session.execute(text(query), {"ids": list(ids)})


async def notes_with(session: AsyncSession, account_id: str, words: Collection[str]) -> list[Row]:
    """An account's notes that hold one of these words, in any case, as plain data."""
    query = text(
        "SELECT to_jsonb(n) FROM account_notes n WHERE account_id = :account "
        "AND EXISTS (SELECT FROM unnest(CAST(:words AS text[])) AS w WHERE strpos(lower(text), lower(w)) > 0) ORDER BY id"
    )
    return list((await session.execute(query, {"account": account_id, "words": list(words)})).scalars())


# --- surveys and greetings


async def survey_of(session: AsyncSession, conversation_id: str, kind: str) -> m.Survey | None:
    query = select(m.Survey).where(m.Survey.conversation_id == conversation_id, m.Survey.kind == kind)
    return (await session.execute(query)).scalar_one_or_none()


async def surveys_of(session: AsyncSession, person_id: str) -> list[m.Survey]:
    """What a person was asked, the last twenty."""
    query = select(m.Survey).where(m.Survey.person_id == person_id).order_by(m.Survey.asked_at.desc()).limit(20)
    return list((await session.execute(query)).scalars())


async def greetings_of(session: AsyncSession, visitor: str, since: datetime) -> list[m.Greeting]:
    """The greetings a person was shown, oldest first."""
    query = (
        select(m.Greeting)
        .where(m.Greeting.visitor == visitor, m.Greeting.shown_at >= since)
        .order_by(m.Greeting.shown_at)
    )
    return list((await session.execute(query)).scalars())


async def greeting_in(session: AsyncSession, conversation_id: str) -> m.Greeting | None:
    """The greeting a conversation began with."""
    query = select(m.Greeting).where(m.Greeting.conversation_id == conversation_id)
    return (await session.execute(query.order_by(m.Greeting.shown_at.desc()).limit(1))).scalar_one_or_none()


async def greeting_counts(session: AsyncSession, start: datetime, end: datetime) -> list[Row]:
    """How often each greeting was shown, clicked and led to something resolved, of those shown in a period."""
    query = (
        select(
            m.Greeting.rule,
            func.count().label("shown"),
            func.count(m.Greeting.clicked_at).label("clicked"),
            func.count(m.Greeting.resolved_at).label("resolved"),
        )
        .where(m.Greeting.shown_at >= start, m.Greeting.shown_at < end)
        .group_by(m.Greeting.rule)
        .order_by(m.Greeting.rule)
    )
    return [dict(row) for row in (await session.execute(query)).mappings()]
