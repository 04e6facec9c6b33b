"""Encoders load by name, and a missing one is one clear line."""

from __future__ import annotations

import numpy as np
import pytest

from kit.errors import UserError
from kit.settings import Settings
from knowledge_base.encoders import Encoders, load_encoder


@pytest.mark.parametrize("name", ["./no-such-folder", "/nowhere/model", "no-such-org/no-such-model"])
def test_a_model_that_is_missing_is_said(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(UserError, match=name):
        load_encoder(name)


def test_the_multilingual_encoder_finds_across_languages(encoders: Encoders) -> None:
    question = encoders.japanese.questions(["パスワードを忘れました"])[0]
    passages = encoders.japanese.passages(["Reset your password", "Download an invoice", "Bake a cake"])
    assert int(np.argmax(passages @ question)) == 0


def test_one_encoder_for_both_has_one_block(plain_settings: Settings) -> None:
    both = Encoders(plain_settings.model_copy(update={"encoder_ja": None}))
    assert (both.name, both.dimension, both.japanese is both.general) == ("minilm", 384, True)
