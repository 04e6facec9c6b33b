"""What leaves the house: by real SMTP and real HTTP on loopback."""

from __future__ import annotations

import asyncio
import contextlib
import email
import re
from collections.abc import AsyncIterator, Iterator
from datetime import datetime, timedelta
from email import policy as email_policy
from typing import Any

import httpx
import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session
from pydantic import SecretStr

from conversations import log
from escalations import csms, outbox, policy, queue, webhooks
from escalations.csms import CsmEntry
from escalations.models import OutboxItem
from escalations.policy import Facts
from escalations.queue import Asker
from kit.clock import now
from kit.company import Company, Support
from kit.database import Database
from kit.errors import Conflict, NotFound, UserError
from kit.ids import new_id
from kit.settings import Settings, load_settings
from tests.chaos.front import until
from tests.support import free_ports

COMPANY = Company(name="Acme", product="Acme", summary={"en": "", "ja": ""}, support=Support(email="help@acme.example"))
RULES = {rule.id: rule for rule in policy.load(policy.DEFAULT).rules}
SECRET = "a secret of the two of us"


class Mailbox:
    """Keeps what arrives."""

    def __init__(self) -> None:
        self.messages: list[email.message.EmailMessage] = []

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802  # aiosmtpd's
        assert isinstance(envelope.content, bytes)
        self.messages.append(email.message_from_bytes(envelope.content, policy=email_policy.default))
        return "250 OK"

    def to(self, address: str) -> list[email.message.EmailMessage]:
        return [message for message in self.messages if message["To"] == address]


@pytest.fixture
def mailbox() -> Iterator[tuple[Mailbox, str]]:
    """A mail server, and its address."""
    box, (port,) = Mailbox(), free_ports(1)
    server = Controller(box, hostname="127.0.0.1", port=port)
    server.start()
    yield box, f"smtp://127.0.0.1:{port}"
    server.stop()


class Receiver:
    """Another system: answers with the statuses it is given, the last one for ever, and keeps what it got."""

    def __init__(self) -> None:
        self.statuses = [200]
        self.got: list[tuple[dict[str, str], bytes]] = []
        self.url = ""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        headers = dict(line.lower().split(": ", 1) for line in head[1:] if ": " in line)
        raw = {line.split(": ", 1)[0].lower(): line.split(": ", 1)[1] for line in head[1:] if ": " in line}
        self.got.append((raw, await reader.readexactly(int(headers["content-length"]))))
        status = self.statuses.pop(0) if len(self.statuses) > 1 else self.statuses[0]
        writer.write(f"HTTP/1.1 {status} X\r\ncontent-length: 0\r\nconnection: close\r\n\r\n".encode())
        await writer.drain()
        writer.close()


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    made = Receiver()
    server = await asyncio.start_server(made.serve, "127.0.0.1", 0)
    made.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/hook"
    yield made
    server.close()
    await server.wait_closed()


def configured(settings: Settings, **more: Any) -> Settings:
    return load_settings(home=settings.home, public_url="https://help.acme.example", **more)


async def raised(database: Database, owner: str | None = None) -> str:
    """A customer who asks for a person; gives the conversation."""
    async with database.begin() as session:
        conversation = (await log.start(session, lang="en", now=now())).id
        await queue.raise_(
            session,
            COMPANY,
            conversation_id=conversation,
            rule=RULES["cancel_high_value"],
            facts=Facts(known=True),
            asker=Asker(account_id="acme", account_name="Acme", owner=owner),
            lang="en",
            now=now(),
        )
    return conversation


async def delivered(database: Database, settings: Settings, at: datetime) -> None:
    async with httpx.AsyncClient(trust_env=False) as client:
        senders = outbox.senders(settings, client, database)
        for kind in outbox.ways(settings):
            while await outbox.deliver(database, kind, senders.get(kind), at):
                pass


async def items(database: Database, conversation: str, kind: str) -> list[OutboxItem]:
    async with database.begin() as session:
        every = await outbox.listing(session, limit=5000)
        return [item for item in every if item.kind == kind and item.payload.get("conversation") == conversation]


def about(receiver: Receiver, conversation: str) -> list[tuple[dict[str, str], bytes]]:
    return [(headers, body) for headers, body in receiver.got if conversation.encode() in body]


async def test_a_change_of_the_queue_is_told_signed(database: Database, settings: Settings, receiver: Receiver) -> None:
    """The receiver can prove that it is ours, of now and unchanged; none of the customer's facts are in it."""
    conversation = await raised(database)
    await delivered(database, configured(settings, webhook_url=receiver.url, webhook_secret=SecretStr(SECRET)), now())
    ((headers, body),) = about(receiver, conversation)
    assert b'"type":"escalation.raised"' in body
    assert b"cancel_high_value" in body
    moment = now()
    assert webhooks.genuine(SECRET, headers, body, moment)
    assert not webhooks.genuine("another secret of somebody", headers, body, moment)
    assert not webhooks.genuine(SECRET, headers, body + b" ", moment)
    assert not webhooks.genuine(SECRET, {**headers, "webhook-id": "out_other"}, body, moment)
    assert not webhooks.genuine(SECRET, headers, body, moment + webhooks.TOLERANCE + timedelta(minutes=1))
    assert not webhooks.genuine(SECRET, {}, body, moment)


async def test_a_delivery_is_tried_again_with_the_same_id(
    database: Database, settings: Settings, receiver: Receiver
) -> None:
    """Refused, it waits and comes again later, not before; taken, it is sent."""
    chosen = configured(settings, webhook_url=receiver.url, webhook_secret=SecretStr(SECRET))
    receiver.statuses = [500]
    conversation = await raised(database)
    await delivered(database, chosen, now())
    (item,) = await items(database, conversation, "webhook")
    assert (item.state, item.attempts) == ("waiting", 1)
    assert "500" in str(item.last_error)
    tries = len(about(receiver, conversation))
    await delivered(database, chosen, item.next_at - timedelta(milliseconds=1))
    assert len(about(receiver, conversation)) == tries
    receiver.statuses = [200]
    await delivered(database, chosen, item.next_at)
    assert (await items(database, conversation, "webhook"))[0].state == "sent"
    ids = {headers["webhook-id"] for headers, _ in about(receiver, conversation)}
    assert ids == {item.id}


async def test_a_notification_of_a_clock_that_was_put_back_is_not_put_off_until_then(
    database: Database, settings: Settings, receiver: Receiver
) -> None:
    """Written, and put off, by a clock an hour ahead: it leaves at once. One put off by a neighbour's clock a little ahead does not."""
    chosen = configured(settings, webhook_url=receiver.url, webhook_secret=SecretStr(SECRET))
    ahead = {"an hour": timedelta(hours=1), "a little": timedelta(seconds=30)}
    for attempts in (0, 3):
        waits = outbox.BACK_OFF * 2 ** (attempts - 1)
        told = {name: await raised(database) for name in ahead}
        for name, conversation in told.items():
            async with database.begin() as session:
                (item,) = await items(database, conversation, "webhook")
                session.add(item)
                item.attempts, item.next_at = attempts, now() + ahead[name] + waits
        await delivered(database, chosen, now())
        states = {
            name: (await items(database, conversation, "webhook"))[0].state for name, conversation in told.items()
        }
        assert states == {"an hour": "sent", "a little": "waiting"}


async def test_what_nobody_takes_is_dead_until_a_person_tries_again(
    database: Database, settings: Settings, receiver: Receiver
) -> None:
    """After twelve tries it is listed with the reason; tried again by hand it goes."""
    chosen = configured(settings, webhook_url=receiver.url, webhook_secret=SecretStr(SECRET))
    receiver.statuses = [503]
    conversation = await raised(database)
    for _ in range(outbox.MAX_ATTEMPTS):
        (item,) = await items(database, conversation, "webhook")
        await delivered(database, chosen, item.next_at)
    (item,) = await items(database, conversation, "webhook")
    assert (item.state, item.attempts) == ("dead", outbox.MAX_ATTEMPTS)
    async with database.begin() as session:
        assert item.id in [dead.id for dead in await outbox.listing(session, "dead")]
    receiver.statuses = [200]
    async with database.begin() as session:
        await outbox.retry(session, item.id, now())
    await delivered(database, chosen, now())
    assert (await items(database, conversation, "webhook"))[0].state == "sent"
    async with database.begin() as session:
        with pytest.raises(Conflict):
            await outbox.retry(session, item.id, now())
        with pytest.raises(NotFound):
            await outbox.retry(session, "out_none", now())


async def test_an_hour_without_webhooks_and_mail_delays_and_loses_nothing(
    database: Database, settings: Settings, receiver: Receiver
) -> None:
    """Nothing is given up in an hour; what is due is tried; when they are back each arrives, once, at its next try."""
    (port,) = free_ports(1)  # nobody listens there
    down = configured(
        settings,
        webhook_url=receiver.url,
        webhook_secret=SecretStr(SECRET),
        smtp_url=SecretStr(f"smtp://127.0.0.1:{port}"),
    )
    receiver.statuses = [503]
    conversation = await raised(database)
    began = at = now()
    while at < began + timedelta(hours=1):
        await delivered(database, down, at)
        waiting = [*await items(database, conversation, "webhook"), *await items(database, conversation, "email")]
        assert {item.state for item in waiting} == {"waiting"}
        at = min(item.next_at for item in waiting)
    receiver.statuses = [200]
    got = len(about(receiver, conversation))
    mailbox = Mailbox()
    server = Controller(mailbox, hostname="127.0.0.1", port=port)
    server.start()
    try:
        await delivered(database, down, max(item.next_at for item in waiting))
    finally:
        server.stop()
    assert {item.state for item in [*await items(database, conversation, "webhook")]} == {"sent"}
    assert {item.state for item in [*await items(database, conversation, "email")]} == {"sent"}
    assert len(about(receiver, conversation)) == got + 1
    assert sum(conversation in message.get_content() for message in mailbox.messages) == 1
    longest = max(item.next_at for item in waiting) - (began + timedelta(hours=1))
    assert longest < timedelta(hours=1)  # no later than the outage was long


async def test_one_receiver_that_hangs_holds_up_no_other(
    database: Database, settings: Settings, mailbox: tuple[Mailbox, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """More webhooks than are sent at once, taken and never answered: the e-mails behind them leave meanwhile; told to stop, it stops at once."""
    monkeypatch.setattr(outbox, "LOOK_SECONDS", 0.1)
    box, smtp = mailbox
    async with silent() as hanging:
        chosen = configured(
            settings,
            webhook_url=f"http://{hanging}/",
            webhook_secret=SecretStr(SECRET),
            webhook_private_networks=True,
            smtp_url=SecretStr(smtp),
        )
        conversations = [await raised(database) for _ in range(25)]
        sending = asyncio.create_task(outbox.run(database, chosen))

        async def written() -> bool:
            return all(any(one in message.get_content() for message in box.messages) for one in conversations)

        await until(written, seconds=outbox.SECONDS / 2)
        async with asyncio.timeout(1):
            sending.cancel()
            await asyncio.gather(sending, return_exceptions=True)
    assert {item.state for one in conversations for item in await items(database, one, "webhook")} == {"waiting"}


@contextlib.asynccontextmanager
async def silent() -> AsyncIterator[str]:
    """Host and port of one who takes everything and answers nothing."""

    async def read_for_ever(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    async with await asyncio.start_server(read_for_ever, "127.0.0.1", 0) as server:
        yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}"


@pytest.mark.parametrize("kind", ["webhook", "email"])
async def test_a_receiver_that_drips_has_no_longer_than_any_other(
    database: Database, settings: Settings, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    """A header or a line of SMTP now and then, each in time by itself: the whole is given up, and tried again."""
    monkeypatch.setattr(outbox, "SECONDS", 1.0)
    conversation = await raised(database)
    async with dripping("220 here" if kind == "email" else "HTTP/1.1 200 OK") as slow:
        url = {"webhook_url": f"http://{slow}/", "webhook_secret": SecretStr(SECRET)}
        chosen = configured(settings, **(url if kind == "webhook" else {"smtp_url": SecretStr(f"smtp://{slow}")}))
        async with httpx.AsyncClient(trust_env=False) as client:
            while (await items(database, conversation, kind))[0].attempts == 0:
                async with asyncio.timeout(2):
                    assert await outbox.deliver(
                        database, kind, outbox.senders(chosen, client, database)[kind], now(), 200
                    )
    (item,) = await items(database, conversation, kind)
    assert (item.state, item.last_error) == ("waiting", "TimeoutError: ")


@contextlib.asynccontextmanager
async def dripping(first: str) -> AsyncIterator[str]:
    """Host and port of one who says a line every 0.6 s, whatever it hears."""

    async def drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        said = first
        with contextlib.suppress(ConnectionError):
            while not reader.at_eof():
                writer.write(f"{said}\r\n".encode())
                await writer.drain()
                await asyncio.sleep(0.6)
                said = "250 fine" if first.startswith("220") else "x: y"
        writer.close()

    async with await asyncio.start_server(drip, "127.0.0.1", 0) as server:
        yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}"


async def test_a_letter_is_sent_once_the_server_has_taken_it(
    database: Database, settings: Settings, mailbox: tuple[Mailbox, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server that hangs when it is to say good-bye has the letter: it is not sent again."""

    async def hangs(*_: object) -> None:
        await asyncio.sleep(60)

    monkeypatch.setattr(SMTP, "smtp_QUIT", hangs)
    monkeypatch.setattr(outbox, "SECONDS", 1.0)
    box, url = mailbox
    conversation = await raised(database)
    await delivered(database, configured(settings, smtp_url=SecretStr(url)), now())
    assert (await items(database, conversation, "email"))[0].state == "sent"
    assert sum(conversation in message.get_content() for message in box.messages) == 1


async def test_a_webhook_without_a_secret_is_refused(database: Database, settings: Settings) -> None:
    """At the start, in one line."""
    async with httpx.AsyncClient() as client:
        for more in ({}, {"webhook_secret": SecretStr("short")}):
            with pytest.raises(UserError, match="KOTAE_WEBHOOK_SECRET"):
                outbox.senders(configured(settings, webhook_url="http://127.0.0.1:9/", **more), client, database)


async def test_the_owner_is_written_to_first(
    database: Database, settings: Settings, mailbox: tuple[Mailbox, str]
) -> None:
    """By real SMTP; one level up the whole team."""
    box, url = mailbox
    owner = f"{new_id('dana')}@acme.example"
    async with database.begin() as session:
        await csms.add(session, CsmEntry(email=owner, name="Dana"), None, now())
    conversation = await raised(database, owner)
    await delivered(database, configured(settings, smtp_url=SecretStr(url)), now())
    (message,) = box.to(owner)
    assert message["Subject"] == "[Acme] Acme: A high-value account wants to cancel"
    assert f"https://help.acme.example/console/conversation/{conversation}" in message.get_content()


async def test_the_link_of_an_email_opens_the_conversation(
    database: Database, settings: Settings, mailbox: tuple[Mailbox, str]
) -> None:
    """The token is not stored with the message; it opens this conversation, and for seven days."""
    box, url = mailbox
    to = f"{new_id('pat')}@mail.example"
    async with database.begin() as session:
        conversation = (await log.start(session, lang="ja", now=now())).id
        for _ in range(2):  # the same words are told once, until the customer was back
            await outbox.tell_customer(
                session,
                COMPANY,
                conversation_id=conversation,
                to=to,
                lang="ja",
                csm="Hana",
                words="請求書をお送りしました。",
                after=0,
                now=now(),
            )
    await delivered(database, configured(settings, smtp_url=SecretStr(url)), now())
    (message,) = box.to(to)
    assert "Hana" in message["Subject"]
    assert "請求書をお送りしました。" in message.get_content()
    found = re.search(rf"https://help\.acme\.example/conversation#{conversation}:(\S+)", message.get_content())
    assert found is not None
    token = found.group(1)
    (item,) = await items(database, conversation, "customer_email")
    assert token not in str(item.payload)
    async with database.begin() as session:
        _, until = await log.open_by_token(session, conversation, token, now())
        assert until is not None
        with pytest.raises(NotFound):
            await log.open_by_token(session, conversation, token, until + timedelta(seconds=1))
