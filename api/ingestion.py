"""Data in, from the company's backend: accounts, people and the Segment HTTP API."""

from __future__ import annotations

import base64
import binascii
import gzip
import io
import zlib
from datetime import datetime
from typing import Any, Literal, TypeVar

import orjson
from fastapi import APIRouter, Depends, Request, Response
from pydantic import BaseModel, ValidationError
from starlette.requests import HTTPConnection

from accounts import records, repository
from accounts.schemas import (
    PutAccount,
    PutChange,
    PutInvoice,
    PutPerson,
    PutSurvey,
    PutTicket,
    PutTraining,
)
from api import keys, personal_data
from api.access import bearer
from api.guard import MAX_BODY
from api.services import ServicesDep, services
from kit.clock import now
from kit.errors import UserError

router = APIRouter(prefix="/v1", tags=["accounts"])
RecordKind = Literal["tickets", "invoices", "surveys", "trainings"]
RECORDS: dict[RecordKind, type[PutTicket] | type[PutInvoice] | type[PutSurvey] | type[PutTraining]] = {
    "tickets": PutTicket,
    "invoices": PutInvoice,
    "surveys": PutSurvey,
    "trainings": PutTraining,
}
_FIELDS = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {"schema": {"oneOf": [model.model_json_schema() for model in RECORDS.values()]}}
        },
    }
}
In = TypeVar("In", bound=BaseModel)


def _key(scope: str) -> Any:
    """The name of the caller's API key, proved before the body is read: what nobody has proved costs nothing to refuse."""

    async def proved(request: Request, services: ServicesDep) -> str:
        return await keys.check(services.database, bearer(request), scope)

    return Depends(proved)


_ACCOUNTS = [_key("accounts")]


class History(BaseModel):
    """What happened to the subscriptions of one account."""

    changes: list[dict[str, Any]]


@router.put("/accounts/{account_id}", status_code=204, dependencies=_ACCOUNTS)
async def put_account(account_id: str, body: PutAccount, services: ServicesDep) -> Response:
    """Creates or updates an account; what is not given stays."""
    async with services.database.begin() as session:
        await records.put_account(
            session,
            account_id,
            body,
            now(),
            plans=services.catalog.plans,
            currency=services.company.currency,
        )
    services.rescoring.changed([account_id])
    return Response(status_code=204)


@router.put("/people/{person_id}", status_code=204, dependencies=_ACCOUNTS)
async def put_person(person_id: str, body: PutPerson, services: ServicesDep) -> Response:
    """Creates or updates a person of an account."""
    async with services.database.begin() as session:
        await records.put_person(session, person_id, body, now())
        person = await repository.person(session, person_id)
    services.rescoring.changed([person.account_id if person is not None else None])
    return Response(status_code=204)


@router.put("/{kind}/{id_}", status_code=204, dependencies=_ACCOUNTS, openapi_extra=_FIELDS)
async def put_record(kind: RecordKind, id_: str, request: Request, services: ServicesDep) -> Response:
    """Creates or replaces a ticket, an invoice, a survey or a training, by its id; `/openapi.json` has the fields of each."""
    data = await _json(request)
    if not isinstance(data, dict):
        raise UserError("the body must be an object", "see /openapi.json")
    record = _checked(RECORDS[kind], {**data, "id": id_})
    async with services.database.begin() as session:
        await records.put_records(session, [record])
    services.rescoring.changed([record.account_id])
    return Response(status_code=204)


@router.put("/accounts/{account_id}/history", status_code=204, dependencies=_ACCOUNTS)
async def put_history(account_id: str, body: History, services: ServicesDep) -> Response:
    """Replaces the history of an account's subscriptions: every line of each that is named, in any order."""
    changes = [_checked(PutChange, {**line, "account_id": account_id}) for line in body.changes]
    async with services.database.begin() as session:
        await records.put_history(session, changes, plans=services.catalog.plans, currency=services.company.currency)
    services.rescoring.changed([account_id])
    return Response(status_code=204)


@router.delete("/{kind}/{id_}", status_code=204)
async def erase(
    kind: Literal["people", "accounts"], id_: str, services: ServicesDep, key: str = _key("erase")
) -> Response:
    """Erases a person or an account for good, in every room; needs a key with the scope `erase`."""
    subject: personal_data.Kind = "person" if kind == "people" else "account"
    async with services.database.begin() as session:
        await personal_data.erase(session, subject, id_, f"key: {key}", now())
    return Response(status_code=204)


@router.get("/{kind}/{id_}/export", status_code=200)
async def export(
    kind: Literal["people", "accounts"], id_: str, services: ServicesDep, key: str = _key("export")
) -> dict[str, Any]:
    """All that is kept of a person or an account, `internal` apart; needs a key with the scope `export`."""
    subject: personal_data.Kind = "person" if kind == "people" else "account"
    async with services.database.begin() as session:
        return await personal_data.export(session, subject, id_, f"key: {key}", now())


@router.post("/accounts:import", status_code=200, dependencies=_ACCOUNTS)
async def import_accounts(request: Request, services: ServicesDep) -> dict[str, int]:
    """Many accounts at once, `{"accounts": [{"id": …, …}]}`: all or nothing."""
    data = await _json(request)
    rows = data.get("accounts") if isinstance(data, dict) else None
    if not isinstance(rows, list) or not all(isinstance(row, dict) and isinstance(row.get("id"), str) for row in rows):
        raise UserError("accounts must be a list of objects with an id", "see /openapi.json")
    parsed = [(str(row.pop("id")), _checked(PutAccount, row), now()) for row in rows]
    async with services.database.begin() as session:
        await records.put_accounts(session, parsed, plans=services.catalog.plans, currency=services.company.currency)
    services.rescoring.changed(account_id for account_id, _, _ in parsed)
    return {"accounts": len(parsed)}


def _checked(model: type[In], row: dict[str, Any]) -> In:
    try:
        return model.model_validate(row)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise UserError(f"{where}: {first['msg'].lower()}", "nothing was written") from None


async def segment(request: Request) -> Response:
    """One message of the Segment HTTP API: `identify`, `group`, `track`, `page`, `screen`, `alias`, or a `batch`."""
    kind = request.path_params["kind"]
    if kind not in ("identify", "group", "track", "page", "screen", "alias", "batch", "import"):
        raise UserError(f"no message is called {kind!r}", "see the Segment HTTP API")
    made = services(request)
    await keys.check(made.database, _write_key(request), "events")  # before the body is read, as elsewhere
    data = await _json(request)
    if not isinstance(data, dict):
        raise UserError("the body must be an object", "see the Segment HTTP API")
    batched = kind in ("batch", "import")
    messages = data.get("batch") if batched else [{**data, "type": kind}]
    if not isinstance(messages, list) or not all(isinstance(message, dict) for message in messages):
        raise UserError("batch must be a list of messages", "see the Segment HTTP API")
    if batched and isinstance(data.get("context"), dict):
        messages = [{"context": data["context"], **message} for message in messages]
    result = await made.intake.take(messages, _moment(data.get("sentAt")))
    made.rescoring.changed(result.accounts)
    said = {"success": True, **result.model_dump(mode="json", exclude={"accounts"})}
    return Response(orjson.dumps(said), media_type="application/json")


# Not by FastAPI's own machinery, which takes longer than reading a hundred messages.
router.add_route(f"{router.prefix}/{{kind:str}}", segment, methods=["POST"], include_in_schema=False)


def _write_key(connection: HTTPConnection) -> str | None:
    """Segment's clients send their write key as the user of basic authentication; others may send a bearer key."""
    scheme, _, value = connection.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "basic":
        return bearer(connection)
    try:
        return base64.b64decode(value, validate=True).decode().partition(":")[0]
    except (binascii.Error, UnicodeDecodeError):
        return None


async def _json(request: Request) -> Any:
    """The body, unpacked where it is gzip, within bounds: a small body must not unpack into a large one."""
    raw = await request.body()
    if request.headers.get("content-encoding", "").lower() == "gzip":
        raw = _unpacked(raw)
    try:
        return orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise UserError(f"the body is not JSON ({error.msg} at {error.pos})", "send a JSON document") from None


def _unpacked(raw: bytes) -> bytes:
    try:
        unpacked = gzip.GzipFile(fileobj=io.BytesIO(raw)).read(MAX_BODY + 1)
    except (OSError, EOFError, zlib.error):
        raise UserError("the body is not gzip", "send what Content-Encoding says") from None
    if len(unpacked) > MAX_BODY:
        raise UserError("the body is too large", f"at most {MAX_BODY} bytes unpacked")
    return unpacked


def _moment(value: object) -> datetime | None:
    """The client's clock; None where it does not say, or not in a form that is understood."""
    if not isinstance(value, str):
        return None
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        return None
    return moment if moment.tzinfo is not None else None
