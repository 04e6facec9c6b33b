"""The snippets of `docs/identity.md`, each run by its own interpreter: Kotae takes what they sign."""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest

from api.identity import Identities
from kit.clock import now
from kit.errors import Unauthenticated
from kit.settings import load_settings
from tests.support import installed

SECRET = "the secret that only the two servers know"
GUIDE = "docs/identity.md"
CALLS = {
    "python": ("sign.py", 'print(identity_token("user-1", "acme"), end="")'),
    "javascript": ("sign.mjs", "process.stdout.write(identityToken('user-1', 'acme'));"),
    "ruby": ("sign.rb", 'print identity_token("user-1", "acme")'),
    "php": ("sign.php", "echo identity_token('user-1', 'acme');"),
}
INTERPRETERS = {"javascript": ("node", "nodejs"), "ruby": ("ruby", "ruby"), "php": ("php", "php-cli")}


def interpreter(language: str) -> str:
    return sys.executable if language == "python" else installed(*INTERPRETERS[language])


def signed(language: str, snippet: str, folder: Path) -> str:
    """What the snippet signs, run by its interpreter."""
    name, call = CALLS[language]
    (folder / name).write_text(f"{snippet}\n{call}\n", "utf-8")
    command = [interpreter(language), str(folder / name)]
    environment = os.environ | {"KOTAE_IDENTITY_SECRET": SECRET}
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=True).stdout


@pytest.mark.parametrize("language", CALLS)
async def test_a_snippet_signs_what_kotae_takes(language: str, root: Path, tmp_path: Path) -> None:
    snippets = re.findall(rf"^```{language}\n(.*?)^```$", (root / GUIDE).read_text("utf-8"), re.DOTALL | re.MULTILINE)
    assert len(snippets) == 1
    token = await asyncio.to_thread(signed, language, snippets[0], tmp_path)
    identities = Identities(load_settings(home=tmp_path, identity_secret=SECRET))
    who = await identities.verify(token, now())
    assert (who.person_id, who.account_id) == ("user-1", "acme")
    assert timedelta(minutes=59) < who.expires_at - now() <= timedelta(hours=1)
    with pytest.raises(Unauthenticated):
        await Identities(load_settings(home=tmp_path, identity_secret=SECRET[::-1])).verify(token, now())
