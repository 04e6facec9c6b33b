"""`kotae kb`: the help content from a terminal."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import asdict
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Literal

import typer
from rich.markup import escape
from rich.progress import Progress, TaskID
from rich.table import Table
from rich.text import Text

from accounts import facts
from accounts.catalog import load_catalog
from accounts.facts import CustomerFacts
from cli import pictures, prepare
from cli.output import print_figures, print_json, screen, with_database
from conversations import questions
from kit.clock import now
from kit.company import load_company
from kit.database import Database
from kit.errors import KotaeError, UserError
from kit.settings import Settings, load_settings
from knowledge_base import offline
from knowledge_base.feedback import Said
from knowledge_base.gaps import Asked, find_gaps
from knowledge_base.progress import Progress as Reached
from knowledge_base.progress import Report
from knowledge_base.schemas import AnswerRequest, Asker, Values
from knowledge_base.text import clean_question

app = typer.Typer(
    help="Help content: build its index, search it, measure it.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
)
Index = Annotated[Path | None, typer.Option("--index", help="the index's folder; the served one where left out")]
Json = Annotated[bool, typer.Option("--json", help="one JSON document on standard output")]


Content = Annotated[
    list[Path] | None,
    typer.Option(
        "--content",
        help="Markdown folder, downloaded pages (HTML folder or the sitemap in it), Zendesk or Discourse JSON export; several are joined; the company's where left out",
    ),
]
Url = Annotated[str | None, typer.Option("--url", help="where the articles are published")]
Both = Annotated[
    bool, typer.Option("--both-languages", help="find articles of --content in the company's other languages, too")
]


@app.command()
def build(content: Content = None, index: Index = None, url: Url = None, both_languages: Both = False) -> None:
    """Build the index; only what changed is embedded, and a running stack switches to it without a pause."""
    _build(content or [], index, url, both_languages)


@app.command()
def watch(content: Content = None, index: Index = None, url: Url = None, both_languages: Both = False) -> None:
    """Build the index, and again whenever an article is saved; Ctrl-C ends it. For writers."""
    from watchfiles import watch as changes

    folders = content or [load_company(load_settings().company).content_dir]
    missing = next((folder for folder in folders if not folder.exists()), None)
    if missing is not None:
        raise UserError(f"{missing} is not there", "name a folder of articles or an export")
    seen = changes(*folders, yield_on_timeout=True, rust_timeout=1_000, raise_interrupt=True)
    with suppress(KeyboardInterrupt):
        next(seen)  # watching has begun: what is saved during the first build is not missed
        while True:
            try:
                _build(content or [], index, url, both_languages)
            except KotaeError as error:
                screen.print(f"[red]{escape(str(error))}[/red]")  # the writer corrects it and saves again
            while not next(seen):
                pass


def _build(content: list[Path], index: Path | None, url: str | None, both_languages: bool) -> None:
    settings = load_settings()
    with prepare.progress() as show:
        report = prepare.index(
            settings,
            load_company(settings.company),
            show,
            content=content[0] if content else None,
            also=content[1:],
            target=index,
            url=url,
            both_languages=both_languages,
        )
    for warning in report.warnings:
        screen.print(f"[yellow]{escape(warning)}[/yellow]")
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
    text = clean_question(text)
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
    if plot is not None:
        pictures.check(plot)
    with prepare.progress() as show:
        found = offline.evaluate(load_settings(), beir, report=_teller(show))
    if plot is not None:
        pictures.risk_and_coverage(found.outcomes, plot)
    if json:
        print_json(found.metrics)
        return
    print_figures(found.metrics)


def _said(settings: Settings) -> list[Said]:
    """Thumbs, chosen alternatives and CSMs' links of the last year."""
    url = load_company(settings.company).help.url

    async def look(database: Database) -> list[questions.Label]:
        async with database.begin() as session:
            return await questions.labels(session, now() - timedelta(days=365), now(), url)

    labels = with_database(settings, look)
    return [Said(one.text, "ja" if one.lang == "ja" else "en", one.article, one.answers) for one in labels]


@app.command()
def gaps(
    days: Annotated[int, typer.Option("--days", help="how far back", min=1, max=3650)] = 90,
    limit: Annotated[int, typer.Option("--limit", help="how many at most", min=1)] = 20,
    index: Index = None,
    json: Json = False,
) -> None:
    """What customers asked and the help content did not answer, grouped by meaning, with the value behind it."""
    settings = load_settings()
    catalog = load_catalog(load_company(settings.company))

    async def look(database: Database) -> tuple[list[questions.Unanswered], dict[str, Decimal]]:
        async with database.begin() as session:
            asked = await questions.unanswered(session, now() - timedelta(days=days), now())
            return asked, await facts.values(
                session, catalog, {one.account_id for one in asked if one.account_id}, now()
            )

    asked, values = with_database(settings, look)
    found = find_gaps(
        offline.open_index(settings, index),
        [Asked(one.text, "ja" if one.lang == "ja" else "en", one.account_id, one.asked_at, one.why) for one in asked],
    )[:limit]
    rows = [
        {**asdict(gap), "value": sum((values.get(id, Decimal(0)) for id in gap.accounts), Decimal(0))} for gap in found
    ]
    if json:
        print_json({"days": days, "questions": len(asked), "currency": catalog.company.currency, "gaps": rows})
        return
    table = Table("asked", "question", "nearest article", "accounts", f"value ({catalog.company.currency})")
    for gap, row in zip(found, rows, strict=True):
        wordings = "\n".join([gap.question, *(f"  {example}" for example in gap.examples)])
        nearest = f"{gap.nearest_title} ({gap.confidence:.2f})" if gap.nearest_title else ""
        table.add_row(str(gap.count), Text(wordings), Text(nearest), str(len(gap.accounts)), f"{row['value']:,.0f}")
    screen.print(table if found else "Every question of this time was answered.")


def _teller(show: Progress) -> Report:
    tasks: dict[str, TaskID] = {}

    def tell(reached: Reached) -> None:
        if reached.stage not in tasks:
            tasks[reached.stage] = show.add_task(reached.stage, total=reached.total, detail="")
        task = tasks[reached.stage]
        if not reached.done:  # again: each shelf has its vectors made
            show.reset(task, total=reached.total)
        detail = f"{reached.done}/{reached.total}, {reached.rate:.0f}/s"
        show.update(task, completed=reached.done, total=reached.total, detail=detail)

    return tell


@app.command()
def calibrate(
    beir: Annotated[Path | None, typer.Argument(help="folder with corpus.jsonl, queries.jsonl, qrels/test.tsv")] = None,
    index: Index = None,
    feedback: Annotated[
        bool, typer.Option("--feedback", help="also on what customers and CSMs said of answers in the last year")
    ] = False,
    json: Json = False,
) -> None:
    """Fit the thresholds on labelled questions and store them, with what they promise, beside the index."""
    if beir is None and not feedback:
        raise UserError("nothing to calibrate on", "name a folder of labelled questions, or give --feedback")
    settings = load_settings()
    said = _said(settings) if feedback else []
    with prepare.progress() as show:
        promises = offline.calibrate(settings, beir, index, _teller(show), said)
    if json:
        print_json(promises)
        return
    for name, promise in promises.items():
        kept = "promised" if promise.kept else "not promised, the labelled questions do not suffice"
        screen.print(
            f"{name}: of what is answered at most {promise.risk:.0%} is wrong, at {promise.confidence:.0%} confidence: {kept}. "
            f"{promise.answered} of {promise.questions} answered ({promise.coverage:.0%}), {promise.wrong} wrong, "
            f"bound {promise.bound:.1%}."
        )
