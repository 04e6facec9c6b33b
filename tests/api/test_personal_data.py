"""Forgetting and handing out, over every room at once."""

from __future__ import annotations

import ast
import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from accounts import greetings, surveys
from accounts.greetings import Chosen
from accounts.ingestion import ingest
from accounts.records import add_note, mark_step, put_account, put_person, put_records
from accounts.schemas import PutAccount, PutInvoice, PutPerson, PutTicket, PutTraining
from api import audit, personal_data
from conversations import erasing, good_replies, log
from conversations.bodies import Choice, Choices
from escalations import csms, policy, queue
from escalations.csms import CsmEntry
from escalations.policy import Facts
from escalations.queue import Asker
from kit.company import Company, Support
from kit.errors import NotFound
from kit.ids import new_id
from tests.accounts.scores import keep_score

NOW = datetime(2026, 11, 18, 12, tzinfo=UTC)
COMPANY = Company(name="Acme", product="Acme", summary={"en": "", "ja": ""}, support=Support(email="help@acme.example"))
RULES = {rule.id: rule for rule in policy.load(policy.DEFAULT).rules}
PAT = ("zq-pat-id", "zq-pat@mail.example", "Zqpatricia", "zq-secret-words")
"""Everything by which the person is known: id, address, name, and the words they wrote."""


def rasa_table(root: Path) -> str:
    """The statements with which Rasa's side makes its table, read from its source: that environment is another."""
    tree = ast.parse((root / "bot" / "tracker_store.py").read_text())
    wanted = next(
        node.value
        for node in tree.body
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "_SET_UP"
    )
    return str(ast.literal_eval(wanted))


async def everywhere(session: AsyncSession, root: Path) -> tuple[str, str]:
    """An account `zq-corp` with Pat in every table of every room that can hold a person.

    Returns:
        Pat's conversation as a customer, and one as a visitor who left their address.
    """
    id_, email, name, words = PAT
    await put_account(session, "zq-corp", PutAccount(name="Zqcorp", plan="pro", owner="owner@acme.example"), NOW)
    await put_person(session, id_, PutPerson(account_id="zq-corp", email=email, name=name), NOW)
    await put_person(session, "zq-colleague", PutPerson(account_id="zq-corp", name="Colleague"), NOW)
    track = {"type": "track", "userId": id_, "event": "run", "properties": {"by": name}, "messageId": new_id("evt")}
    await ingest(session, [track], NOW)
    mine = {"account_id": "zq-corp", "person_id": id_}
    await put_records(session, [PutTicket(id="zq-t", subject=words, opened_at=NOW, **mine)])
    await put_records(session, [PutTraining(id="zq-l", name="Basics", held_on=NOW.date(), **mine)])
    await put_records(
        session,
        [
            PutInvoice(
                id="zq-i", account_id="zq-corp", issued_on=NOW.date(), due_on=NOW.date(), amount=1, currency="USD"
            )
        ],
    )
    await add_note(session, "zq-corp", "csm@acme.example", "a plain note", NOW)
    await mark_step(session, "zq-corp", "invite", NOW, by=id_)
    await keep_score(session, "zq-corp", NOW, Decimal(50))
    conversation = (await log.start(session, lang="en", now=NOW, account_id="zq-corp", person_id=id_)).id
    survey = await surveys.ask(session, "csat", NOW, account_id="zq-corp", person_id=id_, conversation_id=conversation)
    assert survey is not None
    await surveys.answer(session, survey, 4, NOW, comment=words)
    shown = Chosen(rule="welcome", text="", replies=[])
    await greetings.show(session, shown, NOW, visitor=id_, account_id="zq-corp", conversation_id=conversation)
    await log.mint_token(session, conversation, None)
    await log.leave_email(session, conversation, email)
    await log.append(
        session, conversation, "bot", Choices(text=f"Hello {name}", choices=[Choice(id="x", label="X")]), NOW
    )
    await log.accept(session, conversation, "c1", words, NOW)
    await log.give_feedback(session, conversation, 1, NOW, helpful=False, comment=words)
    csm = await csms.add(session, CsmEntry(email=f"{new_id('dana')}@acme.example", name="Dana"), None, NOW)
    await log.add_note(session, conversation, csm.id, f"{name} sounds upset", NOW)
    raised = await queue.raise_(
        session,
        COMPANY,
        conversation_id=conversation,
        rule=RULES["wish"],
        facts=Facts(known=True),
        asker=Asker(account_id="zq-corp", account_name="Zqcorp"),
        lang="en",
        now=NOW,
    )
    await queue.claim(session, raised.escalation.id, csm, NOW)
    reply = await queue.reply(session, conversation, csm, f"Dear {name}, {words}", NOW)
    await good_replies.mark(session, conversation, reply, csm.id, NOW)
    await good_replies.drafted(session, conversation, reply, "zq-drafted")
    await queue.resolve(session, raised.escalation.id, csm, NOW, reason=f"helped {name}")
    visitor = (await log.start(session, lang="en", now=NOW)).id
    await log.leave_email(session, visitor, email.upper())
    await log.accept(session, visitor, "c1", words, NOW)
    await greetings.show(session, shown, NOW, visitor=visitor, account_id=None, conversation_id=visitor)
    survey = await surveys.ask(session, "csat", NOW, account_id=None, person_id=None, conversation_id=visitor)
    assert survey is not None
    await surveys.answer(session, survey, 2, NOW, comment=words)
    connection = (await (await session.connection()).get_raw_connection()).driver_connection
    assert connection is not None
    await connection.execute(rasa_table(root))  # several at once, which a session does not take
    for kept in (conversation, visitor):
        await session.execute(
            text("INSERT INTO rasa.rasa_trackers (sender_id, events) VALUES (:id, :events)"),
            {"id": kept, "events": f'[{{"text": "{words}"}}]'},
        )
        await session.execute(
            text("INSERT INTO rasa.rasa_tracker_turns (sender_id, version, events) VALUES (:id, 1, :events)"),
            {"id": kept, "events": f'[{{"text": "{words} again"}}]'},
        )
    return conversation, visitor


async def tables(session: AsyncSession) -> list[str]:
    """Every table of every schema."""
    found = await session.execute(
        text(
            "SELECT format('%I.%I', table_schema, table_name) FROM information_schema.tables "
            "WHERE table_type = 'BASE TABLE' AND table_schema NOT IN ('pg_catalog', 'information_schema')"
        )
    )
    return list(found.scalars().all())


async def dump(session: AsyncSession) -> str:
    """Every row of every table of every schema, as text."""
    parts = [
        (await session.execute(text(f"SELECT t::text FROM {name} AS t"))).scalars().all()  # noqa: S608
        for name in await tables(session)
    ]
    return "\n".join(row for part in parts for row in part)


OF_NOBODY = {
    f"public.{name}" for name in ("alembic_version", "api_keys", "audit_log", "csms", "csm_sessions", "kept_settings")
} | {"public.daily_usage"}
"""Tables that hold nothing of a customer. What an older version left in `daily_usage` is an account's, and goes with it."""


async def test_every_table_that_can_hold_somebody_is_tried(session: AsyncSession, root: Path) -> None:
    """A new table is either filled by `everywhere`, so that the tests below search it, or named as one that holds nothing of a customer."""
    marks = [mark.lower() for mark in (*PAT, "zq-corp", *await everywhere(session, root))]
    found = await tables(session)
    empty = set()
    for name in found:
        rows = (await session.execute(text(f"SELECT t::text FROM {name} AS t"))).scalars().all()  # noqa: S608
        if not any(mark in row.lower() for row in rows for mark in marks):
            empty.add(name)
    assert sorted(empty - OF_NOBODY) == []
    assert sorted(OF_NOBODY - empty) == []


async def test_nothing_of_a_person_is_left_anywhere(session: AsyncSession, root: Path) -> None:
    """A dump of the whole database holds neither id, address, name nor a word they wrote; figures and others stay."""
    others = list((await session.execute(text("SELECT id FROM surveys"))).scalars())
    both = await everywhere(session, root)
    before = await dump(session)
    assert all(mark.lower() in before.lower() for mark in (*PAT, *both)), "the search must be able to find them"
    done = await personal_data.erase(session, "person", PAT[0], "a test", NOW)
    rest = (await dump(session)).lower()
    assert [mark for mark in (*PAT, *both) if mark.lower() in rest] == []
    assert "zq-colleague" in rest
    assert done.conversations == 2
    assert done.mentions == []
    assert done.articles == ["zq-drafted"]
    scores = "SELECT array_agg(score ORDER BY score) FROM surveys WHERE conversation_id IS NULL AND id <> ALL(:others)"
    assert (await session.execute(text(scores), {"others": others})).scalar_one() == [2, 4], "figures stay"
    people = "SELECT count(*) FROM daily_people WHERE account_id = 'zq-corp'"
    assert (await session.execute(text(people))).scalar_one() == 1
    with pytest.raises(NotFound):
        await personal_data.erase(session, "person", PAT[0], "a test", NOW)


async def remembered(session: AsyncSession) -> str:
    """The values that PostgreSQL remembers, to plan with, of tables that are not empty."""
    query = """
        SELECT concat(most_common_vals::text, histogram_bounds::text, most_common_elems::text) FROM pg_stats
        WHERE schemaname IN ('public', 'rasa') AND EXISTS (
            SELECT 1 FROM pg_class c LEFT JOIN pg_index x ON x.indexrelid = c.oid JOIN pg_class t ON t.oid = coalesce(x.indrelid, c.oid)
            WHERE c.oid = format('%I.%I', schemaname, tablename)::regclass AND t.reltuples > 0)
    """
    return "\n".join((await session.execute(text(query))).scalars())


async def test_what_the_database_plans_with_is_forgotten_too(session: AsyncSession, root: Path) -> None:
    """It keeps values out of rows, whole messages among them, until it looks at the table again."""
    both = await everywhere(session, root)
    other = await log.start(session, lang="en", now=NOW, account_id="zq-corp", person_id="zq-colleague")
    await log.accept(session, other.id, "c1", "what somebody else says", NOW)
    await session.execute(text(f"ANALYZE {', '.join(await tables(session))}"))
    before = (await remembered(session)).lower()
    assert all(mark.lower() in before for mark in (PAT[0], PAT[3], both[0])), "the search must be able to find them"
    await personal_data.erase(session, "person", PAT[0], "a test", NOW)
    rest = (await remembered(session)).lower()
    assert [mark for mark in (*PAT, *both) if mark.lower() in rest] == []


async def test_nothing_of_an_account_is_left_anywhere(session: AsyncSession, root: Path) -> None:
    """Nor of its people, nor in what was to be sent to the team."""
    both = await everywhere(session, root)
    assert "zqcorp" in (await dump(session)).lower()
    await personal_data.erase(session, "account", "zq-corp", "a test", NOW)
    rest = (await dump(session)).lower()
    assert [mark for mark in (*PAT, "zq-corp", "zqcorp", "zq-colleague", *both) if mark.lower() in rest] == []
    with pytest.raises(NotFound):
        await personal_data.erase(session, "account", "zq-corp", "a test", NOW)


async def test_the_audit_log_says_that_it_was_done(session: AsyncSession, root: Path) -> None:
    """Who did it and when, and for whom to one who knows the id; the id itself is not there."""
    await everywhere(session, root)
    await personal_data.erase(session, "person", PAT[0], "the operator", NOW)
    (newest,) = [entry for entry in await audit.recent(session, 1000) if entry.actor == "the operator"]
    assert (newest.action, newest.at) == ("erase", NOW)
    assert newest.detail["what"] == "person"
    assert PAT[0] not in str(newest.detail)


async def test_notes_that_name_the_person_are_pointed_out(session: AsyncSession, root: Path) -> None:
    """A CSM's own text is not cut up; the operator is told which notes to correct."""
    await everywhere(session, root)
    await add_note(session, "zq-corp", "csm@acme.example", f"Call {PAT[2].upper()} on Monday", NOW)
    done = await personal_data.erase(session, "person", PAT[0], "a test", NOW)
    (note,) = done.mentions
    found = await session.execute(text("SELECT text FROM account_notes WHERE id = :id"), {"id": note})
    assert found.scalar_one() == "Call ZQPATRICIA on Monday"


async def test_what_rasa_keeps_of_a_conversation_that_is_gone_goes_too(session: AsyncSession, root: Path) -> None:
    """It may save a conversation just after that was erased."""
    conversation, _ = await everywhere(session, root)
    await personal_data.erase(session, "person", PAT[0], "a test", NOW)
    await session.execute(
        text("INSERT INTO rasa.rasa_trackers (sender_id, events) VALUES (:id, '[]')"), {"id": conversation}
    )
    assert await erasing.sweep(session, timedelta(days=1)) >= 1
    assert conversation not in await dump(session)


OF_NO_EXPORT = {
    "public.conversation_tokens": "the hash of a secret, which says nothing of anybody and opens nothing",
}
"""Tables that hold something of a customer and are not handed out, and why."""


BESIDE = {"conversation_id", "escalation_id", "facts"}
"""Columns that stand above or beside a row in the document instead of in it."""


def objects(value: Any) -> list[dict[str, Any]]:
    """Every object in plain data, however deep."""
    inner = list(value.values()) if isinstance(value, dict) else value if isinstance(value, list) else []
    return [*([value] if isinstance(value, dict) else []), *(each for part in inner for each in objects(part))]


def is_handed_out(table: str, row: dict[str, Any], handed: list[dict[str, Any]]) -> bool:
    """Whether an object of the document has all that is in the row; of Rasa's, whether it has each event."""
    if table.startswith("rasa."):
        return all(event in handed for event in json.loads(row["events"]))
    wanted = {name: value for name, value in row.items() if name not in BESIDE}
    return any(wanted.items() <= each.items() for each in handed if wanted.keys() <= each.keys())


async def of_one(session: AsyncSession, table: str, marks: Sequence[str]) -> list[dict[str, Any]]:
    """The rows of a table in which one of these marks stands."""
    query = text(f"SELECT to_jsonb(t) FROM {table} AS t")  # noqa: S608  # a name of the catalogue
    return [row for row in (await session.execute(query)).scalars() if any(mark in str(row).lower() for mark in marks)]


@pytest.mark.parametrize("kind", ["person", "account"])
async def test_whatever_table_somebody_is_in_is_exported(
    session: AsyncSession, root: Path, kind: personal_data.Kind
) -> None:
    """Each value of each row in which they are named is in the document, of every table there is but those with a reason."""
    both = await everywhere(session, root)
    await add_note(session, "zq-corp", "csm@acme.example", f"Call {PAT[2].upper()} on Monday", NOW)
    names = PAT if kind == "person" else (*PAT, "zq-corp", "zq-colleague")
    document = await personal_data.export(session, kind, PAT[0] if kind == "person" else "zq-corp", "a test", NOW)
    handed = objects(json.loads(json.dumps(document)))
    marks = [mark.lower() for mark in (*names, *both)]
    missing, tried = {}, set()
    for table in sorted(set(await tables(session)) - OF_NOBODY):
        for row in await of_one(session, table, marks):
            tried.add(table)
            if not is_handed_out(table, row, handed):
                missing[table] = row
    assert set(missing) == set(OF_NO_EXPORT), missing
    assert "rasa.rasa_tracker_turns" in tried
    assert "public.outbox" in tried
    assert len(tried) > (18 if kind == "person" else 24), tried


async def test_export_is_everything_with_internal_apart(session: AsyncSession, root: Path) -> None:
    """What they wrote is in it, what CSMs noted is apart, and secrets are not in it."""
    conversation, _ = await everywhere(session, root)
    document = await personal_data.export(session, "person", PAT[0], "a test", NOW + timedelta(minutes=1))
    assert document["facts"]["people"][0]["email"] == PAT[1]
    mine = next(each for each in document["conversations"] if each["id"] == conversation)
    assert PAT[3] in [message["body"].get("text") for message in mine["messages"]]
    assert "sounds upset" not in str([document["facts"], document["conversations"]])
    assert "sounds upset" in str(document["internal"]["notes"])
    assert document["internal"]["escalations"][0]["events"][0]["kind"] == "raised"
    assert "hash" not in str(document)
    whole = await personal_data.export(session, "account", "zq-corp", "a test", NOW)
    assert {person["id"] for person in whole["facts"]["people"]} == {PAT[0], "zq-colleague"}
    with pytest.raises(NotFound):
        await personal_data.export(session, "person", "nobody", "a test", NOW)
