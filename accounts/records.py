"""Accounts, people and what happened to them, as a company states them: stating the same again changes nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

from pydantic import BaseModel
from sqlalchemy.ext.asyncio import AsyncSession

from accounts import models as m
from accounts import repository
from accounts.plans import Plans
from accounts.schemas import (
    SUBSCRIPTION_FIELDS,
    PutAccount,
    PutChange,
    PutInvoice,
    PutPerson,
    PutSurvey,
    PutTicket,
    PutTraining,
    clean,
)
from accounts.value import cents
from kit.database import Base
from kit.errors import NotFound, UserError
from kit.masking import mask

_NEWER = "new.traits_at >= t.traits_at"
# A new account gets its id as its name and the moment of the news as its beginning, until better is known. Where news says
# nothing of the two it carries the same stand-ins, which must not overwrite what is known.
_UNLESS_SAID = {
    "created_at": "CASE WHEN new.created_at = new.traits_at THEN t.created_at ELSE new.created_at END",
    "traits_at": "new.traits_at",
    "attributes": "t.attributes || new.attributes",
}
_ACCOUNT_UPDATE = _UNLESS_SAID | {
    "name": "CASE WHEN new.name = new.id THEN t.name ELSE new.name END",
    "owner": "coalesce(new.owner, t.owner)",
    "potential_seats": "coalesce(new.potential_seats, t.potential_seats)",
}
_PERSON_UPDATE = _UNLESS_SAID | {
    name: f"coalesce(new.{name}, t.{name})" for name in ("account_id", "email", "name", "role", "lang")
}
_STATE = ("plan", "seats", "amount", "currency", "per_months", "term_months", "auto_renew", "renews_on")


async def put_account(
    session: AsyncSession,
    account_id: str,
    payload: PutAccount,
    now: datetime,
    *,
    plans: Plans | None = None,
    currency: str = "USD",
) -> None:
    """Creates or updates an account and its subscription.

    Args:
        payload: what is known; fields that are not given stay.
        now: when this was stated. News older than what is known is ignored.
        plans: gives the list price to a subscription whose price was never stated.
        currency: where none is stated.
    Raises:
        UserError: the subscription is another account's, or would end before it began.
    """
    await put_accounts(session, [(account_id, payload, now)], plans=plans, currency=currency)


async def put_accounts(
    session: AsyncSession,
    rows: Sequence[tuple[str, PutAccount, datetime]],
    *,
    plans: Plans | None = None,
    currency: str = "USD",
) -> None:
    """`put_account` for many at once, oldest first. An account may come several times, as for each of its subscriptions."""
    if not rows:
        return
    merged: dict[str, dict[str, Any]] = {}
    for account_id, payload, at in rows:
        values = merged.setdefault(account_id, {"attributes": {}})
        values["traits_at"] = at
        values["attributes"] |= clean(payload.attributes)
        values |= payload.model_dump(include={"name", "created_at", "owner", "potential_seats"}, exclude_none=True)
    await repository.upsert(
        session,
        m.Account,
        [
            {
                "id": account_id,
                "name": values.get("name") or account_id,
                "created_at": values.get("created_at", values["traits_at"]),
                "owner": values.get("owner"),
                "potential_seats": values.get("potential_seats"),
                "traits_at": values["traits_at"],
                "attributes": values["attributes"],
            }
            for account_id, values in sorted(merged.items())
        ],
        on=["id"],
        update=_ACCOUNT_UPDATE,
        where=_NEWER,
    )
    subscribed = [row for row in rows if row[1].model_fields_set & SUBSCRIPTION_FIELDS]
    if subscribed:
        await _put_subscriptions(session, subscribed, plans, currency)


async def _put_subscriptions(
    session: AsyncSession,
    rows: Sequence[tuple[str, PutAccount, datetime]],
    plans: Plans | None,
    currency: str,
) -> None:
    ids = sorted({payload.subscription_id or account_id for account_id, payload, _ in rows})
    states = {state["id"]: dict(state) for state in await repository.subscription_states(session, ids)}
    changes: dict[tuple[str, datetime, str], dict[str, Any]] = {}
    moved: dict[str, datetime] = {}
    touched: set[str] = set()
    for account_id, payload, now in rows:
        before = states.get(payload.subscription_id or account_id)
        if before is not None and before["account_id"] != account_id:
            raise UserError(f"subscription {before['id']} is another account's", "give this one an id of its own")
        if before is not None and before["stated_at"] > now:
            continue
        after, lines = next_state(before, account_id, payload, now, plans=plans, currency=currency)
        if before is not None and after["started_at"] != before["started_at"]:
            moved[after["id"]] = after["started_at"]
        states[after["id"]] = after
        touched.add(after["id"])
        changes |= {(line["subscription_id"], line["at"], line["kind"]): line for line in lines}
    await repository.upsert(session, m.Subscription, [states[sid] for sid in sorted(touched)], on=["id"])
    await repository.move_starts(session, moved)
    await repository.upsert(session, m.SubscriptionChange, list(changes.values()), on=["subscription_id", "at", "kind"])


async def put_history(
    session: AsyncSession, rows: Sequence[PutChange], *, plans: Plans | None = None, currency: str = "USD"
) -> None:
    """Replaces the history of the subscriptions that are named, in any order of rows, all lines of each; the last line is how it stands.

    What no line of a subscription says, such as when it renews, is taken from what is known of it, and held to have been so all along.

    Raises:
        NotFound: an account is not known.
        UserError: a subscription is another account's, or its first line ends it.
    """
    if not rows:
        return
    await _need_accounts(session, {row.account_id for row in rows})
    named = sorted({row.subscription_id or row.account_id for row in rows})
    known = {state["id"]: dict(state) for state in await repository.subscription_states(session, named)}
    given: dict[str, set[str]] = {}
    for row in rows:
        given.setdefault(row.subscription_id or row.account_id, set()).update(row.model_dump(exclude_none=True))
    states: dict[str, dict[str, Any]] = {}
    lines: list[dict[str, Any]] = []
    for row in sorted(rows, key=lambda row: row.at):
        id_ = row.subscription_id or row.account_id
        before, stated = states.get(id_), known.get(id_)
        if any(each is not None and each["account_id"] != row.account_id for each in (before, stated)):
            raise UserError(f"subscription {id_} is another account's", "give this one an id of its own")
        if before is None and row.cancelled:
            raise UserError(f"subscription {id_} ends before it began", "give the line that starts it as well")
        said = row.model_dump(exclude={"account_id", "at"}, exclude_none=True)
        if before is None and stated is not None:
            fields = {"price" if name == "amount" else name: stated[name] for name in _STATE}
            said |= {name: value for name, value in fields.items() if value is not None and name not in given[id_]}
        states[id_], more = next_state(
            before, row.account_id, PutAccount.model_validate(said), row.at, plans=plans, currency=currency
        )
        lines += more
    await repository.forget_history(session, named)
    await repository.upsert(session, m.Subscription, [states[id_] for id_ in named], on=["id"])
    latest = {(line["subscription_id"], line["at"], line["kind"]): line for line in lines}
    await repository.upsert(session, m.SubscriptionChange, list(latest.values()), on=["subscription_id", "at", "kind"])


def next_state(
    before: Mapping[str, Any] | None,
    account_id: str,
    payload: PutAccount,
    now: datetime,
    *,
    plans: Plans | None = None,
    currency: str = "USD",
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """What a statement makes of a subscription. Pure.

    Args:
        before: the subscription's row, None where it is new.
    Returns:
        Its row after, and the lines this adds to its history: `start` for a new one or one that comes back after it ended,
        `change` for another plan, seats, price or terms, `renew` for a later renewal date, `cancel` for an end.
    """
    said = payload.model_dump(include=set(SUBSCRIPTION_FIELDS), exclude_none=True)
    if "price" in said:
        said["amount"] = said.pop("price")
    said.pop("subscription_id", None)
    cancelled = said.pop("cancelled", None)
    old: dict[str, Any] = dict(before) if before is not None else _blank(account_id, payload, now, currency)
    if cancelled and old["cancelled_at"] is None:
        said.setdefault("cancelled_at", now)
    after = old | said | {"stated_at": now}
    if "amount" not in said and old["amount"] in (None, _list_price(plans, old)):
        after["amount"] = _list_price(plans, after) or old["amount"]
    back = old["cancelled_at"] is not None and cancelled is False
    if back:
        after["cancelled_at"] = None
    if after["cancelled_at"] is not None and after["cancelled_at"] < after["started_at"]:
        raise UserError(f"account {account_id}: cancelled_at is before started_at", "correct one of the two")
    kinds: list[tuple[str, datetime]] = []
    if before is None:
        kinds.append(("start", after["started_at"]))
    elif back:
        kinds.append(("start", now))
    else:
        changed = {name for name in _STATE if after[name] != old[name]}
        renewed = "renews_on" in changed and old["renews_on"] is not None and after["renews_on"] > old["renews_on"]
        if changed - ({"renews_on"} if renewed else set()):
            kinds.append(("change", now))
        if renewed:
            kinds.append(("renew", now))
    if after["cancelled_at"] is not None and after["cancelled_at"] != old["cancelled_at"]:
        kinds.append(("cancel", after["cancelled_at"]))
    state = {name: after[name] for name in _STATE}
    ids = {"subscription_id": after["id"], "account_id": account_id}
    return after, [ids | {"at": at, "kind": kind, "reason": payload.reason} | state for kind, at in kinds]


def _blank(account_id: str, payload: PutAccount, now: datetime, currency: str) -> dict[str, Any]:
    return {
        "id": payload.subscription_id or account_id,
        "account_id": account_id,
        "plan": None,
        "seats": None,
        "amount": None,
        "currency": currency,
        "per_months": 1,
        "term_months": 1,
        "started_at": payload.created_at or (min(now, payload.cancelled_at) if payload.cancelled_at else now),
        "renews_on": None,
        "auto_renew": None,
        "cancelled_at": None,
        "stated_at": now,
    }


def _list_price(plans: Plans | None, state: Mapping[str, Any]) -> Decimal | None:
    plan = plans.get(state["plan"]) if plans is not None else None
    if plan is None or plan.price.currency != state["currency"]:
        return None
    monthly = plan.monthly(state["seats"])
    return None if monthly is None else cents(monthly * state["per_months"])


async def put_person(session: AsyncSession, person_id: str, payload: PutPerson, now: datetime) -> None:
    """Creates or updates a person.

    Args:
        payload: what is known; fields that are not given stay.
        now: when this was stated. News older than what is known is ignored.
    Raises:
        NotFound: there is no such account.
    """
    await put_people(session, [(person_id, payload, now)])


async def put_people(session: AsyncSession, rows: Sequence[tuple[str, PutPerson, datetime]]) -> None:
    """`put_person` for many at once, oldest first."""
    if not rows:
        return
    await _need_accounts(session, {row.account_id for _, row, _ in rows if row.account_id})
    merged: dict[str, tuple[PutPerson, datetime]] = {}
    for person_id, payload, at in rows:
        merged[person_id] = _merged(merged[person_id][0], payload) if person_id in merged else payload, at
    homes = {person_id: payload.account_id for person_id, (payload, _) in merged.items() if payload.account_id}
    waiting = await repository.with_unclaimed_events(session, homes)
    if waiting:  # their accounts' days are written to, for which accounts are held before people
        await repository.hold_accounts(session, {homes[person_id] for person_id in waiting}, ())
    await repository.upsert(
        session,
        m.Person,
        [_person_row(person_id, payload, at) for person_id, (payload, at) in sorted(merged.items())],
        on=["id"],
        update=_PERSON_UPDATE,
        where=_NEWER,
    )
    await repository.claim_events(session, waiting)
    # Two that may be taken back: only where they were said.
    for field in ("champion", "left_at"):
        said = {key: getattr(row, field) for key, (row, _) in merged.items() if field in row.model_fields_set}
        if field == "champion":  # null is no answer to it
            said = {key: value for key, value in said.items() if value is not None}
        await repository.set_people(session, field, said)


def _merged(earlier: PutPerson, later: PutPerson) -> PutPerson:
    given = {name: getattr(later, name) for name in later.model_fields_set}
    return earlier.model_copy(update=given | {"attributes": earlier.attributes | later.attributes})


def _person_row(person_id: str, payload: PutPerson, at: datetime) -> dict[str, Any]:
    return {
        "id": person_id,
        "account_id": payload.account_id,
        "email": payload.email,
        "name": payload.name,
        "role": payload.role,
        "lang": payload.lang,
        "created_at": payload.created_at or at,
        "traits_at": at,
        "attributes": clean(payload.attributes),
    }


Record = PutTicket | PutInvoice | PutSurvey | PutTraining
_TABLES: dict[type[BaseModel], type[Base]] = {
    PutTicket: m.Ticket,
    PutInvoice: m.Invoice,
    PutSurvey: m.Survey,
    PutTraining: m.Training,
}


async def put_records(session: AsyncSession, rows: Sequence[Record]) -> None:
    """Creates or replaces tickets, invoices, surveys or trainings, by id; all of one kind. Of two with one id the later counts.

    Raises:
        NotFound: an account is not known.
    """
    if not rows:
        return
    await _need_accounts(session, {row.account_id for row in rows if row.account_id})
    latest = {row.id: row.model_dump() for row in rows}
    await repository.upsert(session, _TABLES[type(rows[0])], list(latest.values()), on=["id"])


async def mark_step(session: AsyncSession, account_id: str, step: str, now: datetime, *, by: str | None = None) -> None:
    """Marks an onboarding step as done by hand; one that is marked already keeps its day.

    Raises:
        NotFound: there is no such account.
    """
    await _need_accounts(session, {account_id})
    row = {"account_id": account_id, "step": step, "done_at": now, "done_by": by}
    await repository.upsert(session, m.OnboardingMark, [row], on=["account_id", "step"], update={})


async def add_note(session: AsyncSession, account_id: str, author: str, text: str, now: datetime) -> None:
    """Adds an internal note.

    Raises:
        NotFound: there is no such account.
    """
    await _need_accounts(session, {account_id})
    session.add(m.AccountNote(account_id=account_id, author=author, text=mask(text), created_at=now))
    await session.flush()


async def _need_accounts(session: AsyncSession, ids: set[str]) -> None:
    unknown = ids - await repository.accounts_known(session, ids)
    if unknown:
        more = f" (and {len(unknown) - 1} more)" if len(unknown) > 1 else ""
        raise NotFound(f"there is no account {min(unknown)}{more}", "put the account first")
