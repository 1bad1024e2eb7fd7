from __future__ import annotations

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


def test_a_fence_carries_the_hash_of_what_it_holds() -> None:
    one, other = prompts.fenced("ticket", "text"), prompts.fenced("ticket", "text.")
    assert one.splitlines()[0] != other.splitlines()[0]
    assert one.splitlines()[0].strip("= ").split()[-1] == one.splitlines()[-1].strip("= ").split()[-1]
