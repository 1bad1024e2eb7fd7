"""Sign-in and sign-out. Wrong passwords are counted by user name and by address, and then there is a wait."""

from __future__ import annotations

from django.contrib.auth.forms import AuthenticationForm
from django.contrib.auth.views import LoginView, LogoutView
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import render

from triage import brake
from triage.brake import Limit

A_NAME = Limit(5, 15 * 60)
AN_ADDRESS = Limit(20, 15 * 60)
_form = LoginView.as_view(template_name="sign_in.html", redirect_authenticated_user=True)
sign_out = LogoutView.as_view()


def sign_in(request: HttpRequest) -> HttpResponseBase:
    if request.method != "POST" or request.user.is_authenticated:  # then no password is looked at
        return _form(request)
    name = brake.mark("name", request.POST.get("username", "").strip().casefold())
    address = brake.mark("sign-in", brake.peer_of(request))
    if wait := brake.press({name: [A_NAME], address: [AN_ADDRESS]}):
        return _too_often(request, wait)
    response = _form(request)
    if response.status_code == 302:  # the password was right
        brake.release(name)
        brake.take_back(address)
    return response


def _too_often(request: HttpRequest, wait: int) -> HttpResponse:
    """Also for the right password: whoever guesses must not learn which it was."""
    form = AuthenticationForm(request, initial={"username": request.POST.get("username", "")})
    context = {"form": form, "next": request.POST.get("next", ""), "wait": brake.spoken(wait)}
    return brake.held_up(render(request, "sign_in.html", context), wait)
