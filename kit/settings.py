"""Settings: read once at start from the environment (`KOTAE_*`, `.env`), then passed in."""

from __future__ import annotations

import json
import os
import secrets
from functools import cached_property
from pathlib import Path
from typing import Literal

from pydantic import AliasChoices, Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from kit.errors import UserError

ROOT = Path(__file__).resolve().parents[1]
"""The checkout: where `config.yml`, `domain.yml` and `bot/` are."""

LOOPBACK = "127.0.0.1"


class Settings(BaseSettings):
    """Everything an installation can decide. Each field is an environment variable with the prefix `KOTAE_`."""

    model_config = SettingsConfigDict(env_prefix="KOTAE_", env_file=".env", extra="ignore", frozen=True)

    mode: Literal["development", "production"] = Field(
        "development", description="production refuses to start with generated or demo secrets"
    )
    home: Path = Field(ROOT / ".kotae", description="where Kotae keeps its state: database, index, models, logs")
    company: Path = Field(ROOT / "demo", description="the company's folder: company.yml, plans.yml, help/ …")
    database_url: SecretStr | None = Field(
        None,
        validation_alias=AliasChoices("database_url", "DATABASE_URL", "KOTAE_DATABASE_URL"),
        description="a PostgreSQL server; without it an embedded one is started",
    )
    index: Path | None = Field(None, description="the help index to serve; by default under the home folder")

    api_host: str = Field(LOOPBACK, description="address the front door listens on")
    api_port: int = Field(8000, description="port of the front door")
    rasa_port: int = Field(5005, description="port of Rasa, loopback only")
    actions_port: int = Field(5055, description="port of the action server, loopback only")
    knowledge_base_port: int = Field(8100, description="port of the knowledge base, loopback only")
    internal_host: str = Field(
        LOOPBACK,
        description="address Rasa, the action server and the knowledge base listen on: a private network's, never a public one",
    )
    rasa_server: str | None = Field(None, description="address of Rasa where it is another machine's, http://host:port")
    actions_server: str | None = Field(None, description="address of the action server where it is another machine's")
    knowledge_base_server: str | None = Field(
        None, description="address of the knowledge base where it is another machine's"
    )
    redis_host: str | None = Field(
        None, description="Redis server with the lock that several replicas of Rasa share; one replica needs none"
    )
    redis_port: int = Field(6379, description="its port")
    public_url: str | None = Field(None, description="how customers reach the front door, where that is not its port")

    encoder: str = Field(
        "minilm",
        description="sentence encoder: minilm, multilingual (both packaged), or a sentence-transformers name or path",
    )
    encoder_ja: str | None = Field(
        "multilingual", description="encoder of Japanese text, where the other is not made for it; empty: the same"
    )
    encoder_cache: Path | None = Field(
        ROOT / ".kotae" / "encoders",
        description="where sentence encoders compiled for this machine are kept; empty: they are run as they are",
    )
    threads: int = Field(1, description="threads of the encoder for one question")

    secret_key: SecretStr | None = Field(None, description="signs turn tokens and console sessions; 32 bytes or more")
    identity_secret: SecretStr | None = Field(
        None, description="HS256 secret shared with the company's backend, which signs identity tokens"
    )
    identity_jwks_url: str | None = Field(None, description="JWKS address for RS256/ES256 identity tokens")
    identity_audience: str = Field("kotae", description="the `aud` an identity token must carry")
    allowed_origins: list[str] = Field(
        default_factory=list,
        description="websites that may embed the widget; none given: any in development, none in production",
    )

    trusted_proxies: list[str] = Field(
        default_factory=lambda: [LOOPBACK],
        description="addresses or networks of load balancers whose X-Forwarded-For is believed",
    )
    conversations_per_minute: int = Field(
        30, ge=0, description="conversations one address may begin in a minute; 0: any number"
    )
    messages_per_minute: int = Field(
        60,
        ge=0,
        description="messages of one conversation in a minute, and five times as many signs of typing, reading and rating; 0: any number",
    )
    person_messages_per_minute: int = Field(
        120, ge=0, description="messages of one person in all their conversations in a minute; 0: any number"
    )
    address_messages_per_minute: int = Field(
        600, ge=0, description="messages from one address in a minute; 0: any number"
    )
    address_windows: int = Field(
        1000,
        ge=0,
        description="windows of conversations that are open from one address at the same time; 0: any number",
    )
    searches_per_minute: int = Field(
        120, ge=0, description="searches and readings of articles from one address in a minute; 0: any number"
    )
    refusals_per_minute: int = Field(
        60,
        ge=0,
        description="requests of one address that may prove nothing or name nothing in a minute; 0: any number",
    )
    sign_ins_per_minute: int = Field(
        10, ge=0, description="tries to sign in to the console from one address in a minute; 0: any number"
    )

    turn_budget_seconds: float = Field(5.0, description="how long Rasa may take for one turn")
    turn_workers: int = Field(8, description="turns one api process runs at the same time")
    turn_backlog: int = Field(
        500,
        ge=1,
        description="turns owed at the same time, in all; beyond it new messages are refused for some seconds",
    )
    log_format: Literal["console", "json"] = Field("console", description="how log lines look")
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="the least level that is logged"
    )
    metrics_token: SecretStr | None = Field(
        None, description="bearer token that /metrics asks for; none given: open in development, closed in production"
    )
    trace_url: str | None = Field(
        None, description="where traces go: the base address of an OTLP/HTTP receiver, http://host:4318; empty: nowhere"
    )

    keep_conversations_days: int = Field(
        730, ge=0, description="days a conversation is kept after its last message; 0: until it is erased"
    )
    keep_events_days: int = Field(
        400, ge=0, description="days a single event of use is kept; its day's figures stay; 0: for ever"
    )
    keep_notifications_days: int = Field(
        30, ge=0, description="days a notification is kept once it was sent or given up; 0: for ever"
    )
    keep_audit_days: int = Field(730, ge=0, description="days a line of the audit log is kept; 0: for ever")
    keep_logs_days: int = Field(
        30, ge=0, description="days a closed log file is kept; the files are closed at midnight UTC; 0: for ever"
    )

    oidc_issuer: str | None = Field(None, description="OpenID Connect provider for CSMs")
    oidc_client_id: str | None = Field(None, description="client id at that provider")
    oidc_client_secret: SecretStr | None = Field(None, description="client secret at that provider")

    slack_webhook_url: SecretStr | None = Field(None, description="Slack-compatible webhook for escalations")
    webhook_url: str | None = Field(None, description="where signed webhooks of the queue go, https://…")
    webhook_secret: SecretStr | None = Field(None, description="signs them; 24 characters or more, whsec_… or any text")
    webhook_private_networks: bool = Field(
        False, description="webhooks may go to http and to addresses that are not public, such as 10.0.0.1 or 127.0.0.1"
    )
    smtp_url: SecretStr | None = Field(None, description="smtp://user:password@host:port for e-mail")

    @property
    def index_dir(self) -> Path:
        """The folder of the help index that is served."""
        return self.index or self.home / "index"

    @property
    def models_dir(self) -> Path:
        """The folder of trained Rasa models."""
        return self.home / "models"

    @property
    def logs_dir(self) -> Path:
        """The folder of process logs."""
        return self.home / "logs"

    @property
    def site_url(self) -> str:
        """The public address of the front door, without a trailing slash."""
        return (self.public_url or f"http://{self.api_host}:{self.api_port}").rstrip("/")

    @property
    def rasa_url(self) -> str:
        return self.rasa_server or f"http://{LOOPBACK}:{self.rasa_port}"

    @property
    def actions_url(self) -> str:
        return self.actions_server or f"http://{LOOPBACK}:{self.actions_port}"

    @property
    def knowledge_base_url(self) -> str:
        return self.knowledge_base_server or f"http://{LOOPBACK}:{self.knowledge_base_port}"

    @cached_property
    def signing_key(self) -> str:
        """Key of turn tokens and console sessions; generated once in development.

        Raises:
            UserError: in production, where it was not set.
        """
        return self._secret("secret_key", self.secret_key)

    @cached_property
    def identity_key(self) -> str | None:
        """HS256 key of identity tokens; generated once in development; None where the company signs by JWKS alone.

        Raises:
            UserError: in production, where neither was set.
        """
        if self.mode == "production" and self.identity_secret is None and self.identity_jwks_url:
            return None
        return self._secret("identity_secret", self.identity_secret)

    def _secret(self, name: str, given: SecretStr | None) -> str:
        if given is not None:
            value = given.get_secret_value()
            if len(value) < 32:
                raise UserError(f"KOTAE_{name.upper()} is shorter than 32 characters", "set a longer random value")
            return value
        if self.mode == "production":
            raise UserError(
                f"KOTAE_{name.upper()} is not set",
                "production needs 32 random characters or more",
            )
        return _generated_secret(self.home / "secrets.json", name)


def _generated_secret(path: Path, name: str) -> str:
    """A random secret kept in a file that only its owner reads. Safe against two processes starting at once."""
    path.parent.mkdir(parents=True, exist_ok=True)
    fd = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    with os.fdopen(fd, "r+", encoding="utf-8") as file:
        _lock(file.fileno())
        text = file.read()
        kept: dict[str, str] = json.loads(text) if text else {}
        if name not in kept:
            kept[name] = secrets.token_urlsafe(48)
            file.seek(0)
            json.dump(kept, file)
            file.truncate()
        return kept[name]


def _lock(fd: int) -> None:
    import fcntl

    fcntl.flock(fd, fcntl.LOCK_EX)


def load_settings(**overrides: object) -> Settings:
    """Reads the settings.

    Args:
        overrides: values that win over the environment, by field name.
    Raises:
        UserError: a variable has a value it cannot have.
    """
    given = {key: value for key, value in overrides.items() if value is not None}
    try:
        return Settings(**given)  # type: ignore[arg-type]  # values are checked by pydantic
    except ValidationError as error:
        first = error.errors()[0]
        name = "_".join(str(part) for part in first["loc"]).upper()
        raise UserError(
            f"setting KOTAE_{name.removeprefix('KOTAE_')}: {first['msg'].lower()}",
            "correct it in the environment or .env",
        ) from None
