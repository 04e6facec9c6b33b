"""A message is taken, and a turn settled, by one call each: one way to the server and back, where it took four."""

from collections.abc import Sequence

from alembic import op

revision: str = "0041_log"
down_revision: str | None = "0040_growth"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

# Each statement of such a function sees what was committed before it, so what is read after the lock is what holds (a single statement
# with the same parts would still see what was there before it waited for the lock).

_ACCEPT = """
CREATE FUNCTION accept_message(
    p_conversation text, p_client text, p_body jsonb, p_turn text, p_choice text, p_at timestamptz, p_until timestamptz, p_bot_only boolean
) RETURNS TABLE (
    account_id text, person_id text, lang text, holder text, seq integer, known boolean, offered boolean, taken boolean, event text
) LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    before integer;
BEGIN
    SELECT c.account_id, c.person_id, c.lang, c.holder, c.last_seq + 1 INTO account_id, person_id, lang, holder, seq
    FROM conversations c WHERE c.id = p_conversation FOR UPDATE;
    IF NOT FOUND THEN RETURN; END IF;
    SELECT m.seq INTO before FROM messages m WHERE m.conversation_id = p_conversation AND m.client_id = p_client;
    known := before IS NOT NULL;
    IF known THEN
        seq := before;
        RETURN NEXT;
        RETURN;
    END IF;
    offered := p_choice IS NULL OR EXISTS (
        SELECT FROM (
            SELECT m.body FROM messages m WHERE m.conversation_id = p_conversation ORDER BY m.seq DESC LIMIT 50) AS latest
        WHERE latest.body ->> 'type' = 'choices'
          AND latest.body -> 'choices' @> jsonb_build_array(jsonb_build_object('id', p_choice)));
    IF NOT offered OR (p_bot_only AND holder <> 'bot') THEN
        RETURN NEXT;
        RETURN;
    END IF;
    UPDATE conversations c SET last_seq = seq, last_at = p_at WHERE c.id = p_conversation;
    INSERT INTO messages (conversation_id, seq, sender, body, client_id, created_at)
    VALUES (p_conversation, seq, 'customer', p_body, p_client, p_at);
    taken := holder = 'bot' AND p_until IS NOT NULL AND NOT EXISTS (
        SELECT FROM turns t WHERE t.conversation_id = p_conversation AND t.settled_at IS NULL);
    IF holder = 'bot' THEN
        INSERT INTO turns (id, conversation_id, seq, choice, attempts, leased_until, created_at)
        VALUES (p_turn, p_conversation, seq, p_choice, taken::int, CASE WHEN taken THEN p_until END, p_at);
    END IF;
    event := json_strip_nulls(json_build_object(
        'c', p_conversation, 'seq', seq, 'by', 'customer', 'owed', nullif(holder = 'bot', false), 'taken', nullif(taken, false)));
    PERFORM pg_notify('kotae', event);
    RETURN NEXT;
END
$$
"""

_SETTLE = """
CREATE FUNCTION settle_turn(
    p_turn text, p_bodies jsonb, p_outcome text, p_at timestamptz, p_intent text, p_confidence double precision, p_lang text
) RETURNS TABLE (conversation_id text, last_seq integer, silent boolean, event text)
LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    asked integer;
    replies integer;
BEGIN
    SELECT c.id, c.last_seq, c.holder <> 'bot' INTO conversation_id, last_seq, silent
    FROM conversations c WHERE c.id = (SELECT t.conversation_id FROM turns t WHERE t.id = p_turn) FOR UPDATE;
    UPDATE turns t SET settled_at = p_at, outcome = CASE WHEN silent THEN 'silent' ELSE p_outcome END,
        intent = p_intent, intent_confidence = p_confidence
    WHERE t.id = p_turn AND t.settled_at IS NULL RETURNING t.seq INTO asked;
    IF NOT FOUND THEN RETURN; END IF;
    replies := CASE WHEN silent THEN 0 ELSE jsonb_array_length(p_bodies) END;
    IF replies > 0 THEN
        INSERT INTO messages (conversation_id, seq, sender, body, turn_id, ordinal, created_at)
        SELECT conversation_id, last_seq + place, 'bot', body, p_turn, place - 1, p_at
        FROM jsonb_array_elements(p_bodies) WITH ORDINALITY AS given (body, place);
    END IF;
    UPDATE conversations c SET last_seq = last_seq + replies,
        last_at = CASE WHEN replies > 0 THEN p_at ELSE c.last_at END, lang = coalesce(p_lang, c.lang)
    WHERE c.id = conversation_id AND (replies > 0 OR c.lang <> p_lang);
    event := json_strip_nulls(json_build_object(
        'c', conversation_id, 'seq', last_seq + replies, 'owed', nullif(last_seq > asked, false)));
    PERFORM pg_notify('kotae', event);
    last_seq := last_seq + replies;
    RETURN NEXT;
END
$$
"""


def upgrade() -> None:
    op.execute(_ACCEPT)
    op.execute(_SETTLE)


def downgrade() -> None:
    op.execute("DROP FUNCTION settle_turn")
    op.execute("DROP FUNCTION accept_message")
