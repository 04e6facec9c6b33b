"""Whatever way a secret comes in that is not a secret to us, the database has none of it: a dump is searched."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

from sqlalchemy.ext.asyncio import AsyncSession

from accounts import surveys
from accounts.ingestion import ingest
from accounts.records import add_note, put_account, put_person, put_records
from accounts.schemas import PutAccount, PutPerson, PutSurvey, PutTicket
from conversations import log
from conversations.bodies import Text
from escalations import csms, policy, queue
from escalations.csms import CsmEntry
from escalations.policy import Facts
from escalations.queue import Asker
from kit.company import Company, Support
from kit.ids import new_id
from tests.api.test_personal_data import dump

NOW = datetime(2026, 11, 18, 12, tzinfo=UTC)
COMPANY = Company(name="Acme", product="Acme", summary={"en": "", "ja": ""}, support=Support(email="help@acme.example"))
RULES = {rule.id: rule for rule in policy.load(policy.DEFAULT).rules}
CARD, PASSWORD, KEY = "4242 4242 4242 4242", "zq-Geheim9", "sk_live_zqQm2Xw9Lr4Tz8Kp1Vn6"
EVIL = f"my card is {CARD}, password: {PASSWORD}, key {KEY}"


async def test_no_door_lets_a_secret_into_the_database(session: AsyncSession) -> None:
    """What the backend sends of accounts, people, tickets, surveys and events; what customers write; what CSMs answer, note and give as a reason."""
    bag = {"note": EVIL, "password": PASSWORD, "card": int(CARD.replace(" ", "")), "deep": {"list": [EVIL]}}
    await put_account(session, "zq-mask", PutAccount(name="Zq", plan="pro", seats=5, reason=EVIL, attributes=bag), NOW)
    await put_person(session, "zq-masked", PutPerson(account_id="zq-mask", attributes=bag), NOW)
    mine = {"account_id": "zq-mask", "person_id": "zq-masked"}
    await put_records(session, [PutTicket(id="zq-t", subject=EVIL, opened_at=NOW, **mine)])
    events = [
        {"type": "track", "userId": "zq-masked", "event": "paid", "messageId": new_id("e"), "properties": bag},
        {"type": "identify", "userId": "zq-masked", "messageId": new_id("e"), "traits": bag},
        {"type": "group", "userId": "zq-masked", "groupId": "zq-mask", "messageId": new_id("e"), "traits": bag},
        {"type": "page", "userId": "zq-masked", "messageId": new_id("e"), "properties": {"url": f"https://a.example/?token={KEY}"}},
    ]  # fmt: skip
    assert (await ingest(session, events, NOW)).accepted == len(events)
    await add_note(session, "zq-mask", "csm@acme.example", EVIL, NOW)
    made = await log.start(session, lang="en", now=NOW, page_url=f"https://a.example/?password={PASSWORD}", **mine)
    asked = await surveys.ask(session, "csat", NOW, conversation_id=made.id, **mine)
    assert asked is not None
    await surveys.answer(session, asked, 4, NOW, comment=EVIL)
    await put_records(
        session, [PutSurvey(id="zq-s", kind="nps", asked_at=NOW, answered_at=NOW, score=3, comment=EVIL, **mine)]
    )
    await log.accept(session, made.id, "c1", EVIL, NOW)
    await log.append(session, made.id, "csm", Text(text=EVIL), NOW, name="Ana")
    await log.give_feedback(session, made.id, 2, NOW, helpful=False, comment=EVIL)
    csm = await csms.add(session, CsmEntry(email=f"{new_id('m')}@acme.example", name="Ana", role="lead"), None, NOW)
    await log.add_note(session, made.id, csm.id, EVIL, NOW)
    raised = await queue.raise_(
        session, COMPANY, conversation_id=made.id, rule=RULES["wish"], facts=Facts(known=True),
        asker=Asker(account_id="zq-mask", account_name="Zq", value=Decimal(1)), lang="en", now=NOW,
    )  # fmt: skip
    await queue.claim(session, raised.escalation.id, csm, NOW)
    await queue.prioritise(session, raised.escalation.id, csm, "urgent", EVIL, NOW)
    await queue.resolve(session, raised.escalation.id, csm, NOW, reason=EVIL)
    whole = await dump(session)
    assert whole.count("•••• 4242") > 10
    bare = (CARD, CARD.replace(" ", ""), PASSWORD, KEY)
    assert [row[:200] for row in whole.splitlines() if any(secret in row for secret in bare)] == []
