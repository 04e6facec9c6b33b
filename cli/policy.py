"""`kotae policy`: the escalation policy from a terminal."""

from __future__ import annotations

import difflib
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import BaseModel
from rich.table import Table

from cli.output import print_json, screen
from escalations import policy
from escalations.policy import Facts, Policy
from kit.company import load_company
from kit.files import read_yaml
from kit.settings import ROOT, load_settings

app = typer.Typer(help="When a human comes in.", no_args_is_help=True, add_completion=False, rich_markup_mode=None)
File = Annotated[Path | None, typer.Option("--policy", help="another escalation.yml than the one in force")]


class _Domain(BaseModel):
    """What of the bot's `domain.yml` is needed here."""

    intents: list[str]


_FACTS = "\n\n".join(f"{name}: {field.description}" for name, field in Facts.model_fields.items())


@app.command(epilog=f"Facts a rule may ask:\n\n{_FACTS}")
def check(file: File = None) -> None:
    """Read the policy, say what is wrong with it and where, or list its rules in order."""
    path, found = load(file)
    hidden, intents = policy.hidden(found), _intents()
    table = Table("#", "rule", "when", "mode", "priority", "within", "route")
    for number, rule in enumerate(found.rules, 1):
        when = ", ".join(f"{name}: {_words(condition)}" for name, condition in rule.when.items()) or "always"
        route = f"{rule.route}, {rule.skill}" if rule.skill else rule.route
        table.add_row(str(number), rule.id, when, rule.mode, rule.priority, f"{rule.within_minutes} min", route)
    screen.print(table)
    for rule in found.rules:
        if rule.id in hidden:
            screen.print(f"{rule.id} never fires: {hidden[rule.id]}, before it, holds whenever it does. Put it first.")
        for intent in sorted(_intents_of(rule) - intents):
            near = difflib.get_close_matches(intent, intents, n=1)
            hint = f" Did you mean {near[0]}?" if near else " See domain.yml for those it is."
            screen.print(f"{rule.id}: no message is ever understood as {intent}.{hint}")
    screen.print(f"{path}: {len(found.rules)} rules; of those that hold, the first decides.", soft_wrap=True)


def _intents() -> set[str]:
    """What the bot can understand a message as."""
    return set(read_yaml(ROOT / "domain.yml", _Domain).intents)


def _intents_of(rule: policy.Rule) -> set[str]:
    asked = rule.when.get("intent", [])
    return {asked} if isinstance(asked, str) else set(asked) if isinstance(asked, list) else set()


@app.command()
def explain(
    account: Annotated[str | None, typer.Option("--account", help="facts of this account")] = None,
    text: Annotated[str, typer.Option("--text", help="what the customer writes; understood by the running bot")] = "",
    intent: Annotated[str, typer.Option("--intent", help="instead of --text: the intent itself")] = "",
    file: File = None,
    json: Annotated[bool, typer.Option("--json", help="one JSON document on standard output")] = False,
) -> None:
    """Which rule fires, on which facts, and what would have had to differ for the others."""
    from cli.explaining import facts_of

    _, found = load(file)
    facts = facts_of(load_settings(), account, text, intent)
    fired = policy.decide(found, facts)
    if json:
        lines: list[dict[str, Any]] = [
            {"rule": rule.id, "fires": rule is fired, "unmet": policy.unmet(rule, facts)} for rule in found.rules
        ]
        print_json({"facts": facts, "fired": fired.id if fired else None, "rules": lines})
        return
    _show(found, facts, fired)


def _show(found: Policy, facts: Facts, fired: policy.Rule | None) -> None:
    """What decided, the facts it was decided on, and what the other rules miss."""
    if fired is None:
        screen.print("No rule fires: the bot answers, and nobody need come in.\n")
    else:
        who = "its owner" if fired.route == "owner" else f"the pool ({fired.skill})" if fired.skill else "the pool"
        does = "a CSM takes over" if fired.mode == "takeover" else "the bot goes on, a CSM sees it live"
        screen.print(
            f"{fired.id} fires: {does}; {fired.priority}, within {fired.within_minutes} business minutes, to {who}."
        )
        screen.print(f"The CSM reads: {fired.reason['en']}\n")
    told = Table("fact", "is", "meaning", title="Facts", title_justify="left")
    for name, field in Facts.model_fields.items():
        value = getattr(facts, name)
        if value not in (None, "", 0):
            told.add_row(name, _fact(value), field.description)
    screen.print(told)
    screen.print("Whatever is not listed is unknown, zero or not so.\n")
    others = Table("#", "rule", "what would have had to differ", title="Rules, in order", title_justify="left")
    for number, rule in enumerate(found.rules, 1):
        unmet = [
            f"{name}: {_words(rule.when[name])}, but is {_fact(getattr(facts, name))}"
            for name in policy.unmet(rule, facts)
        ]
        said = "\n".join(unmet) or ("→ fires" if rule is fired else f"nothing, but {fired and fired.id} comes first")
        others.add_row(str(number), rule.id, said)
    screen.print(others)


def _fact(value: object) -> str:
    """A fact as a person reads it."""
    if value is None or value == "":
        return "unknown"
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:.2f}".rstrip("0").rstrip(".") if isinstance(value, float | Decimal) else str(value)


@app.command()
def simulate(
    file: File = None,
    days: Annotated[int, typer.Option("--days", min=1, max=366, help="of the past to replay")] = 30,
    csms: Annotated[int | None, typer.Option("--csms", min=0, help="another number of CSMs than there are")] = None,
    minutes: Annotated[
        float | None, typer.Option("--handle-minutes", min=0.1, help="another time than one took on average")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="one JSON document on standard output")] = False,
) -> None:
    """Replay stored conversations: who would have come in, how long customers would have waited, beside today's policy."""
    from cli import simulating

    today = load(None)
    tried = [("in force", today[1])] + ([(file.name, load(file)[1])] if file is not None else [])
    report = simulating.simulate(load_settings(), tried, days, csms, minutes)
    if json:
        print_json(report)
    else:
        simulating.show(report)


def load(file: Path | None) -> tuple[Path, Policy]:
    """The policy of a file, or the one in force, and where it is from."""
    company = load_company(load_settings().company)
    path = file or company.file("escalation.yml", policy.DEFAULT)
    return path, policy.load(path)


def _words(condition: policy.Condition) -> str:
    if isinstance(condition, policy.Range):
        ends = []
        if condition.at_least is not None:
            ends.append(f"at least {condition.at_least}")
        if condition.at_most is not None:
            ends.append(f"at most {condition.at_most}")
        return " and ".join(ends)
    return " or ".join(condition) if isinstance(condition, list) else str(condition).lower()
