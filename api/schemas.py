"""What the front door takes and gives."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from conversations.bodies import Message
from kit.company import Language

MAX_SEQ = 2**31 - 1
"""The last place a log has room for."""


class StartIn(BaseModel):
    """Opens a conversation."""

    lang: Language | None = Field(
        None,
        description="the customer's language; where left out, what is known of the person, else the company's first",
    )
    page_url: str | None = Field(None, max_length=2000)
    resume: bool = Field(False, description="a customer's latest open conversation instead of a new one")


class StartOut(BaseModel):
    """A conversation and the token that opens it."""

    conversation_id: str
    token: str
    messages: list[Message]
    lang: str
    holder: Literal["bot", "csm"]


class ConversationOut(BaseModel):
    """Where a conversation stands."""

    conversation_id: str
    lang: str
    holder: Literal["bot", "csm"]
    csm: str | None
    last_seq: int
    known: bool


class MessageIn(BaseModel):
    """A customer's message. `client_id` makes sending it again harmless."""

    client_id: str = Field(min_length=1, max_length=64)
    text: str
    choice: str | None = Field(None, max_length=200)


class MessageOut(BaseModel):
    """Accepted: it is in the log at this place."""

    seq: int


class MessagesOut(BaseModel):
    """The log after a place."""

    messages: list[Message]
    holder: Literal["bot", "csm"]
    more: bool = Field(description="there may be more after the last of these: ask again from there")


class IdentityIn(BaseModel):
    """Makes an anonymous conversation a known person's."""

    identity: str = Field(max_length=8000)


_UNSEEN = "\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufeff"
"""What is not seen or turns the direction of what is: with it an address looks like another."""


class EmailIn(BaseModel):
    """Where to reach a visitor."""

    email: str = Field(pattern=rf"^[^@\s{_UNSEEN}]{{1,64}}@[^@\s{_UNSEEN}]{{1,190}}\.[^@\s.{_UNSEEN}]{{2,}}$")


class Problem(BaseModel):
    """What went wrong."""

    code: str = Field(description="stable, for programs")
    message: str = Field(description="one line that names the thing")
    hint: str = Field(description="the way out")


class ProblemOut(BaseModel):
    """Every answer that is not what was asked for."""

    error: Problem


class _Frame(BaseModel):
    model_config = ConfigDict(extra="ignore")


class MessageFrame(_Frame, MessageIn):
    type: Literal["message"]


class TypingFrame(_Frame):
    type: Literal["typing"]


class ReadFrame(_Frame):
    type: Literal["read"]
    seq: int = Field(ge=0, le=MAX_SEQ)


class FeedbackFrame(_Frame):
    type: Literal["feedback"]
    seq: int = Field(ge=1, le=MAX_SEQ)
    helpful: bool


class SurveyFrame(_Frame):
    type: Literal["survey"]
    seq: int = Field(ge=1, le=MAX_SEQ)
    score: int
    comment: str | None = None


class PingFrame(_Frame):
    type: Literal["ping"]


NoticeFrame = Annotated[TypingFrame | ReadFrame | FeedbackFrame | SurveyFrame, Field(discriminator="type")]
"""What a client tells beside its messages."""
Frame = Annotated[MessageFrame | NoticeFrame | PingFrame, Field(discriminator="type")]
FRAME: TypeAdapter[Frame] = TypeAdapter(Frame)
