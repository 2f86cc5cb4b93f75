"""What the panels ask SQL Server, in the SQL that it shares with PostgreSQL.

Both know "quoted names", CASE, FETCH NEXT and CAST(... AS DATE). Tests run every query on
PostgreSQL, with Grafana's $__timeFilter written out as its SQL Server plugin does. No query returns
a patient: groups of fewer than five are left out.
"""

from __future__ import annotations

from typing import Final

# Fewer than this in a group could be recognised.
LEAST: Final = 5

_WHEN: Final = 'FROM predictions\nWHERE $__timeFilter("timestamp")'
_ENOUGH: Final = f"HAVING COUNT(*) >= {LEAST}"
_MEASURES: Final = "COUNT(*) AS predictions, AVG(probability) AS mean_risk"

_RISK: Final = """CASE WHEN probability < 0.01 THEN '0 to 1 %'
     WHEN probability < 0.02 THEN '1 to 2 %'
     WHEN probability < 0.05 THEN '2 to 5 %'
     WHEN probability < 0.10 THEN '5 to 10 %'
     WHEN probability < 0.20 THEN '10 to 20 %'
     ELSE '20 % and more' END"""
_AGE: Final = "CAST(FLOOR(age / 10) * 10 AS INTEGER)"

QUERIES: Final = {
    "risk": f"""SELECT {_RISK} AS risk, COUNT(*) AS predictions
{_WHEN}
GROUP BY {_RISK}
{_ENOUGH}
ORDER BY MIN(probability)""",
    "categories": f"""SELECT risk_category, {_MEASURES}
{_WHEN}
GROUP BY risk_category
{_ENOUGH}
ORDER BY COUNT(*) DESC""",
    "provinces": f"""SELECT COALESCE(province, 'not told') AS province, {_MEASURES}
{_WHEN}
GROUP BY COALESCE(province, 'not told')
{_ENOUGH}
ORDER BY COUNT(*) DESC
OFFSET 0 ROWS FETCH NEXT 20 ROWS ONLY""",
    "ages": f"""SELECT {_AGE} AS age_from, {_MEASURES}
{_WHEN}
GROUP BY {_AGE}
{_ENOUGH}
ORDER BY {_AGE}""",
    "days": f"""SELECT CAST("timestamp" AS DATE) AS day, {_MEASURES}
{_WHEN}
GROUP BY CAST("timestamp" AS DATE)
{_ENOUGH}
ORDER BY CAST("timestamp" AS DATE)""",
    "versions": f"""SELECT model_version, {_MEASURES}, MAX("timestamp") AS latest
{_WHEN}
GROUP BY model_version
{_ENOUGH}
ORDER BY MAX("timestamp") DESC""",
}
