"""Questions are read together, and one that was read is not read again."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from knowledge_base.batching import QuestionVectors
from knowledge_base.encoders import Encoders

SECONDS = 60


@pytest.fixture
def vectors(encoders: Encoders) -> Iterator[QuestionVectors]:
    made = QuestionVectors(encoders.all)
    yield made
    made.close()


def test_what_the_encoder_does_not_tell_apart_is_read_once(vectors: QuestionVectors, encoders: Encoders) -> None:
    """Rasa asks in small letters and the search as it was written: one reading. What differs to the model is another."""
    model = encoders.general
    first = vectors.start(model, "How does SSO work?")
    assert vectors.start(model, "how does sso work?") is first
    others = [
        vectors.start(model, text) for text in ("how does [SEP] work?", "how does [sep] work?", "how does it work?")
    ]
    assert len({first, *others}) == 4
    read = [future.result(SECONDS).vector for future in (first, *others)]
    alone = model.questions(["how does sso work?", "how does [SEP] work?", "how does [sep] work?", "how does it work?"])
    assert np.allclose(read, alone, atol=1e-3)
    assert not np.allclose(read[1], read[2], atol=1e-3)


def test_an_encoder_that_tells_capitals_apart_reads_both(vectors: QuestionVectors, encoders: Encoders) -> None:
    """Nothing is taken for the same that may not be."""
    model = encoders.japanese
    assert vectors.start(model, "SSOとは？") is vectors.start(model, "SSOとは？")
    assert vectors.start(model, "SSOとは？") is not vectors.start(model, "ssoとは？")
