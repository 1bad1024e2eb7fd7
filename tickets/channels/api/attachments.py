"""Files by the API: put with a ticket as an internal comment, listed with it, and handed out to who may see it."""

from __future__ import annotations

from typing import Annotated, Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from ninja import File, Form
from ninja.files import UploadedFile
from pydantic import Field

from tickets.actions import conversation
from tickets.actions.attaching import check_all
from tickets.channels.api.endpoints import PROBLEMS, api, find
from tickets.channels.api.keys import caller, in_the_name_of
from tickets.channels.api.present import present_comments
from tickets.channels.api.problems import Problem
from tickets.channels.api.schemas import CommentOut
from tickets.channels.api.wire import answer
from tickets.models import TEXT_LIMIT, Attachment, Message
from tickets.models.attachment import SHOWN_IN_PLACE
from tickets.sniffing import OTHER
from tickets.views.attachments import NOT_NOW, handed_out

_BYTES: dict[str, Any] = {
    "responses": {200: {"description": "The file itself", "content": {kind: {} for kind in (OTHER, *SHOWN_IN_PLACE)}}}
}


@api.post("/tickets/{int:number}/attachments", response={201: CommentOut, **PROBLEMS}, summary="Attach files")
def add_attachments(
    request: HttpRequest,
    number: int,
    attachments: Annotated[list[UploadedFile] | None, File(description="One part for each file")] = None,
    text: Annotated[str, Form(), Field(max_length=TEXT_LIMIT)] = "",
) -> HttpResponse:
    """Add an internal comment with these files, sent as multipart/form-data; customers see neither.

    What a file is, is read off its bytes. `text` is the comment's; without it the names of the files are.
    """
    key = caller(request, "write")
    ticket = find(key, number)
    with in_the_name_of(key) as person:
        if not attachments:
            raise Problem(
                422, "invalid", "Send at least one file.", errors=[("attachments", "Send at least one file.")]
            )
        files = check_all([(file.name or "", file) for file in attachments])
        words = text if text.strip() else f"Attached: {', '.join(name[:100] for name, _ in files)}"
        message = conversation.comment(ticket=ticket, text=words, by=person, author_name=key.name, files=files)
    return answer(present_comments([message])[0], code=201)


@api.get(
    "/tickets/{int:number}/attachments/{int:pk}",
    response=PROBLEMS,
    summary="Get a file of a ticket",
    openapi_extra=_BYTES,
)
def get_attachment(request: HttpRequest, number: int, pk: int) -> HttpResponse:
    """The bytes, of any message in the ticket's thread: never as a page, whatever is in them."""
    thread = Message.objects.thread(find(caller(request, "read"), number))
    kept = Attachment.objects.filter(message__in=thread)
    response = handed_out(get_object_or_404(kept, pk=pk if pk < 2**63 else None))
    if response.status_code == 503:
        raise Problem(503, "files_unavailable", NOT_NOW)
    return response
