from __future__ import annotations

from datetime import date, timedelta
from xml.etree import ElementTree

import pytest
from django.template.loader import render_to_string

from analytics import charts
from analytics.figures import Day, Share

SHARES = [Share("bug", "Bug", 12), Share("billing", "Billing", 3), Share("", "Not decided", 5)]
STYLED = ("style=", "<style", "<script", "onload", "javascript:")


def days(*pairs: tuple[int, int]) -> list[Day]:
    first = date(2026, 10, 30)
    return [Day(first + timedelta(days=index), new, resolved) for index, (new, resolved) in enumerate(pairs)]


def test_bars_start_at_zero_and_the_longest_fills_the_width() -> None:
    drawn = charts.bars(SHARES, "Bug leads").bars
    assert [(bar.width, bar.part) for bar in drawn] == [(100.0, 60), (25.0, 15), (41.67, 25)]


def test_bars_of_nothing_have_no_width() -> None:
    assert [bar.width for bar in charts.bars([Share("P1", "Urgent", 0)], "").bars] == [0.0]


def test_both_halves_of_the_flow_share_one_scale() -> None:
    drawn = charts.flow(days((6, 3), (0, 9), (3, 0)))
    first, second, third = drawn.columns
    assert first.new_height == 2 * third.new_height == 2 * first.resolved_height
    assert second.resolved_height == 3 * first.resolved_height
    assert second.new_height == third.resolved_height == 0
    assert first.new_y == charts.LABEL
    assert drawn.axis_top + charts.AXIS == drawn.axis_bottom
    assert drawn.axis_bottom + second.resolved_height + charts.LABEL == charts.PLOT + charts.AXIS + 2 * charts.LABEL
    assert drawn.months == "Oct / Nov"


def test_columns_stay_within_the_width_and_apart() -> None:
    drawn = charts.flow(days(*[(1, 1)] * 30), label_every=3)
    ends = [column.x + drawn.column_width for column in drawn.columns]
    assert all(end < after.x for end, after in zip(ends, drawn.columns[1:], strict=False))
    assert ends[-1] < 100
    assert [column.label for column in drawn.columns][-4:] == ["25", "", "", "28"]


@pytest.mark.parametrize(
    ("new", "resolved", "title"),
    [
        (0, 0, "Nothing came in during these 14 days"),
        (1, 0, "1 ticket came in, none was resolved: the queue grew by 1"),
        (40, 52, "40 tickets came in, 52 were resolved: the queue shrank by 12"),
        (0, 2, "No ticket came in, 2 were resolved: the queue shrank by 2"),
        (7, 7, "7 tickets came in and as many were resolved"),
        (1204, 3, "1,204 tickets came in, 3 were resolved: the queue grew by 1,201"),
    ],
)
def test_the_title_says_what_the_flow_shows(new: int, resolved: int, title: str) -> None:
    assert charts.flow_title(new, resolved, 14) == title


def test_titles_say_what_leads() -> None:
    assert charts.category_title(SHARES) == "Bug leads with 60 % of 20 open"
    assert charts.category_title([Share("", "Not decided", 2)]) == "No open ticket has a category yet"
    assert charts.category_title([]) == charts.priority_title([]) == charts.team_title([]) == "No open tickets"
    assert charts.priority_title([Share("P1", "Urgent", 1), Share("P2", "High", 4)]) == "1 of 5 open is urgent"
    assert charts.priority_title([Share("P1", "Urgent", 0), Share("P2", "High", 4)]) == "Nothing open is urgent"
    assert charts.team_title([Share("network", "Network", 4)]) == "Network carries the most: 4"


def test_the_flow_is_valid_svg_with_a_name_a_description_and_a_table() -> None:
    html = render_to_string("analytics/_flow.html", {"flow": charts.flow(days((6, 3), (0, 9), (1, 0)))})
    figure = ElementTree.fromstring(html)
    svg = next(found for found in figure.iter("svg") if found.get("role") == "img")
    title, description = svg.find("title"), svg.find("desc")
    assert title is not None
    assert description is not None
    assert svg.get("aria-labelledby") == f"{title.get('id')} {description.get('id')}"
    assert "7 tickets came in" in str(title.text)
    assert len([rect for rect in svg.iter("rect") if rect.get("class") == "flow-new"]) == 2
    assert [cell.text for cell in figure.iter("td")] == ["6", "3", "0", "9", "1", "0"]
    assert not [mark for mark in STYLED if mark in html]


def test_a_bar_chart_is_a_table_without_inline_style() -> None:
    context = {"name": "kinds", "chart": charts.bars(SHARES, "Bug leads"), "filter": "category", "heading": "Category"}
    html = render_to_string("analytics/_bars.html", context)
    table = ElementTree.fromstring(html).find("table")
    assert table is not None
    assert [link.get("href") for link in table.iter("a")] == ["/tickets/?category=bug", "/tickets/?category=billing"]
    assert [rect.get("width") for rect in table.iter("rect")] == ["100.0%", "25.0%", "41.67%"]
    assert not [mark for mark in STYLED if mark in html]


def test_what_people_name_is_escaped_in_a_chart() -> None:
    nasty = [Share("x", "<script>alert(1)</script>", 1)]
    html = render_to_string("analytics/_bars.html", {"name": "kinds", "chart": charts.bars(nasty, nasty[0].label)})
    assert "<script" not in html
    assert "&lt;script&gt;" in html
