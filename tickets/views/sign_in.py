"""Sign-in and sign-out by allauth, in our pages. Wrong secrets are counted by person and by address, then one waits."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from allauth.account import views as account
from allauth.account.forms import LoginForm
from allauth.account.internal.flows.reauthentication import did_recently_reauthenticate
from allauth.account.internal.stagekit import unstash_login
from allauth.core import context
from allauth.mfa.base import views as factors
from allauth.mfa.webauthn import views as passkeys
from allauth.socialaccount.adapter import get_adapter as get_providers
from django.contrib.auth.views import LogoutView
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.shortcuts import render

from tickets.actions import sessions
from triage import brake
from triage.brake import Limit
from triage.models import User

A_NAME = Limit(5, 15 * 60)
AN_ADDRESS = Limit(20, 15 * 60)
MAILS = Limit(5, 60 * 60)
_out = LogoutView.as_view()
View = Callable[..., HttpResponseBase]


@dataclass(frozen=True, slots=True)
class Offer:
    """A provider as a page offers it: its key, its name, and where a form posts to begin."""

    key: str
    name: str
    address: str


class SignInForm(LoginForm):
    def add_prefix(self, field_name: str) -> str:
        """The field is called username, as it always was here: password managers have kept it so."""
        return "username" if field_name == "login" else str(super().add_prefix(field_name))


class SignInView(account.LoginView):
    form_class = SignInForm
    template_name = "sign_in.html"

    def get_context_data(self, **given: Any) -> dict[str, Any]:
        onward = self.get_next_url() or ""
        providers = offered(self.request, **({"next": onward} if onward else {}))
        return {**super().get_context_data(**given), "providers": providers, "next": onward}


def offered(request: HttpRequest, **query: str) -> list[Offer]:
    """The providers that people may sign in with, as the settings name them."""
    found = [one for one in get_providers().list_providers(request) if one.app is not None]
    return [Offer(one.sub_id, one.name, one.get_login_url(request, **query)) for one in found]


def if_offered(key: str, view: View) -> View:
    """A provider that the settings do not name has no pages here."""

    def checked(request: HttpRequest, *args: Any, **named: Any) -> HttpResponseBase:
        if key not in {one.key for one in offered(request)}:
            raise Http404
        return view(request, *args, **named)

    return checked


_form: View = SignInView.as_view()
_second_step: View = factors.AuthenticateView.as_view(template_name="entrance/second_step.html")


def sign_in(request: HttpRequest) -> HttpResponseBase:
    if request.method != "POST" or request.user.is_authenticated:  # then no password is looked at
        return _form(request)
    name = _mark_of(request.POST.get("username", "") or request.POST.get("login", ""))

    def right(response: HttpResponseBase) -> bool:
        return response.status_code == 302

    return _braked(
        request, _form, name, right=right, template="sign_in.html", extra={"next": request.POST.get("next", "")}
    )


def second_step(request: HttpRequest) -> HttpResponseBase:
    """A code or a passkey after the password. Codes are six digits: they are counted apart, by person."""
    login = unstash_login(request, peek=True) if request.method == "POST" else None
    if login is None or login.user is None:
        return _second_step(request)
    mark = brake.mark("second step", str(login.user.pk))

    def right(_: HttpResponseBase) -> bool:
        return request.user.is_authenticated

    return _braked(request, _second_step, mark, right=right, template="entrance/second_step.html")


def _again(view: View) -> View:
    """Asking once more who somebody is, before they change how they sign in."""

    def counted(request: HttpRequest) -> HttpResponseBase:
        if request.method != "POST" or not isinstance(request.user, User):
            return view(request)
        mark = brake.mark("again", str(request.user.pk))
        return _braked(
            request,
            view,
            mark,
            right=lambda _: bool(did_recently_reauthenticate(request)),
            template="entrance/again_wait.html",
        )

    return counted


again = _again(account.ReauthenticateView.as_view(template_name="entrance/again.html"))
again_by_code = _again(factors.ReauthenticateView.as_view(template_name="entrance/again_code.html"))
again_by_passkey = _again(passkeys.ReauthenticateWebAuthnView.as_view(template_name="entrance/again_passkey.html"))


def braked_old_password(view: View) -> View:
    """Changing the password: the old one may be guessed no oftener than at the sign-in."""

    def counted(request: HttpRequest) -> HttpResponseBase:
        if request.method != "POST" or not isinstance(request.user, User):
            return view(request)
        mark = brake.mark("again", str(request.user.pk))
        return _braked(
            request,
            view,
            mark,
            right=lambda response: response.status_code == 302,
            template="entrance/again_wait.html",
        )

    return counted


def sign_out(request: HttpRequest) -> HttpResponseBase:
    """End this session, in all tabs at once."""
    user = request.user
    response = _out(request)
    if isinstance(user, User) and request.method == "POST":
        sessions.look_again(user, sessions.SESSION)
    return response


class _Afterwards(HttpResponseRedirect):
    """Answers first and then does something: how long that takes tells the visitor nothing."""

    def __init__(self, address: str, do: Callable[[], object]) -> None:
        super().__init__(address)
        self.do = do

    def close(self) -> None:
        self.do()
        super().close()


class ForgottenView(account.PasswordResetView):
    template_name = "entrance/forgotten.html"

    def form_valid(self, form: Any) -> HttpResponse:
        request = self.request

        def send() -> None:
            with context.request_context(request):
                form.save(request)

        return _Afterwards(self.get_success_url(), send)


_forgotten: View = ForgottenView.as_view()


def forgotten(request: HttpRequest) -> HttpResponseBase:
    """Ask for a link to set another password. The answer is the same, and as quick, whoever is asked for."""
    if request.method == "POST":
        address = brake.mark("forgotten", request.POST.get("email", "").strip().casefold())
        peer = brake.mark("forgotten peer", brake.peer_of(request))
        if wait := brake.press({address: [MAILS], peer: [AN_ADDRESS]}):
            page = render(request, "entrance/forgotten.html", {"wait": brake.spoken(wait)})
            return brake.held_up(page, wait)
    return _forgotten(request)


class NewPasswordView(account.PasswordResetFromKeyView):
    template_name = "entrance/new_password.html"
    success_url = "/sign-in/?changed=1"

    def form_valid(self, form: Any) -> HttpResponseBase:
        response: HttpResponseBase = super().form_valid(form)
        if isinstance(self.reset_user, User):
            sessions.end_all(user=self.reset_user)
        return response


new_password = NewPasswordView.as_view()


def _mark_of(name: str) -> str:
    """What wrong passwords are counted by: the person, also where their address is given in place of the name."""
    given = name.strip().casefold()
    if "@" in given:
        held = User.objects.filter(email__iexact=given).values_list("username", flat=True).first()
        given = held.casefold() if held else given
    return brake.mark("name", given)


def _braked(
    request: HttpRequest,
    view: View,
    person: str,
    *,
    right: Callable[[HttpResponseBase], bool],
    template: str,
    extra: dict[str, Any] | None = None,
) -> HttpResponseBase:
    """Count the attempt, make it, and forget it if it was right. Too many: 429, also for the right secret."""
    address = brake.mark("sign-in", brake.peer_of(request))
    if wait := brake.press({person: [A_NAME], address: [AN_ADDRESS]}):
        shown = {"wait": brake.spoken(wait), "given": request.POST.get("username", ""), **(extra or {})}
        return brake.held_up(render(request, template, shown), wait)
    response = view(request)
    if right(response):
        brake.release(person)
        brake.take_back(address)
    return response
