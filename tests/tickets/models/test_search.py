from __future__ import annotations

import pytest
from django.db import connection

from tests.tickets.conftest import MakeTicket
from tickets.actions import conversation, intake
from tickets.models import Message, SearchText, Ticket
from triage.models import User


def found(words: str) -> list[int]:
    return sorted(Ticket.objects.matching(words).values_list("number", flat=True))


@pytest.fixture
def jam(make_ticket: MakeTicket) -> Ticket:
    make_ticket(title="Other", text="Nothing to see", requester_email="kim@example.com")
    return make_ticket(
        title="Printer jams", text="Tray two is stuck", requester_email="lee@example.com", requester_name="Lee Wong"
    )


@pytest.mark.parametrize(
    "words",
    ["printer", "PRINTERS", "jam", "tray two", '"tray two"', "lee@example.com", "wong", "print", "stuck -scanner",
     "scanner or tray"],
)  # fmt: skip
def test_words_stems_beginnings_quotes_and_addresses_are_found(jam: Ticket, words: str) -> None:
    assert found(words) == [jam.number]


@pytest.mark.parametrize("words", ['"two tray"', "stuck -tray", "scanner", "prinz"])
def test_what_does_not_fit_is_not_found(jam: Ticket, words: str) -> None:
    assert found(words) == []


@pytest.mark.parametrize("words", ["", " ", '"', "-", "'", "(", "a:*", "\x00", "\\", "& | !", "or", '"open', "x" * 500])
def test_no_input_breaks_it(jam: Ticket, words: str) -> None:
    assert isinstance(found(words), list)


def test_a_number_is_found_with_and_without_its_sign(jam: Ticket) -> None:
    assert found(f"#{jam.number}") == found(str(jam.number)) == [jam.number]


def test_later_messages_comments_and_a_new_subject_are_found(jam: Ticket, agent: User) -> None:
    intake.add_customer_message(ticket=jam, text="Now it smells of ozone.")
    conversation.comment(ticket=jam, text="Ask the supplier about gaskets.", by=agent)
    assert found("ozone") == found("gasket") == [jam.number]
    Ticket.objects.filter(pk=jam.pk).update(subject="Copier jams")
    assert found("copier") == [jam.number] and found("printer") == []
    assert found("ozone") == [jam.number], "what was there stays"


def test_a_message_moved_deleted_or_edited_past_the_application_is_followed(
    jam: Ticket, make_ticket: MakeTicket
) -> None:
    other = make_ticket(title="Second")
    message = intake.add_customer_message(ticket=jam, text="Ozone everywhere.")
    Message.objects.filter(pk=message.pk).update(ticket=other)
    assert found("ozone") == [other.number]
    with connection.cursor() as cursor:
        cursor.execute("UPDATE tickets_message SET text = 'Helium' WHERE id = %s", [message.pk])
    assert found("ozone") == [] and found("helium") == [other.number]
    Message.objects.filter(pk=message.pk).delete()
    assert found("helium") == []


def test_a_text_of_any_length_is_stored_and_its_beginning_found(make_ticket: MakeTicket) -> None:
    ticket = make_ticket(text="firstword " + " ".join(f"word{number}x{number}" for number in range(4_000)))
    for part in range(24):
        intake.add_customer_message(ticket=ticket, text=" ".join(f"more{part}y{number}" for number in range(5_000)))
    assert ticket.messages.count() == 25
    assert found("firstword") == found("more0y1") == [ticket.number]


def test_a_deleted_ticket_takes_its_words_along(jam: Ticket) -> None:
    Ticket.objects.filter(pk=jam.pk).delete()
    assert not SearchText.objects.filter(pk=jam.number).exists()
