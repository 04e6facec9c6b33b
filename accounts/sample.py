"""A file of sample accounts, readable by a person, made into rows and events relative to today.

Everything in the file is said in days before today, and use as one digit a week; what comes out depends on the file and the day
alone. The accounts carry the mark `sample` with the day they were made for: on another day they are made anew, and an
account without the mark is never touched.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from datetime import datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal
from zlib import crc32

from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy.ext.asyncio import AsyncSession

from accounts import repository
from accounts.catalog import Catalog, load_catalog
from accounts.ingestion import ingest
from accounts.onboarding import Step
from accounts.records import add_note, put_accounts, put_people, put_records
from accounts.schemas import PutAccount, PutInvoice, PutPerson, PutSurvey, PutTicket, PutTraining
from accounts.scoring import score_accounts
from kit.company import load_company
from kit.errors import Conflict
from kit.files import read_yaml

BATCH = 4_000
MARK = "sample"
RECORDED_WEEKS = 38
"""Of use: enough to ask what the health score said twice, 90 and 180 days ago."""


class _In(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class SamplePerson(_In):
    """A user. `leaves` is how many days ago they left."""

    id: str
    name: str
    email: str
    role: Literal["admin", "member", "billing"] = "member"
    lang: Literal["en", "ja"] = "en"
    champion: bool = False
    leaves: int | None = None


class SampleChange(_In):
    """A line of the subscription's history, so many days ago."""

    ago: int
    plan: str | None = None
    seats: int | None = None
    price: Decimal | None = None
    cancelled: bool = False
    reason: str | None = None


class SampleSurvey(_In):
    ago: int
    kind: Literal["nps", "csat"] = "nps"
    person: str
    score: int
    comment: str | None = None


class SampleTicket(_In):
    ago: int
    kind: Literal["question", "problem", "complaint", "request"] = "question"
    subject: str
    closed_after: int | None = Field(1, description="days; null is still open")


class SampleTraining(_In):
    ago: int
    name: str
    person: str | None = None
    attended: bool = True


class SampleAccount(_In):
    """One account."""

    id: str
    name: str
    about: str = Field("", description="why one would sign in as its people on the sample site")
    owner: str | None = None
    potential_seats: int | None = None
    since: int = Field(description="days ago")
    currency: str = "USD"
    per_months: int = 1
    term_months: int = 1
    renews_in: int | None = Field(None, description="days")
    auto_renew: bool | None = None
    history: list[SampleChange] = Field(min_length=1, description="oldest first; the first is the start")
    people: list[SamplePerson] = Field(min_length=1)
    crowd: int = Field(0, description="how many more people there are, each there about once a week")
    use: str = Field(
        "",
        pattern="^[0-9 ]*$",
        description="one digit a week, this week last: 0 nobody, 9 everybody every day; before those, named people came like in the first",
    )
    does: list[str] = Field(default_factory=list, description="what people do, the commonest first")
    runs: int = Field(0, description="runs on a full day")
    api_calls: int = Field(0, description="API calls on a full day")
    steps: int | Literal["all"] = Field("all", description="how many onboarding steps are done")
    paid_after: list[int | None] = Field(
        default_factory=list, description="the last invoices, newest last: days from issue to payment, null is unpaid"
    )
    surveys: list[SampleSurvey] = Field(default_factory=list)
    tickets: list[SampleTicket] = Field(default_factory=list)
    trainings: list[SampleTraining] = Field(default_factory=list)
    notes: list[str] = Field(default_factory=list)
    attributes: dict[str, Any] = Field(default_factory=dict)


class SampleFile(_In):
    """`accounts.yml`."""

    accounts: list[SampleAccount]


def people(path: Path, catalog: Catalog) -> list[dict[str, Any]]:
    """Everybody of a sample file, as the sample site lists them for signing in.

    Args:
        path: the file.
        catalog: names the plans.
    """
    return [
        {
            "person_id": person.id,
            "name": person.name,
            "role": person.role,
            "account_id": account.id,
            "account": account.name,
            "plan": catalog.plans.named([change.plan for change in account.history if change.plan][-1]).name,
            "about": account.about,
        }
        for account in read_yaml(path, SampleFile).accounts
        for person in account.people
        if person.leaves is None
    ]


async def load_sample(session: AsyncSession, path: Path, now: datetime) -> dict[str, int]:
    """Brings the sample accounts of a file up to today.

    Args:
        path: the file, in the company's folder beside `company.yml` and `plans.yml`.
    Returns:
        How many accounts, people and events were written; zeros where they were up to date.
    Raises:
        Conflict: an account of that id is there and is not a sample.
        UserError: a file is missing or wrong.
    """
    catalog = load_catalog(load_company(path.parent))
    sample = read_yaml(path, SampleFile)
    today = now.date().isoformat()
    marks = await repository.marks(session, [each.id for each in sample.accounts], MARK)
    real = sorted(key for key, mark in marks.items() if mark is None)
    if real:
        raise Conflict(
            f"account {real[0]} is there and is not a sample", f"rename it in {path} or use another database"
        )
    stale = [each for each in sample.accounts if marks.get(each.id) != today]
    await repository.delete_accounts(session, [each.id for each in stale])
    for account in stale:
        await _write(session, catalog, account, now)
    events = [event for account in stale for event in _events(account, catalog, now)]
    for first in range(0, len(events), BATCH):
        await ingest(session, events[first : first + BATCH], now)
    # A month of scores, so that there are trends to see.
    for back in (35, 28, 21, 14, 7, 3, 1, 0):
        await score_accounts(session, catalog, now - timedelta(days=back), ids=[each.id for each in stale])
    people = sum(len(each.people) + each.crowd for each in stale)
    return {"accounts": len(stale), "people": people, "events": len(events)}


async def _write(session: AsyncSession, catalog: Catalog, account: SampleAccount, now: datetime) -> None:
    """The account with its people and papers."""
    start = now - timedelta(days=account.since)
    for index, change in enumerate(account.history):
        said: dict[str, Any] = {"plan": change.plan, "seats": change.seats, "price": change.price}
        said["reason"] = change.reason
        at = now - timedelta(days=change.ago)
        if change.cancelled:
            said["cancelled_at"] = at
        if index == 0:
            said |= account.model_dump(include={"name", "owner", "potential_seats", "currency", "per_months"})
            said |= account.model_dump(include={"term_months", "auto_renew"})
            said |= {"created_at": start, "started_at": at}
            said["attributes"] = account.attributes | {MARK: now.date().isoformat()}
            if account.renews_in is not None:
                said["renews_on"] = now.date() + timedelta(days=account.renews_in)
        payload = PutAccount.model_validate({key: value for key, value in said.items() if value is not None})
        await put_accounts(session, [(account.id, payload, at)], plans=catalog.plans, currency=account.currency)
    people = [
        (person.id, _person(account, person, start, now), start) for person in [*account.people, *_crowd(account)]
    ]
    await put_people(session, people)
    await put_records(session, _invoices(account, catalog, now))
    await put_records(session, _surveys(account, now))
    await put_records(session, _tickets(account, now))
    await put_records(session, _trainings(account, now))
    for note in account.notes:
        await add_note(session, account.id, account.owner or catalog.company.support.email, note, now)


def _crowd(account: SampleAccount) -> list[SamplePerson]:
    domain, lang = account.people[0].email.partition("@")[2], account.people[0].lang
    name = {"en": "Member", "ja": "メンバー"}[lang]
    return [
        SamplePerson(id=f"{account.id}-{n:03}", name=f"{name} {n}", email=f"{n:03}@{domain}", lang=lang)
        for n in range(1, account.crowd + 1)
    ]


def _person(account: SampleAccount, person: SamplePerson, start: datetime, now: datetime) -> PutPerson:
    said = person.model_dump(include={"name", "email", "role", "lang", "champion"})
    left = None if person.leaves is None else now - timedelta(days=person.leaves)
    return PutPerson.model_validate(
        said | {"account_id": account.id, "created_at": start} | ({"left_at": left} if left else {})
    )


def _invoices(account: SampleAccount, catalog: Catalog, now: datetime) -> list[PutInvoice]:
    """One for each period, due in 30 days, the last issued within the current one, or the last before the account left."""
    over = next((change.ago for change in account.history if change.cancelled), 0)
    latest = next((each for each in reversed(account.history) if each.price is not None), None)
    plan = catalog.plans.get(next((each.plan for each in reversed(account.history) if each.plan), None))
    seats = next((each.seats for each in reversed(account.history) if each.seats is not None), None)
    monthly = plan.monthly(seats) if plan else None
    amount = latest.price if latest else monthly * account.per_months if monthly is not None else None
    made: list[PutInvoice] = []
    for back, paid_after in enumerate(reversed(account.paid_after)):
        issued = now.date() - timedelta(days=over + 12 + 30 * account.per_months * back)
        if amount is None or issued < (now - timedelta(days=account.since)).date():
            break
        paid = None if paid_after is None else issued + timedelta(days=paid_after)
        made.append(
            PutInvoice(
                id=f"{account.id}-{issued:%Y%m%d}",
                account_id=account.id,
                issued_on=issued,
                due_on=issued + timedelta(days=30),
                paid_on=paid if paid is not None and paid <= now.date() else None,
                amount=amount,
                currency=account.currency,
            )
        )
    return made


def _surveys(account: SampleAccount, now: datetime) -> list[PutSurvey]:
    return [
        PutSurvey(
            id=f"{account.id}-survey-{index}",
            account_id=account.id,
            person_id=survey.person,
            kind=survey.kind,
            asked_at=now - timedelta(days=survey.ago, hours=2),
            answered_at=now - timedelta(days=survey.ago),
            score=survey.score,
            comment=survey.comment,
        )
        for index, survey in enumerate(account.surveys)
    ]


def _tickets(account: SampleAccount, now: datetime) -> list[PutTicket]:
    made: list[PutTicket] = []
    for index, ticket in enumerate(account.tickets):
        opened = now - timedelta(days=ticket.ago)
        closed = None if ticket.closed_after is None else opened + timedelta(days=ticket.closed_after)
        made.append(
            PutTicket(
                id=f"{account.id}-ticket-{index}",
                account_id=account.id,
                kind=ticket.kind,
                subject=ticket.subject,
                opened_at=opened,
                closed_at=closed if closed is not None and closed <= now else None,
            )
        )
    return made


def _trainings(account: SampleAccount, now: datetime) -> list[PutTraining]:
    return [
        PutTraining(
            id=f"{account.id}-training-{index}",
            account_id=account.id,
            person_id=training.person,
            name=training.name,
            held_on=now.date() - timedelta(days=training.ago),
            attended=training.attended,
        )
        for index, training in enumerate(account.trainings)
    ]


def _events(account: SampleAccount, catalog: Catalog, now: datetime) -> Iterator[dict[str, Any]]:
    """Onboarding steps at half their time, then day by day what people and the account's own systems did, up to now."""
    start = now - timedelta(days=account.since)
    plan = next((each.plan for each in reversed(account.history) if each.plan), None)
    steps = catalog.onboarding.for_plan(plan)
    for step in steps if account.steps == "all" else steps[: account.steps]:
        yield from _step(account, step, start, now)
    listed, crowd = account.use.replace(" ", ""), _crowd(account)
    weeks = listed[:1] * (RECORDED_WEEKS - len(listed)) + listed
    for week, level in enumerate(map(int, weeks)):
        # Of the weeks before those listed only named people are written: the rest would make most of the events and tell nothing.
        others = account if week >= len(weeks) - len(listed) else account.model_copy(update={"runs": 0, "api_calls": 0})
        for weekday in range(7):
            day = now.date() - timedelta(days=7 * (len(weeks) - 1 - week) + 6 - weekday)
            at = datetime.combine(day, time(0), now.tzinfo)
            if day.weekday() < 5 and at >= start and level:
                around, least = (crowd, 2) if others is account else ([], 1)
                yield from (event for event in _day(others, around, at, level, now, least) if event["timestamp"] <= now)


def _step(account: SampleAccount, step: Step, start: datetime, now: datetime) -> Iterator[dict[str, Any]]:
    at = start + timedelta(days=step.due_days / 2, hours=1)
    if step.event and at <= now:
        yield _event(account, account.people[0], step.event, at)


def _day(
    account: SampleAccount, crowd: Sequence[SamplePerson], at: datetime, level: int, now: datetime, least: int
) -> Iterator[dict[str, Any]]:
    """One working day at a level from 1 to 9.

    Args:
        least: things that everybody who comes does, besides signing in; some do up to three more where it is not one.
    """
    for person in account.people:
        chance = random.Random(f"{person.id} {at.date()}")  # noqa: S311  # the same sample every time, not a secret
        if chance.random() * 9 >= level or _has_left(person, at, now):
            continue
        # Working hours of Tokyo and of Berlin, in UTC.
        moment = at + timedelta(hours=1 if person.lang == "ja" else 8, minutes=chance.randrange(400))
        yield _event(account, person, "signed_in", moment)
        for _ in range(least + (chance.randrange(4) if least > 1 else 0)):
            moment += timedelta(minutes=2 + chance.randrange(9))
            name = account.does[min(chance.randrange(len(account.does)), chance.randrange(len(account.does)))]
            yield _event(account, person, name, moment)
    for person in crowd:
        # A checksum is chance enough, and seeding a generator for each of a crowd takes longer than all the rest.
        share = crc32(f"{person.id} {at.date()}".encode())
        if share % 4500 < 100 * level:
            moment = at + timedelta(hours=1 if person.lang == "ja" else 8, minutes=share // 4500 % 400)
            yield _event(account, person, "signed_in", moment)
            yield _event(account, person, account.does[0], moment + timedelta(minutes=4))
    machine = random.Random(f"{account.id} {at.date()}")  # noqa: S311  # as above
    for name, most in (("flow_run", account.runs), ("api_called", account.api_calls)):
        quantity = round(most * level / 9 * machine.uniform(0.8, 1.2))
        if quantity:
            yield _event(account, None, name, at + timedelta(minutes=30), quantity=quantity)


def _has_left(person: SamplePerson, at: datetime, now: datetime) -> bool:
    return person.leaves is not None and at >= now - timedelta(days=person.leaves)


def _event(
    account: SampleAccount, person: SamplePerson | None, name: str, at: datetime, quantity: int | None = None
) -> dict[str, Any]:
    who = person.id if person else ""
    return {
        "type": "track",
        "messageId": f"{MARK}:{account.id}:{who}:{name}:{at.isoformat()}",
        "userId": who or None,
        "event": name,
        "timestamp": at,
        "context": {"groupId": account.id},
        "properties": {"quantity": quantity} if quantity is not None else {},
    }
