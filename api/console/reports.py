"""The reports: a period, charts with a table beside each, and CSV."""

from __future__ import annotations

from datetime import datetime, timedelta

from fastapi import APIRouter, FastAPI, Request
from fastapi.responses import Response
from nicegui import ui
from sqlalchemy.ext.asyncio import AsyncSession

from api import audit
from api.console import layout, reporting, session
from api.console.desk import changes, sit_down
from api.console.rendering import render
from api.console.reporting import PRESETS, Period, Table
from api.hub import Event
from escalations.models import Csm
from kit.clock import now

router = APIRouter(include_in_schema=False)


def install(gui: FastAPI) -> None:
    """Registers the page, and the way to its CSV once."""
    ui.page("/reports")(page)
    if not any(getattr(route, "path", "") == "/reports.csv" for route in gui.routes):
        gui.include_router(router)


async def page(request: Request) -> Response | None:
    """The reports of a period."""
    desk = await sit_down(request)
    if isinstance(desk, Response):
        return desk
    chosen = _chosen(request)

    async def look(database: AsyncSession, _: Csm, moment: datetime) -> list[Table]:
        return await reporting.tables(database, chosen, desk.lang, moment)

    tables = await desk.read(look)
    with layout.frame(desk, "reports", desk.say("page_reports")) as navigation:
        presets = [(days, chosen.last - timedelta(days=days - 1)) for days in PRESETS]
        html = render("reports.html", desk.lang, tables=tables, chosen=chosen, presets=presets)
        ui.html(html, sanitize=False).classes("reports")

    async def refresh(events: list[Event]) -> None:
        if changes(events):
            await navigation.refresh()

    await navigation.refresh()
    desk.follow(refresh)
    return None


@router.get("/reports.csv")
async def export(request: Request, table: str = "") -> Response:
    """One table of a period as CSV. Who took it out, and which, stands in the audit log."""
    csm = await session.current(request)
    if csm is None:
        return session.to_sign_in(request)
    chosen, lang = _chosen(request), session.language(request)
    async with session.services(request).database.begin() as database:
        found = {one.key: one for one in await reporting.tables(database, chosen, lang, now())}
        if table not in found:
            return Response("there is no such table", 404, media_type="text/plain")
        period = f"{chosen.first}…{chosen.last}"
        await audit.record(database, "export", csm, now(), table=table, period=period, rows=len(found[table].rows))
    name = f"kotae-{table}-{chosen.first}-{chosen.last}.csv"
    return Response(
        # The mark at the beginning tells spreadsheets that it is UTF-8.
        "\ufeff" + reporting.to_csv(found[table], lang),
        media_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="{name}"', "Cache-Control": "no-store"},
    )


def _chosen(request: Request) -> Period:
    asked = request.query_params
    return reporting.period(asked.get("from"), asked.get("to"), session.services(request).company, now())
