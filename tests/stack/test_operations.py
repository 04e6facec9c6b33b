"""What an operator sees of a turn: one trace across the processes, joined log lines, and a time for every stage."""

from __future__ import annotations

import asyncio
import json
import re

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.support import ROOT, Collector, Customer, Stack

pytestmark = pytest.mark.stack
WORDS = "Which plan am I on, zqwords?"
STAGES = {
    "api": ("accept", "wait", "rasa", "understand", "act", "settle", "whole"),
    "actions": ("action", "look_up", "knowledge", "policy"),
}


async def test_a_turn_is_one_trace(stack: Stack, collector: Collector) -> None:
    """From the message over Rasa and the actions to the answer; each part within that which asked for it, and no customer's words."""
    async with Customer(stack, await stack.token("borealis-business", "borealis-bea")) as customer:
        await customer.ask(WORDS)
        spans = await collector.trace(
            customer.id, {"turn", "rasa", "understand", "act", "action", "look_up", "policy", "settle"}
        )
    by_id = {one["id"]: one for one in spans}
    named = {one["name"]: one for one in spans}

    def path(name: str) -> list[str]:
        one, names = named[name], [name]
        while one["parent"]:
            one = by_id[one["parent"]]
            names.append(one["name"])
        return names

    assert path("look_up") == ["look_up", "action", "act", "rasa", "turn"]
    assert path("policy") == ["policy", "action", "act", "rasa", "turn"]
    assert path("understand") == ["understand", "rasa", "turn"]
    assert path("settle") == ["settle", "turn"]
    services = {name: named[name]["service"] for name in ("turn", "act", "action")}
    assert services == {"turn": "kotae-api", "act": "kotae-rasa", "action": "kotae-actions"}
    for one in spans:
        outer = by_id.get(one["parent"])
        assert one["start"] <= one["end"]
        assert outer is None or (outer["start"] - 1e6 <= one["start"] and one["end"] <= outer["end"] + 1e6)
    assert "zqwords" not in json.dumps(spans)
    assert "eyJ" not in json.dumps(spans)


async def test_a_question_of_help_reaches_the_knowledge_base(stack: Stack, collector: Collector) -> None:
    """Its work is part of the trace as well."""
    async with Customer(stack) as visitor:
        await visitor.ask("How do I invite a colleague to my workspace?")
        spans = await collector.trace(visitor.id, {"turn", "knowledge", "knowledge_base /answer"})
    assert "kotae-knowledge_base" in {one["service"] for one in spans}


async def test_every_stage_has_a_time(stack: Stack) -> None:
    """In the metrics of the process that did it."""
    async with Customer(stack, await stack.token("borealis-business", "borealis-bea")) as customer:
        await customer.ask("How do I invite a colleague to my workspace?")
    async with httpx.AsyncClient(trust_env=False) as client:
        for process, stages in STAGES.items():
            told = (await client.get(f"http://127.0.0.1:{stack.ports[process]}/metrics")).text
            for stage in stages:
                found = re.search(rf'^kotae_turn_seconds_count{{stage="{stage}"}} (\S+)$', told, re.MULTILINE)
                assert found is not None, (process, stage)
                assert float(found[1]) > 0
    documented = (ROOT / "kit" / "metrics.py").read_text()
    assert [stage for stages in STAGES.values() for stage in stages if f"`{stage}`" not in documented] == []


async def test_each_process_says_whether_it_can_serve(stack: Stack) -> None:
    """Alive and ready are two questions."""
    async with httpx.AsyncClient(trust_env=False) as client:
        assert (await client.get(f"{stack.url}/healthz")).json() == {"status": "ok"}
        checks = (await client.get(f"{stack.url}/readyz")).json()["checks"]
        assert checks == dict.fromkeys(("database", "listening", "rasa", "actions", "knowledge_base"), True)
        for path in (
            f"{stack.ports['actions']}/readyz",
            f"{stack.ports['knowledge_base']}/readyz",
            f"{stack.ports['rasa']}/webhooks/kotae/readyz",
        ):
            assert (await client.get(f"http://127.0.0.1:{path}")).status_code == 200


async def test_lines_of_all_processes_are_joined(stack: Stack) -> None:
    """By the conversation and the turn; each line is one JSON object, and no word of the customer is in any."""
    async with Customer(stack, await stack.token("borealis-business", "borealis-bea")) as customer:
        await customer.ask("I want to cancel my subscription, zqwords!")
    deadline = asyncio.get_running_loop().time() + 15
    while True:
        found = {name: _lines(stack, name, customer.id) for name in ("api", "actions")}
        if all(found.values()) or asyncio.get_running_loop().time() > deadline:
            break
        await asyncio.sleep(0.1)
    (turn,) = [line for line in found["api"] if line["event"] == "turn"]
    assert {line["turn"] for line in found["actions"]} == {turn["turn"]}
    assert [line["event"] for line in found["actions"]] == ["escalation"]
    whole = "".join(path.read_text() for path in (stack.home / "logs").glob("*.log"))
    assert "zqwords" not in whole
    assert "eyJ" not in whole


def test_every_line_names_its_process(stack: Stack) -> None:
    """Those that threads write, too."""
    for name in stack.ports:
        lines = _every_line(stack, name)
        assert lines
        assert [line for line in lines if line.get("process") != name] == []


def _lines(stack: Stack, process: str, conversation: str) -> list[dict[str, str]]:
    return [line for line in _every_line(stack, process) if line.get("conversation") == conversation]


def _every_line(stack: Stack, process: str) -> list[dict[str, str]]:
    text = (stack.home / "logs" / f"{process}.log").read_text()
    return [json.loads(line) for line in text.splitlines() if line.startswith("{")]


async def test_the_dashboard_asks_for_what_is_scraped(stack: Stack) -> None:
    """Each name and label in the file is one that some process serves, failures from the beginning; each panel has its own place."""
    async with Customer(stack) as visitor:
        await visitor.ask("How do I invite a colleague to my workspace?")
        await visitor.ask("I want to talk to a human please")
    there: dict[str, set[str]] = {}
    async with httpx.AsyncClient(trust_env=False) as client:
        for process in ("api", "actions", "knowledge_base"):
            told = (await client.get(f"http://127.0.0.1:{stack.ports[process]}/metrics")).text
            for sample in (one for family in text_string_to_metric_families(told) for one in family.samples):
                there.setdefault(sample.name, set()).update(sample.labels)
                there[sample.name].update(f'{name}="{value}"' for name, value in sample.labels.items())
    board = json.loads((ROOT / "deploy" / "grafana" / "kotae.json").read_text())
    queries = [target["expr"] for panel in board["panels"] for target in panel["targets"]]
    assert len(queries) > len(board["panels"])
    for query in queries:
        names = re.findall(r"\b((?:kotae|process)_\w+)", query)
        labels = {word.strip() for words in re.findall(r"by \(([^)]*)\)", query) for word in words.split(",")}
        labels |= set(re.findall(r'\w+="[^"]*"', query))
        for name in names:
            if name != "kotae_refused_total":  # nobody was
                assert labels - {"instance", 'job="kotae"'} <= there[name], query
    assert {'outcome="failed"', 'outcome="answered"'} <= there["kotae_turns_total"]
    assert 'problem="slow"' in there["kotae_turn_problems_total"]
    assert {'kind="webhook"', 'outcome="dead"'} <= there["kotae_outbox_total"]
    ids = [panel["id"] for panel in board["panels"]]
    assert len(set(ids)) == len(ids)
    spots = [(panel["gridPos"]["x"], panel["gridPos"]["y"]) for panel in board["panels"]]
    assert len(set(spots)) == len(spots)
