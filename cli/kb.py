"""`kotae kb`: the help content from a terminal."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer
from rich.progress import Progress, TaskID

from accounts import facts
from accounts.catalog import load_catalog
from accounts.facts import CustomerFacts
from cli import prepare
from cli.output import print_json, screen, with_database
from kit.clock import now
from kit.company import load_company
from kit.database import Database
from kit.settings import Settings, load_settings
from knowledge_base import evaluation, offline
from knowledge_base.progress import Progress as Reached
from knowledge_base.progress import Report
from knowledge_base.schemas import AnswerRequest, Asker, Values

app = typer.Typer(help="Help content: build its index, search it, measure it.", no_args_is_help=True)
Index = Annotated[Path | None, typer.Option("--index", help="the index's folder; the served one where left out")]
Json = Annotated[bool, typer.Option("--json", help="one JSON document on standard output")]


@app.command()
def build(
    content: Annotated[
        Path | None, typer.Option("--content", help="folder of Markdown articles; the company's where left out")
    ] = None,
    index: Index = None,
    url: Annotated[str | None, typer.Option("--url", help="where the articles are published")] = None,
    both_languages: Annotated[
        bool, typer.Option("--both-languages", help="find articles of --content in the company's other languages, too")
    ] = False,
) -> None:
    """Build the index; only what changed is embedded, and a running stack switches to it without a pause."""
    settings = load_settings()
    with prepare.progress() as show:
        report = prepare.index(
            settings,
            load_company(settings.company),
            show,
            content=content,
            target=index,
            url=url,
            both_languages=both_languages,
        )
    for warning in report.warnings:
        screen.print(f"[yellow]{warning}[/yellow]")
    state = "unchanged" if report.unchanged else f"{report.embedded} embedded, {report.reused} taken over"
    screen.print(f"{report.articles} articles, {report.passages} passages: {state}.")


@app.command()
def search(
    text: Annotated[str, typer.Argument(help="a question or some words")],
    account: Annotated[str | None, typer.Option("--account", help="as a customer of this account")] = None,
    index: Index = None,
    lang: Annotated[Literal["en", "ja"] | None, typer.Option("--lang", help="of the asker")] = None,
    k: Annotated[int, typer.Option("-k", help="how many articles", min=1, max=100)] = 5,
    json: Json = False,
) -> None:
    """The best articles for some words, and what would be decided: answer, clarify or abstain."""
    settings = load_settings()
    answerer = offline.open_index(settings, index)
    known = _asking(settings, account) if account else None
    asker = Asker(plan=known.plan.id, role=None, stage=known.stage) if known else None
    hits = answerer.search(text, lang, asker, k)
    values = Values.model_validate(known.values()) if known else None
    reply = answerer.answer(AnswerRequest(text=text, lang=lang, asker=asker, values=values))
    if json:
        print_json({"decision": reply.decision, "confidence": reply.confidence, "answer": reply, "hits": hits})
        return
    screen.print(f"[bold]{reply.decision}[/bold] (confidence {reply.confidence:.2f})")
    for number, hit in enumerate(hits, 1):
        heading = f" › {hit.heading}" if hit.heading else ""
        screen.print(f"{number}. {hit.title}{heading}  ({hit.article_id}, {hit.score:.3f})", markup=False)


def _asking(settings: Settings, account_id: str) -> CustomerFacts:
    """The account's facts, as its customers may see them."""
    catalog = load_catalog(load_company(settings.company))

    async def look(database: Database) -> CustomerFacts:
        async with database.begin() as session:
            return await facts.customer_facts(session, catalog, account_id, None, now())

    return with_database(settings, look)


@app.command("eval")
def evaluate(
    beir: Annotated[Path, typer.Argument(help="folder with corpus.jsonl, queries.jsonl, qrels/test.tsv")],
    plot: Annotated[Path | None, typer.Option("--plot", help="write the risk-coverage curve to this picture")] = None,
    json: Json = False,
) -> None:
    """Measure retrieval, and knowing when not to answer, on labelled questions."""
    with prepare.progress() as show:
        found = offline.evaluate(load_settings(), beir, report=_teller(show))
    if plot is not None:
        evaluation.plot_risk_coverage(found.outcomes, plot)
    if json:
        print_json(found.metrics)
        return
    for name, value in found.metrics.items():
        screen.print(f"{name:18} {value}")


def _teller(show: Progress) -> Report:
    tasks: dict[str, TaskID] = {}

    def tell(reached: Reached) -> None:
        task = tasks.setdefault(reached.stage, show.add_task(reached.stage, total=reached.total, detail=""))
        detail = f"{reached.done}/{reached.total}, {reached.rate:.0f}/s"
        show.update(task, completed=reached.done, total=reached.total, detail=detail)

    return tell


@app.command()
def calibrate(
    beir: Annotated[Path, typer.Argument(help="folder with corpus.jsonl, queries.jsonl, qrels/test.tsv")],
    index: Index = None,
    json: Json = False,
) -> None:
    """Fit the thresholds on labelled questions and store them, with what they promise, beside the index."""
    with prepare.progress() as show:
        promises = offline.calibrate(load_settings(), beir, index, _teller(show))
    if json:
        print_json(promises)
        return
    for name, promise in promises.items():
        screen.print(f"{name}: {promise.model_dump()}")
