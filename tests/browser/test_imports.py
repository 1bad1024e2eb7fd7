"""A file of another system, from the upload to the tickets in the queue and out again, through a real browser."""

from __future__ import annotations

import csv
from pathlib import Path

from playwright.sync_api import Page, expect

from tests.browser.conftest import Visit

HEADER = "Nummer;Betreff;Anliegen;Adresse;Wann\n"


def foreign(folder: Path) -> Path:
    rows = [f"{n};Invoice {n} is wrong;The amount of {n};kunde{n}@example.com;{n}.3.2024\n" for n in range(1, 13)]
    path = folder / "Altsystem.csv"
    path.write_text(
        HEADER + "".join(rows) + "13;=2+3;A sum;kunde@example.com;13.3.2024\n14;No address;x;nobody;1.3.2024\n"
    )
    return path


def upload(page: Page, path: Path) -> None:
    page.locator("#import-file").set_input_files(path)
    page.locator("#import-upload").click()
    page.wait_for_url("**/settings/imports/*/")


def test_a_foreign_file_is_mapped_imported_watched_and_exported_again(visit: Visit, tmp_path: Path) -> None:
    page = visit("/settings/imports/")
    upload(page, foreign(tmp_path))
    expect(page.locator(".notice-warn")).to_contain_text("Choose a column for the title or the description")
    for name, column in (
        ("external_id", "Nummer"),
        ("title", "Betreff"),
        ("text", "Anliegen"),
        ("requester_email", "Adresse"),
        ("created_at", "Wann"),
    ):
        page.locator(f"#column-{name}").select_option(column)
    page.locator("#import-look").click()
    expect(page.locator(".import-sample")).to_contain_text("Invoice 1 is wrong")
    expect(page.locator(".import-sample")).to_contain_text("1 Mar 2024")
    page.locator("#import-start").click()
    standing = page.locator("#import-standing")
    expect(standing.locator(".badge", has_text="Done")).to_be_visible(timeout=60_000)
    expect(standing.locator(".import-figures")).to_contain_text("13")
    expect(standing).to_contain_text("Row 14")
    with page.expect_download() as refused:
        page.locator("#import-refusals").click()
    assert "nobody" in refused.value.path().read_text("utf-8-sig")

    page.goto("/tickets/?source=Altsystem&sort=oldest")
    page.locator("#looks summary").click()
    with page.expect_download() as exported:
        page.locator("#export-csv").click()
    with exported.value.path().open(encoding="utf-8-sig", newline="") as file:
        titles = [row["title"] for row in csv.DictReader(file)]
    assert len(titles) == 13 and "'=2+3" in titles and "Invoice 1 is wrong" in titles
