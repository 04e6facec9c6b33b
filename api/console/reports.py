"""The reports: a period, charts with a table beside each, and CSV."""

from __future__ import annotations

from datetime import datetime, timedelta

from fastapi import APIRouter, FastAPI, Request
from fastapi.responses import Response
from nicegui import ui
from sqlalchemy.ext.asyncio import AsyncSession

from api import audit
from api.console import layout, reporting, session
from api.console.desk import Desk, changes, register, sit_down
from api.console.rendering import render
from api.console.reporting import PRESETS, Period, Table
from api.hub import Event
from escalations.models import Csm
from kit.clock import now
from kit.errors import KotaeError

router = APIRouter(include_in_schema=False)


def install(gui: FastAPI) -> None:
    """Registers the page, and the way to its CSV once."""
    register("/reports", page)
    if not any(getattr(route, "path", "") == "/reports.csv" for route in gui.routes):
        gui.include_router(router)


async def page(request: Request) -> Response | None:
    """The reports of a period."""
    desk = await sit_down(request)
    if isinstance(desk, Response):
        return desk
    chosen = _chosen(request)

    async def look(database: AsyncSession, _: Csm, moment: datetime) -> list[Table]:
        return await reporting.tables(database, desk.services.catalog, chosen, desk.lang, moment)

    tables = await desk.read(look)
    with layout.frame(desk, "reports", desk.say("page_reports")) as navigation:
        presets = [(days, chosen.last - timedelta(days=days - 1)) for days in PRESETS]
        html = render("reports.html", desk.lang, tables=tables, chosen=chosen, presets=presets)
        ui.html(html, sanitize=False).classes("reports")
        gaps = ui.html(render("gaps_wait.html", desk.lang, failed=False), sanitize=False).classes("reports-gaps")
    ui.timer(0.1, lambda: _show_gaps(desk, chosen, gaps), once=True)  # grouping by meaning takes a moment

    async def refresh(events: list[Event]) -> None:
        if changes(events):
            await navigation.refresh()

    await navigation.refresh()
    desk.follow(refresh)
    return None


async def _show_gaps(desk: Desk, chosen: Period, box: ui.html) -> None:
    services = desk.services

    async def look(database: AsyncSession, _: Csm, moment: datetime) -> Table:
        return await reporting.gaps(database, services.knowledge_base, services.catalog, chosen, moment)

    try:
        table = await desk.read(look)
    except KotaeError:
        box.set_content(render("gaps_wait.html", desk.lang, failed=True))
    else:
        box.set_content(render("report_table.html", desk.lang, table=table, chosen=chosen))


@router.get("/reports.csv")
async def export(request: Request, table: str = "") -> Response:
    """One table of a period as CSV. Who took it out, and which, stands in the audit log."""
    csm = await session.current(request)
    if csm is None:
        return session.to_sign_in(request)
    chosen, lang = _chosen(request), session.language(request)
    services = session.services(request)
    async with services.database.begin() as database:
        if table == "gaps":
            made = [await reporting.gaps(database, services.knowledge_base, services.catalog, chosen, now())]
        else:
            made = await reporting.tables(database, services.catalog, chosen, lang, now())
        found = {one.key: one for one in made}
        if table not in found:
            return Response("there is no such table", 404, media_type="text/plain")
        period = f"{chosen.first}…{chosen.last}"
        await audit.record(database, "export", csm, now(), table=table, period=period, rows=len(found[table].rows))
    name = f"kotae-{table}-{chosen.first}-{chosen.last}.csv"
    return Response(
        # The mark at the beginning tells spreadsheets that it is UTF-8.
        "\ufeff" + reporting.to_csv(found[table], lang),
        media_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="{name}"'},
    )


def _chosen(request: Request) -> Period:
    asked = request.query_params
    return reporting.period(asked.get("from"), asked.get("to"), session.services(request).company, now())
