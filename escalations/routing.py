"""Who is there to take conversations, and how long one waits for its owner alone; `repository` asks the database by these.

Anybody may still claim what they see; an offer decides what `queue.next_for` gives a CSM who asks for the next one.
"""

from __future__ import annotations

from datetime import timedelta

PRESENT_FOR = timedelta(seconds=90)
"""A CSM whose console gave no sign for longer is not there: it gives one every half a minute."""
OWNERS_SHARE = 0.5
"""The part of its service level in which a conversation waits for its owner alone, while they can take it."""
