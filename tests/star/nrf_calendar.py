"""The Sundays on which the twelve months of each retail year begin, as literal dates.

Source: National Retail Federation, "4-5-4 Calendar" (nrf.com/resources/4-5-4-calendar): years of 53 weeks are 2000,
2006, 2012, 2017 and 2023 (fiscal 2023 ended on 3 February 2024). The dates are each year's first Sunday and what
follows from the months' 4, 5 and 4 weeks, written out without lib/retail. 2017 and 2023 are as they were, not restated
(begun a week later) to stand beside the year after. Month 1 is February.
"""

from __future__ import annotations

from datetime import date

WEEKS_53 = (2017, 2023)
END = date(2028, 1, 30)  # the first day behind the table

_MONTHS = {
    2016: "01-31 02-28 04-03 05-01 05-29 07-03 07-31 08-28 10-02 10-30 11-27 2017-01-01",
    2017: "01-29 02-26 04-02 04-30 05-28 07-02 07-30 08-27 10-01 10-29 11-26 12-31",
    2018: "02-04 03-04 04-08 05-06 06-03 07-08 08-05 09-02 10-07 11-04 12-02 2019-01-06",
    2019: "02-03 03-03 04-07 05-05 06-02 07-07 08-04 09-01 10-06 11-03 12-01 2020-01-05",
    2020: "02-02 03-01 04-05 05-03 05-31 07-05 08-02 08-30 10-04 11-01 11-29 2021-01-03",
    2021: "01-31 02-28 04-04 05-02 05-30 07-04 08-01 08-29 10-03 10-31 11-28 2022-01-02",
    2022: "01-30 02-27 04-03 05-01 05-29 07-03 07-31 08-28 10-02 10-30 11-27 2023-01-01",
    2023: "01-29 02-26 04-02 04-30 05-28 07-02 07-30 08-27 10-01 10-29 11-26 12-31",
    2024: "02-04 03-03 04-07 05-05 06-02 07-07 08-04 09-01 10-06 11-03 12-01 2025-01-05",
    2025: "02-02 03-02 04-06 05-04 06-01 07-06 08-03 08-31 10-05 11-02 11-30 2026-01-04",
    2026: "02-01 03-01 04-05 05-03 05-31 07-05 08-02 08-30 10-04 11-01 11-29 2027-01-03",
    2027: "01-31 02-28 04-04 05-02 05-30 07-04 08-01 08-29 10-03 10-31 11-28 2028-01-02",
}  # fmt: skip


def _date(year: int, text: str) -> date:
    return date.fromisoformat(text if len(text) == 10 else f"{year}-{text}")


# Of each retail year, the first day of months 1 to 12.
MONTH_STARTS: dict[int, tuple[date, ...]] = {
    year: tuple(_date(year, text) for text in months.split()) for year, months in _MONTHS.items()
}
