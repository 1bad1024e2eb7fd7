"""Overrides and configuration. What a person changes here goes through the same actions as at the desk."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from allauth.socialaccount.models import SocialAccount, SocialApp, SocialToken
from allauth.usersessions.models import UserSession
from django import forms
from django.contrib import admin, messages
from django.contrib.auth.admin import UserAdmin
from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect

from tickets.actions import assignment, fitting, intake, review, status, triage
from tickets.actions.decided import LABELS
from tickets.actions.errors import Refused
from tickets.actions.review import DECIDED_BY_PEOPLE
from tickets.channels import CHANNELS
from tickets.entrance.backend import reaches_administration
from tickets.models import (
    SUBJECT_LIMIT,
    Agent,
    ApiKey,
    Audit,
    Category,
    Component,
    Delivery,
    DeliveryAttempt,
    Draft,
    Event,
    Example,
    FitRun,
    ImportRun,
    Message,
    Requester,
    Review,
    Source,
    Status,
    Suggestion,
    Team,
    Ticket,
)
from tickets.views.frame import person
from tickets.words import counted
from triage.admin import ReadOnly
from triage.models import User

if TYPE_CHECKING:
    Admin = admin.ModelAdmin[Any]
    Inline = admin.TabularInline[Any, Any]
    StackedInline = admin.StackedInline[Any, Any]
    PeopleAdmin = UserAdmin[User]
    _TicketForm = forms.ModelForm[Ticket]
    _SourceForm = forms.ModelForm[Source]
else:
    Admin, Inline, StackedInline, PeopleAdmin = admin.ModelAdmin, admin.TabularInline, admin.StackedInline, UserAdmin
    _TicketForm = _SourceForm = forms.ModelForm

admin.site.site_header = "Triage Desk settings"
admin.site.site_title = "Settings"
admin.site.index_title = "What the desk works with"
admin.site.site_url = "/tickets/"
# One sign-in for the whole desk: the admin's own forms would be others, past its brake and its second factor.


@login_required
def _one_sign_in(request: HttpRequest, extra_context: object = None) -> HttpResponse:
    if not admin.site.has_permission(request):
        raise PermissionDenied
    return redirect("admin:index")


def _one_password(request: HttpRequest, extra_context: object = None) -> HttpResponse:
    return redirect("account_change_password")


admin.site.login = _one_sign_in  # type: ignore[method-assign]
admin.site.password_change = _one_password  # type: ignore[method-assign, assignment]
admin.site.has_permission = lambda request: reaches_administration(request.user)  # type: ignore[method-assign]
# Secrets of people, or settings that come from the environment: nothing to look at or to change here.
admin.site.unregister([Authenticator, EmailAddress, SocialAccount, SocialApp, SocialToken, UserSession])


class TicketForm(_TicketForm):
    class Meta:
        model = Ticket
        fields = ("subject", "status", "assignee", *DECIDED_BY_PEOPLE)

    subject = forms.CharField(
        max_length=SUBJECT_LIMIT, required=False, help_text="A ticket with another subject is read again."
    )

    def __init__(self, *args: Any, **said: Any) -> None:
        super().__init__(*args, **said)
        if "status" in self.fields:  # what a colleague did since the page was opened is no change of this form's
            self.fields["status"].show_hidden_initial = True

    def clean_subject(self) -> str:
        subject: str = self.cleaned_data["subject"]
        if self.add_prefix("subject") in self.data and not subject:
            raise forms.ValidationError("A ticket needs a subject.")
        return subject

    def clean_status(self) -> str:
        chosen: str = self.cleaned_data["status"]
        if chosen == Status.NEW and self.instance.status != Status.NEW:
            raise forms.ValidationError("A ticket is new only until it is read. Choose In review.")
        return chosen


class MessageInline(ReadOnly, Inline):
    model = Message
    fk_name = "ticket"
    fields = ("kind", "author_label", "created_at", "text")
    readonly_fields = fields
    extra = 0


class OfVisibleTickets(Admin):
    """Rows of tickets that their reader may see at the desk. `to_ticket` is the way from a row to its ticket."""

    to_ticket = "ticket"

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        visible = Ticket.objects.visible_to(person(request))
        return super().get_queryset(request).filter(**{f"{self.to_ticket}__in": visible.order_by().values("pk")})


@admin.register(Ticket)
class TicketAdmin(OfVisibleTickets):
    to_ticket = "pk"
    form = TicketForm
    list_display = ("number", "subject", "status", "triage_state", "category", "priority", "team", "assignee")
    list_display_links = ("number", "subject")
    list_filter = ("status", "triage_state", "team", "category", "priority", "source")
    list_select_related = ("category", "team", "assignee", "source")
    search_fields = ("=number", "subject", "excerpt", "requester__email")
    ordering = ("-number",)
    show_full_result_count = False  # counting a million rows takes longer than showing the page
    raw_id_fields = ("assignee",)
    readonly_fields = ("number", "source", "requester", "triage_state", "error", "confidence", "created_at")
    fields = ("subject", *readonly_fields, "status", "assignee", *DECIDED_BY_PEOPLE)
    inlines = (MessageInline,)
    actions = ("run_again", "close")

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False  # tickets come in by the doors

    def has_delete_permission(self, request: HttpRequest, obj: Ticket | None = None) -> bool:
        return False

    def save_model(self, request: HttpRequest, obj: Ticket, form: forms.ModelForm[Ticket], change: bool) -> None:
        """A field that was changed counts as a person's decision, with its review and its place in the history."""
        by = person(request)
        values = form.cleaned_data
        ticket = Ticket.objects.get(pk=obj.pk)
        decided = {name: _spelled(name, values[name]) for name in form.changed_data if name in DECIDED_BY_PEOPLE}
        try:
            if values["subject"] and "subject" in form.changed_data:
                review.require_decider(by)
                intake.revise(ticket=ticket, title=values["subject"])
            if decided:
                review.correct(ticket=ticket, changes=decided, by=by, why="Changed in the settings.")
            if "status" in form.changed_data:
                review.require_decider(by)
                seen = form.data.get(form.add_initial_prefix("status"), "")
                status.change(ticket=ticket, status=Status(values["status"]), by=by, seen=seen)
            if "assignee" in form.changed_data:
                review.require_decider(by)
                assignment.assign(ticket=ticket, to=values["assignee"], by=by)
        except Refused as refused:
            self.message_user(request, refused.sentence, messages.ERROR)

    @admin.action(description="Run triage again", permissions=["change"])
    def run_again(self, request: HttpRequest, queryset: QuerySet[Ticket]) -> None:
        review.require_decider(person(request))
        count = triage.submit_again(tickets=Ticket.objects.filter(pk__in=queryset.values("pk")))
        self.message_user(request, f"Reading again: {counted(count, 'ticket')}. What people decided stays.")

    @admin.action(description="Close", permissions=["change"])
    def close(self, request: HttpRequest, queryset: QuerySet[Ticket]) -> None:
        review.require_decider(person(request))
        chosen = list(queryset.exclude(status=Status.CLOSED))
        try:
            for ticket in chosen:
                status.change(ticket=ticket, status=Status.CLOSED, by=person(request))
        except Refused as refused:
            self.message_user(request, refused.sentence, messages.ERROR)
            return
        self.message_user(request, f"Closed: {counted(len(chosen), 'ticket')}.")


def _spelled(name: str, value: Any) -> Any:
    """A form's value as an action takes it: labels by their key."""
    if name in LABELS:
        return value.key if value else None
    return value


class LabelAdmin(Admin):
    list_display: tuple[str, ...] = ("name", "key", "description", "active")
    list_filter = ("active",)
    search_fields = ("name", "key", "aliases")

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        return ("key",) if obj else ()  # machines know a label by its key

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False  # old tickets keep their labels: set one inactive instead


admin.site.register([Category, Component], LabelAdmin)


@admin.register(Team)
class TeamAdmin(LabelAdmin):
    list_display = ("name", "key", "calendar", "auto_assign", "active")
    list_select_related = ("calendar",)


class SourceForm(_SourceForm):
    kind = forms.ChoiceField(choices=lambda: [(kind, kind) for kind in CHANNELS])


@admin.register(Source)
class SourceAdmin(Admin):
    form = SourceForm
    list_display = ("name", "kind", "active", "masking", "sender")
    list_filter = ("kind", "active", "masking")


class AgentInline(ReadOnly, StackedInline):
    model = Agent
    can_delete = False


@admin.register(User)
class DeskUserAdmin(ReadOnly, PeopleAdmin):
    """To be looked at: people are changed on the page People, where an admin remains and sessions end."""

    fieldsets = (
        (None, {"fields": ("username", "first_name", "last_name", "email", "last_login", "date_joined")}),
        ("Rights", {"fields": ("is_active", "is_staff", "is_superuser", "groups", "user_permissions")}),
    )
    inlines = (AgentInline,)
    list_display = ("username", "first_name", "last_name", "email", "is_staff", "is_active")


@admin.register(Agent)
class AgentAdmin(ReadOnly, Admin):
    list_display = ("user", "role", "available", "capacity")
    list_filter = ("role", "available", "teams")
    list_select_related = ("user",)
    search_fields = ("user__username", "user__first_name", "user__last_name")


@admin.register(ApiKey)
class ApiKeyAdmin(ReadOnly, Admin):
    """To be looked at: keys are made, given other letters and revoked on the page API keys."""

    list_display = ("name", "prefix", "scopes", "source", "user", "last_used_at", "expires_at", "revoked_at")
    list_select_related = ("source", "user")


class AttemptInline(ReadOnly, Inline):
    model = DeliveryAttempt
    extra = 0


@admin.register(Delivery)
class DeliveryAdmin(ReadOnly, OfVisibleTickets):
    list_display = ("ticket", "state", "channel", "recipient", "attempts", "created_at", "sent_at")
    list_filter = ("state", "channel")
    list_select_related = ("ticket",)
    inlines = (AttemptInline,)


@admin.register(Suggestion)
class SuggestionAdmin(ReadOnly, OfVisibleTickets):
    list_display = ("ticket", "confidence", "escalated", "draft_engine", "model", "milliseconds", "created_at")
    list_filter = ("escalated", "draft_engine")
    list_select_related = ("ticket",)


@admin.register(Review)
class ReviewAdmin(ReadOnly, OfVisibleTickets):
    list_display = ("ticket", "decision", "field", "before", "after", "by", "created_at")
    list_filter = ("decision", "field")
    list_select_related = ("ticket", "by")


@admin.register(Event)
class EventAdmin(ReadOnly, OfVisibleTickets):
    to_ticket = "pgh_obj_id"
    list_display = ("pgh_created_at", "number", "pgh_label", "status", "actor", "correlation_id")
    list_filter = ("pgh_label",)
    search_fields = ("=number",)
    ordering = ("-pgh_id",)
    show_full_result_count = False


@admin.register(Requester)
class RequesterAdmin(Admin):
    list_display = ("email", "name", "created_at")
    search_fields = ("email", "name")

    def has_delete_permission(self, request: HttpRequest, obj: Requester | None = None) -> bool:
        return False


class KeptAdmin(ReadOnly, OfVisibleTickets):
    """Rows that the desk writes for itself."""


@admin.register(ImportRun)
class ImportRunAdmin(ReadOnly, Admin):
    list_display = ("label", "state", "source", "stored", "known", "refused", "started_at", "finished_at")


@admin.register(FitRun)
class FitRunAdmin(ReadOnly, Admin):
    """Adding a run asks for a fit."""

    list_display = ("created_at", "state", "cause", "by", "new", "attempts", "outcome", "error")
    list_select_related = ("by",)

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return request.user.has_perm("tickets.add_fitrun")

    def get_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        return (
            ("state", "cause", "by", "new", "attempts", "outcome", "error", "created_at", "finished_at") if obj else ()
        )

    def save_model(self, request: HttpRequest, obj: FitRun, form: Any, change: bool) -> None:
        run = fitting.ask_for_fit(cause=FitRun.Cause.PERSON, by=person(request))
        obj.pk = run.pk

    def add_view(self, request: HttpRequest, form_url: str = "", extra_context: Any = None) -> HttpResponse:
        try:
            return super().add_view(request, form_url, extra_context)
        except Refused as refused:
            self.message_user(request, refused.sentence, messages.ERROR)
            return redirect("admin:tickets_fitrun_changelist")

    def log_addition(self, request: HttpRequest, obj: FitRun, message: Any) -> Any:
        return super().log_addition(request, FitRun.objects.get(pk=obj.pk), message)


admin.site.register([Audit, Draft, Example], KeptAdmin)


from tickets import clock_admin  # noqa: E402, F401  what is promised to tickets; it builds on this file
