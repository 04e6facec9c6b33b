"""`kotae policy`: the escalation policy from a terminal."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from cli.output import print_json, screen
from escalations import policy
from escalations.policy import Facts, Policy
from kit.company import load_company
from kit.settings import load_settings

app = typer.Typer(help="When a human comes in.", no_args_is_help=True, add_completion=False, rich_markup_mode=None)
File = Annotated[Path | None, typer.Option("--policy", help="another escalation.yml than the one in force")]


_FACTS = "\n\n".join(f"{name}: {field.description}" for name, field in Facts.model_fields.items())


@app.command(epilog=f"Facts a rule may ask:\n\n{_FACTS}")
def check(file: File = None) -> None:
    """Read the policy, say what is wrong with it and where, or list its rules in order."""
    path, found = load(file)
    table = Table("#", "rule", "when", "mode", "priority", "within", "route")
    for number, rule in enumerate(found.rules, 1):
        when = ", ".join(f"{name}: {_words(condition)}" for name, condition in rule.when.items()) or "always"
        within = f"{rule.within_minutes} min"
        table.add_row(str(number), rule.id, when, rule.mode, rule.priority, within, rule.route)
    screen.print(table)
    screen.print(f"{path}: {len(found.rules)} rules, in order.")


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
    lines: list[dict[str, Any]] = [
        {"rule": rule.id, "fires": rule is fired, "unmet": policy.unmet(rule, facts)} for rule in found.rules
    ]
    if json:
        print_json({"facts": facts, "fired": fired.id if fired else None, "rules": lines})
        return
    screen.print({name: value for name, value in facts.model_dump(mode="json").items() if value is not None})
    for line, rule in zip(lines, found.rules, strict=True):
        differs = ", ".join(
            f"{name} is {getattr(facts, name)}, not {_words(rule.when[name])}" for name in line["unmet"]
        )
        mark = "→" if line["fires"] else " "
        screen.print(f"{mark} {rule.id}: {differs or ('fires' if line['fires'] else 'would fire, an earlier one did')}")
    if fired is None:
        screen.print("No rule fires: nobody need come in.")


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
    tried = [("in force", today[1])] + ([(str(file), load(file)[1])] if file is not None else [])
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
