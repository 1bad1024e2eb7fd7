"""Whom the desk never writes to."""

from __future__ import annotations

import pytest

from tickets.channels.email.answerable import takes_answers


@pytest.mark.parametrize(
    "address",
    [
        "noreply@github.com",
        "No-Reply@example.com",
        "no_reply@example.com",
        "no.reply@example.com",
        "noreply2@example.com",
        "do-not-reply@example.com",
        "donotreply@example.com",
        "noreply+4711@example.com",
        "jobs-noreply@example.com",
        "no-reply-aws@example.com",
        "mailer-daemon@example.com",
        "5+kim@users.noreply.github.com",
        "kim@users.noreply.ghe.example.com",
        "kim@no-reply.example.com",
        "kim@users.noreply.127-0-0-1.invalid",
        "kim",
        "",
    ],
)
def test_nobody_reads_these(address: str) -> None:
    assert not takes_answers(address)


@pytest.mark.parametrize(
    "address",
    [
        "kim@example.com",
        "reply@example.com",
        "reply+ab12@reply.github.com",
        "noah.replyson@example.com",
        "moreno-reply@example.com",
        "casino.replay@example.com",
        "postmaster@example.com",
        "kim@noreplying.example.com",
        "kim@invalid.example.com",
    ],
)
def test_somebody_reads_these(address: str) -> None:
    assert takes_answers(address)
