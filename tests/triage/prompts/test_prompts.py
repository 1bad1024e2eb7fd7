from __future__ import annotations

import re

import pytest

from triage import prompts


@pytest.mark.parametrize("name", ["classify", "repair", "draft"])
def test_the_version_is_that_of_the_text(name: str) -> None:
    prompt = prompts.load(name)
    assert prompt.version.startswith(f"{name}-")
    assert len(prompt.version) == len(name) + 13


def test_a_missing_value_is_an_error_and_not_a_hole() -> None:
    with pytest.raises(KeyError):
        prompts.load("classify").fill(categories="x")


def test_values_are_put_in_as_they_are() -> None:
    assert "costs $guidance" in prompts.load("draft").fill(guidance="costs $guidance")


def test_a_fence_cannot_be_foreseen_by_who_writes_the_text() -> None:
    one, other = (prompts.fenced("ticket", "text").splitlines() for _ in range(2))
    assert one[0] != other[0]
    assert re.fullmatch(r"=== ticket [0-9a-f]{16} ===", one[0])
    assert one[0].split()[-2] == one[-1].split()[-2]
