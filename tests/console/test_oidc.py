"""Signing in at a real OpenID provider on loopback, in a real browser."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from oidc_provider_mock import User, run_server_in_thread
from playwright.async_api import BrowserContext, expect
from sqlalchemy import select

from api.models import AuditEntry
from escalations.models import Csm
from kit.company import Company
from kit.database import Database
from kit.settings import Settings
from tests.support import free_ports

pytestmark = pytest.mark.browser


@pytest.fixture
async def door(root: Path, settings: Settings, company: Company, database_url: str) -> AsyncIterator[str]:
    """The address of a front door of its own process, whose CSMs sign in at the provider alone."""
    users = [
        User(sub="ana", claims={"email": "ana@example.com", "email_verified": True}),
        User(sub="stranger", claims={"email": "stranger@example.com", "email_verified": True}),
        User(sub="unverified", claims={"email": "ana@example.com", "email_verified": False}),
    ]
    (port,) = free_ports(1)
    with run_server_in_thread(user_claims=users) as provider:
        environment = {key: value for key, value in os.environ.items() if not key.startswith("KOTAE_")} | {
            "KOTAE_HOME": str(settings.home),
            "KOTAE_COMPANY": str(company.folder),
            "KOTAE_API_PORT": str(port),
            "KOTAE_DATABASE_URL": database_url,
            "KOTAE_OIDC_ISSUER": f"http://localhost:{provider.server_port}",
            "KOTAE_OIDC_CLIENT_ID": "kotae",
            "KOTAE_OIDC_CLIENT_SECRET": "a secret of the test",
        }
        process = await asyncio.create_subprocess_exec(sys.executable, "-m", "api", cwd=root, env=environment)
        try:
            address = f"http://127.0.0.1:{port}"
            async with httpx.AsyncClient(trust_env=False) as client:
                async with asyncio.timeout(60):
                    while True:
                        assert process.returncode is None, "the front door ended"
                        try:
                            await client.get(f"{address}/healthz")
                            break
                        except httpx.HTTPError:
                            await asyncio.sleep(0.1)
            yield address
        finally:
            process.terminate()
            await asyncio.wait_for(process.wait(), 30)


async def test_the_provider_says_who_it_is(context: BrowserContext, door: str, database: Database, ana: Csm) -> None:
    """A CSM lands where they wanted to go; a stranger and an address that is not verified stay outside; all of it is in the audit log."""
    page = await context.new_page()
    for subject, words in (("stranger", "not a CSM here"), ("unverified", "could not confirm who you are")):
        await page.goto(f"{door}/console/sign-in")
        await expect(page.locator("#password")).to_have_count(0)
        await page.click("a.button")
        await page.fill("[name=sub]", subject)
        await page.click("button:has-text('Authorize')")
        await expect(page.locator("[role=alert]")).to_contain_text(words)
    await page.goto(f"{door}/console/?view=mine")
    await page.click("a.button")
    await page.fill("[name=sub]", "ana")
    await page.click("button:has-text('Authorize')")
    await expect(page).to_have_url(f"{door}/console/?view=mine")
    await expect(page.locator(".me-name")).to_contain_text("Ana Sato")
    answer = await page.request.get(f"{door}/console/oidc/callback?code=made-up&state=made-up")
    assert answer.status == 401
    async with database.begin() as session:
        query = select(AuditEntry.action, AuditEntry.actor).order_by(AuditEntry.id.desc()).limit(2)
        entries = [tuple(row) for row in await session.execute(query)]
    assert entries == [("sign_in", ana.name), ("sign_in_refused", "stranger@example.com")]
