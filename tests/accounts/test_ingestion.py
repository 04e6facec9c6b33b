"""Events in, and what becomes of them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from accounts.ingestion import ingest
from accounts.records import put_account, put_people
from accounts.schemas import PutAccount, PutPerson, clean
from kit.database import Database


def track(event: str, at: datetime, user: str | None = "u", group: str | None = "g", **more: Any) -> dict[str, Any]:
    """A message as Segment's client sends it."""
    made: dict[str, Any] = {
        "type": "track",
        "event": event,
        "timestamp": at.isoformat(),
        "userId": user,
        "properties": {},
    }
    return made | {"context": {"groupId": group} if group else {}, "messageId": f"{event}{at}{user}"} | more


async def days(session: AsyncSession, account: str = "g") -> list[Mapping[str, Any]]:
    """The daily figures of an account."""
    query = (
        "SELECT day, CAST(sum(events) AS integer) AS events, count(*) FILTER (WHERE person_id <> '') AS people, "
        "sum(sessions) AS sessions, sum(minutes) AS minutes FROM daily_people WHERE account_id = :a GROUP BY day ORDER BY day"
    )
    return [dict(row) for row in (await session.execute(text(query), {"a": account})).mappings()]


async def test_events_become_daily_figures(session: AsyncSession, now: datetime) -> None:
    """Two people, two sessions of one of them: slots of five minutes, sessions apart by half an hour."""
    morning = now.replace(hour=8)
    batch = [track("a", morning + timedelta(minutes=minute)) for minute in (0, 4, 7, 60)]
    batch.append(track("b", morning, user="v"))
    result = await ingest(session, batch, now)
    assert (result.accepted, result.duplicates, result.rejected, result.accounts) == (5, 0, [], ["g"])
    assert await days(session) == [{"day": now.date(), "events": 5, "people": 2, "sessions": 3, "minutes": 20}]


async def test_a_message_counts_once(session: AsyncSession, now: datetime) -> None:
    """Twice in a batch, in a retry, and without a messageId of its own."""
    one = track("a", now)
    nameless = track("b", now, messageId=None)
    assert (await ingest(session, [one, one, nameless], now)).accepted == 2
    again = await ingest(session, [nameless, one], now)
    assert (again.accepted, again.duplicates) == (0, 2)
    assert (await days(session))[0]["events"] == 2


async def test_a_late_event_lands_on_its_own_day(session: AsyncSession, now: datetime) -> None:
    """Yesterday's event that comes today changes yesterday."""
    await ingest(session, [track("a", now)], now)
    await ingest(session, [track("a", now - timedelta(days=400)), track("b", now - timedelta(days=1))], now)
    assert [row["day"] for row in await days(session)] == [(now - timedelta(days=back)).date() for back in (400, 1, 0)]


async def test_the_future_is_drift_or_refused(session: AsyncSession, now: datetime) -> None:
    """Ten minutes ahead is now; a second more is refused, and the others are taken."""
    batch = [track("a", now + timedelta(minutes=10)), track("b", now + timedelta(minutes=10, seconds=1))]
    result = await ingest(session, batch, now)
    assert result.accepted == 1
    assert [(each.index, "in the future" in each.reason) for each in result.rejected] == [(1, True)]
    at = (await session.execute(text("SELECT at FROM events WHERE name = 'a'"))).scalar_one()
    assert at == now


async def test_a_clients_wrong_clock_is_corrected(session: AsyncSession, now: datetime) -> None:
    """A client three days ahead says so by `sentAt`."""
    ahead = timedelta(days=3)
    result = await ingest(session, [track("a", now + ahead - timedelta(minutes=5))], now, sent_at=now + ahead)
    assert result.accepted == 1
    at = (await session.execute(text("SELECT at FROM events"))).scalar_one()
    assert at == now - timedelta(minutes=5)


async def test_events_from_before_the_account_was_known_are_counted_then(session: AsyncSession, now: datetime) -> None:
    """track, then identify, then group, in separate requests."""
    await ingest(session, [track("a", now - timedelta(days=2), group=None)], now)
    assert await days(session) == []
    identify = {"type": "identify", "userId": "u", "traits": {"email": "u@x.example"}, "messageId": "i"}
    await ingest(session, [identify], now)
    group = {"type": "group", "userId": "u", "groupId": "g", "traits": {"name": "G"}, "messageId": "j"}
    result = await ingest(session, [group], now)
    assert result.accounts == ["g"]
    assert [row["events"] for row in await days(session)] == [1]
    await ingest(session, [track("a", now, group=None)], now)
    assert [row["events"] for row in await days(session)] == [1, 1]


async def test_events_are_counted_however_the_account_becomes_known(session: AsyncSession, now: datetime) -> None:
    """By REST or a CSV of people as well; what is no use stays uncounted, and saying it again counts nothing twice."""
    await ingest(session, [track("a", now, group=None), track("b", now, group=None, user="other")], now)
    await ingest(session, [{"type": "alias", "userId": "u", "messageId": "alias"}], now)
    await put_account(session, "g", PutAccount(name="G"), now)
    for _ in range(2):
        await put_people(session, [("u", PutPerson(account_id="g"), now)])
        assert [(row["events"], row["people"]) for row in await days(session)] == [(1, 1)]
    await ingest(session, [track("c", now, group=None)], now)
    assert [row["events"] for row in await days(session)] == [2]


async def test_identify_and_group_say_what_is_known(session: AsyncSession, now: datetime) -> None:
    """Known traits become fields, others attributes; older news changes nothing."""

    def say(kind: str, at: datetime, **traits: Any) -> dict[str, Any]:
        return {"type": kind, "userId": "u", "groupId": "g", "traits": traits, "timestamp": at.isoformat()}

    await ingest(session, [say("group", now, name="Now", plan="pro", seats=5, industry="food")], now)
    await ingest(
        session, [say("identify", now, firstName="Ada", lastName="L", email="a@x", shoe=38, language="ja")], now
    )
    await ingest(
        session,
        [say("group", now - timedelta(days=9), name="Then"), say("identify", now - timedelta(days=9), email="old")],
        now,
    )
    account = (await session.execute(text("SELECT name, attributes FROM accounts"))).one()
    assert tuple(account) == ("Now", {"industry": "food"})
    person = (await session.execute(text("SELECT name, email, lang, account_id, attributes FROM people"))).one()
    assert tuple(person) == ("Ada L", "a@x", "ja", "g", {"shoe": 38})
    assert (await session.execute(text("SELECT plan, seats FROM subscriptions"))).one() == ("pro", 5)


async def test_a_bad_message_does_not_stop_the_others(session: AsyncSession, now: datetime) -> None:
    """Each is named with its reason; what PostgreSQL cannot hold is cleaned."""
    batch: list[Any] = [
        {"type": "track", "userId": "u", "messageId": "1"},
        {"type": "nonsense", "userId": "u"},
        {"type": "track", "event": "x"},
        {"type": "group", "userId": "u"},
        "not a message",
        track("odd", now, properties={"a\x00b": "c\x00\ud800", "n": 2**80, "f": float("nan"), "deep": [[[[1]]]]}),
    ]
    result = await ingest(session, batch, now)
    assert result.accepted == 1
    assert [each.index for each in result.rejected] == [0, 1, 2, 3, 4]
    assert "event" in result.rejected[0].reason
    kept = (await session.execute(text("SELECT properties FROM events"))).scalar_one()
    assert kept["ab"] == "c?"


async def test_one_secret_among_many_is_masked_and_the_others_stay(session: AsyncSession, now: datetime) -> None:
    """The properties of a batch are looked at together; what is kept is what each by itself would leave."""
    bags = [{"n": n, "said": f"thing {n}"} for n in range(20)]
    bags[7] |= {"said": "my card is 4242 4242 4242 4242", "password": "zq-Geheim9", "user_id": "4242424242424242"}
    await ingest(session, [track(f"e{n:02}", now, properties=bag) for n, bag in enumerate(bags)], now)
    kept = (await session.execute(text("SELECT properties FROM events ORDER BY name"))).scalars().all()
    assert kept == [clean(bag) for bag in bags]
    assert "4242 4242" not in str(kept[7])
    assert "Geheim" not in str(kept[7])


async def test_quantities_are_summed_by_name(session: AsyncSession, now: datetime) -> None:
    """A number counts as much as it says; anything else counts one."""
    values: list[Any] = [340, 2.5, "7", None, True, -3]
    batch = [track("run", now - timedelta(minutes=n), properties={"quantity": value}) for n, value in enumerate(values)]
    await ingest(session, batch, now)
    row = (await session.execute(text("SELECT times, quantity FROM daily_events"))).one()
    assert tuple(row) == (6, Decimal("346.5"))


moments = st.datetimes(datetime(2026, 11, 1), datetime(2026, 11, 4), timezones=st.just(UTC))
messages = st.lists(
    st.tuples(st.sampled_from("uvw"), st.sampled_from("ab"), moments), min_size=1, max_size=25, unique=True
)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(messages=messages, cuts=st.integers(1, 5), order=st.randoms())
async def test_order_and_batches_do_not_matter(
    database: Database, messages: list[tuple[str, str, datetime]], cuts: int, order: Any
) -> None:
    """The same events, shuffled, in other batches and some of them twice, give the same days."""
    now = datetime(2026, 11, 5, tzinfo=UTC)
    batch = [track(name, at, user=user) for user, name, at in messages]
    mixed = [*batch, *batch[: len(batch) // 2]]
    order.shuffle(mixed)
    outcomes = []
    for parts in ([batch], [mixed[part::cuts] for part in range(cuts)]):
        async with database.session() as session:
            for part in parts:
                await ingest(session, part, now)
            events = await session.execute(text("SELECT day, name, times, quantity FROM daily_events ORDER BY 1, 2"))
            spans = await session.execute(text("SELECT name, first_at FROM account_events ORDER BY 1"))
            outcomes.append((await days(session), events.all(), spans.all()))
            await session.rollback()
    assert outcomes[0] == outcomes[1]
