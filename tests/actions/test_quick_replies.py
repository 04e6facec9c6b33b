"""What stands under a greeting does something when it is clicked."""

from __future__ import annotations

import inspect

from accounts.greetings import load_greetings
from actions import account, dialogue, help
from kit.company import Company, Support


def test_every_button_of_a_greeting_is_known_to_the_bot() -> None:
    """Each is a fact of the account, an article, or a person."""
    company = Company(name="A", product="A", summary={"en": ""}, support=Support(email="a@b.example"))
    ids = {reply.id for rule in load_greetings(company).rules for reply in rule.replies}
    assert ids
    assert {id_ for id_ in ids if not id_.startswith(help.ARTICLE)} <= {*help.QUICK_REPLIES, dialogue.HUMAN}
    assert all(inspect.iscoroutinefunction(getattr(account, name)) for name in help.QUICK_REPLIES)
