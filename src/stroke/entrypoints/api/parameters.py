"""Query parameters of lists: each of those that narrow a list is given once."""

from __future__ import annotations

from fastapi import Request

from stroke.entrypoints.api.violations import of_parameter


async def given_once(request: Request) -> None:
    """Raise ``InvalidRequest`` where a parameter of the route stands in the query twice.

    Servers and proxies differ in which one counts, and the rows would be others than were asked
    for. Parameters that the route does not know narrow nothing, and are left alone.
    """
    query = request.query_params
    if not query:
        return
    for known in request.scope["route"].dependant.query_params:
        if len(query.getlist(known.alias)) > 1:
            raise of_parameter(known.alias, "must be given once", "repeated")
