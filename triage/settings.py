"""The one settings file: everything from the environment, and it runs with nothing set."""

from __future__ import annotations

import contextlib
import os
import secrets
import sys
from pathlib import Path
from urllib.parse import urlsplit

import environ

from triage.logs import json_logging
from triage.media_types import TYPES
from triage.proxies import networks
from triage.variables import UNREADABLE
from triage.variables import by_operation as _by_operation
from triage.variables import cap as _cap
from triage.variables import database as _database
from triage.variables import log_level as _log_level
from triage.variables import number as _number
from triage.variables import read as _read
from triage.variables import time_zone as _time_zone

env = environ.Env()
BASE_DIR = Path(__file__).resolve().parent.parent
if (BASE_DIR / ".env").is_file():
    environ.Env.read_env(BASE_DIR / ".env")

from triage.accounts import *  # noqa: E402, F403  how people sign in; it reads the environment, .env included
from triage.accounts import ORIGINS  # noqa: E402
from triage.origins import *  # noqa: E402, F403  who may call the API from a page elsewhere
from triage.senders import ANYMAIL  # noqa: E402, F401  who hands over mail by webhook

VAR = Path(env.str("TRIAGE_VAR", default=str(BASE_DIR / "var"))).resolve()
# web: a pool, for threads come and go under ASGI. Others: one lasting connection, for a pool does not survive a fork.
ROLE = env.str("TRIAGE_ROLE", default="command")
DEBUG = env.bool("DEBUG", default=False)
TESTING = "PYTEST_VERSION" in os.environ

DATABASE_URL = env.str("DATABASE_URL", default="")
REDIS_URL = env.str("REDIS_URL", default="")
PORT = _read("PORT", _number(int, 1, 65535), "8000")
BASE_URL = _read("BASE_URL", lambda url: urlsplit(url).geturl(), f"http://localhost:{PORT}").rstrip("/")


def _secret_key() -> str:
    """SECRET_KEY of the environment; without DATABASE_URL, one made once and kept in var/. There is no default."""
    given: str = env.str("SECRET_KEY", default="")
    if given or DATABASE_URL:
        return given
    try:
        return _kept_key(VAR / "secret-key")
    except OSError as problem:
        UNREADABLE["TRIAGE_VAR"] = f"{problem.filename}: {problem.strerror}"
        return secrets.token_urlsafe(50)


def _kept_key(path: Path) -> str:
    if not path.is_file():
        VAR.mkdir(parents=True, exist_ok=True)
        partial = path.with_name(f".secret-key.{os.getpid()}")
        partial.touch(mode=0o600)
        partial.write_text(secrets.token_urlsafe(50))
        with contextlib.suppress(FileExistsError):
            os.link(partial, path)  # the first of several processes wins
        partial.unlink()
    return path.read_text().strip()


SECRET_KEY = _secret_key()
SECRET_KEY_FALLBACKS = env.list("SECRET_KEY_FALLBACKS", default=[])  # earlier keys, while a new one takes over
_host = urlsplit(BASE_URL).hostname or "localhost"
ALLOWED_HOSTS = env.list("ALLOWED_HOSTS", default=["localhost", "127.0.0.1", "[::1]", _host])
CSRF_TRUSTED_ORIGINS = [BASE_URL]
TRUSTED_PROXIES = _read("TRUSTED_PROXIES", networks, "")

INSTALLED_APPS = [
    *(("daphne",) if "runserver" in sys.argv else ()),  # for its WebSockets; half a second to every other command
    # Before the desk's own: what they register in the admin is taken out there (tickets/admin.py).
    "allauth",
    "allauth.account",
    "allauth.mfa",
    "allauth.socialaccount",
    "allauth.socialaccount.providers.github",
    "allauth.socialaccount.providers.openid_connect",
    "allauth.usersessions",
    "analytics",
    "tickets",
    "triage",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.humanize",
    "django.contrib.messages",
    "django.contrib.postgres",
    "django.contrib.sessions",
    "django.contrib.staticfiles",
    "channels",
    "corsheaders",
    "csp",
    "django_htmx",
    "django_q",
    "ninja",  # serves the API's documentation page from its package, not from a CDN
    "pghistory",
    "pgtrigger",
    "template_partials",
]
MIDDLEWARE = [
    "triage.proxies.ProxyMiddleware",
    "triage.correlation.CorrelationMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "corsheaders.middleware.CorsMiddleware",  # for the API alone, before whatever answers
    "tickets.channels.api.limits.LimitMiddleware",
    "csp.middleware.CSPMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "triage.correlation.HistoryMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "tickets.views.middleware.SignInMiddleware",
    "tickets.views.middleware.UnstorableMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "tickets.entrance.middleware.AccessMiddleware",
    "tickets.channels.api.problems.ProblemMiddleware",
]
ROOT_URLCONF = "triage.urls"
ASGI_APPLICATION = "triage.asgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "tickets.views.frame.frame",
            ],
        },
    }
]

# Database: DATABASE_URL, else an own PostgreSQL in var/ that the first connection starts.
if DATABASE_URL:
    DATABASES = {"default": _read("DATABASE_URL", _database, "")}
    DATABASES["default"].setdefault("OPTIONS", {})
else:
    DATABASES = {"default": {"ENGINE": "triage.postgres", "NAME": "triage", "DIRECTORY": VAR, "OPTIONS": {}}}
DATABASES["default"]["CONN_HEALTH_CHECKS"] = True
if ROLE == "web":
    DATABASES["default"]["CONN_MAX_AGE"] = 0
    DATABASES["default"]["OPTIONS"]["pool"] = {"min_size": 2, "max_size": 16, "timeout": 5}
else:
    DATABASES["default"]["CONN_MAX_AGE"] = 600
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

if REDIS_URL:
    CACHES = {"default": {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": REDIS_URL}}
    CHANNEL_LAYERS = {
        "default": {
            "BACKEND": "channels_redis.core.RedisChannelLayer",
            # redis-py 8 would close a listening socket after 5 idle seconds (django/channels_redis#422)
            "CONFIG": {"hosts": [{"address": REDIS_URL, "socket_timeout": None}], "capacity": 1000},
        }
    }
else:
    CACHES = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}
    CHANNEL_LAYERS = {"default": {"BACKEND": "triage.notify.NotifyChannelLayer", "CONFIG": {"capacity": 1000}}}

# Work in the background. A django-q2 task is only the bell (docs/decisions/0003): no results, no retries of its own.
# A reading that asks a model is mostly waiting and many small writes: two processes share these.
WORKERS = 2 if env.str("ANTHROPIC_API_KEY", default="") or env.str("ANTHROPIC_BASE_URL", default="") else 1
_cluster = {
    "workers": _read("TRIAGE_WORKERS", _number(int, 1), str(WORKERS)),
    "timeout": 120,  # a drain claims for 40 s; what is in flight then may wait for a model twice
    "retry": 150,
    "queue_limit": 2,
    "bulk": 1,
    "poll": 0.05,
    "guard_cycle": 0.5,  # must divide timeout + 3: the guard compares its timer to zero
    "recycle": 500,
    "save_limit": -1,
    "max_attempts": 1,
    "ack_failures": True,
    "catch_up": False,
    "scheduler": False,
    "label": "Background",
    "broker_class": "triage.redis_broker.PatientRedis" if REDIS_URL else "triage.brokers.PatientORM",
    **({"redis": REDIS_URL} if REDIS_URL else {"orm": "default"}),
}
Q_CLUSTER = {
    "name": "interactive",
    **_cluster,
    "ALT_CLUSTERS": {"batch": {**_cluster, "poll": 0.2}},
}

# Language model
ANTHROPIC_API_KEY = env.str("ANTHROPIC_API_KEY", default="")
ANTHROPIC_BASE_URL = env.str("ANTHROPIC_BASE_URL", default="")
TRIAGE_MODEL = env.str("TRIAGE_MODEL", default="claude-haiku-5-5")
TRIAGE_FALLBACK_MODEL = env.str("TRIAGE_FALLBACK_MODEL", default="")
TRIAGE_CONCURRENCY = _read("TRIAGE_CONCURRENCY", _number(int, 1), "50")
TRIAGE_MODEL_TIMEOUT = _read("TRIAGE_MODEL_TIMEOUT", _number(float, 1), "30.0")
# By operation: the tokens of an answer, and the characters of a ticket's own part of a question.
TRIAGE_MAX_TOKENS = _read("TRIAGE_MAX_TOKENS", _by_operation(1_024, 1_024, 1_024, 1_024), "")
TRIAGE_MAX_INPUT = _read("TRIAGE_MAX_INPUT", _by_operation(20_000, 20_000, 40_000, 40_000), "")
# Calls that all processes together may begin; None is no cap.
TRIAGE_CALLS_A_DAY = _read("TRIAGE_CALLS_A_DAY", _cap, "")
TRIAGE_CALLS_A_MINUTE = _read("TRIAGE_CALLS_A_MINUTE", _cap, "")
APPLY_PRECISION = _read("TRIAGE_APPLY_PRECISION", _number(float, 0, 1), "0.95")
AUDIT_SHARE = _read("TRIAGE_AUDIT_SHARE", _number(float, 0, 1), "0.02")
ESCALATE_BELOW = _read("TRIAGE_ESCALATE_BELOW", _number(float, 0, 1), "0.7")
# How long the verdict on a text serves for the same text of another ticket; 0: every text is read.
TRIAGE_REUSE_DAYS = _read("TRIAGE_REUSE_DAYS", _number(int, 0, 3_650), "7")
# Similar tickets: how many are shown, and from which cosine on.
TRIAGE_SIMILAR_K = _read("TRIAGE_SIMILAR_K", _number(int, 1, 50), "5")
TRIAGE_SIMILAR_FROM = _read("TRIAGE_SIMILAR_FROM", _number(float, 0, 1), "0.45")
WEBHOOKS_PRIVATE = env.bool("TRIAGE_WEBHOOKS_PRIVATE", default=False)  # whether they may go to one's own network
WEBHOOKS_HTTP = env.bool("TRIAGE_WEBHOOKS_HTTP", default=False)  # and to addresses without TLS
MCP_PER_MINUTE = _read("TRIAGE_MCP_PER_MINUTE", _number(int, 0), "120")  # requests of one API key; 0 is no limit
# GitHub's deliveries: so many seconds, within them so many of one source, and so many ill signed of one address.
GITHUB_WINDOW = _read("TRIAGE_GITHUB_WINDOW", _number(int, 1, 3_600), "60")
GITHUB_PER_WINDOW = _read("TRIAGE_GITHUB_PER_WINDOW", _number(int, 0), "6000")
GITHUB_REFUSED_PER_WINDOW = _read("TRIAGE_GITHUB_REFUSED_PER_WINDOW", _number(int, 0), "100")
GITHUB_PAYLOAD_DAYS = _read("TRIAGE_GITHUB_PAYLOAD_DAYS", _number(int, 1, 3_650), "30")  # what they said is kept
# For so many days after an import, what its refused rows held is kept.
IMPORT_REFUSED_DAYS = _read("TRIAGE_IMPORT_REFUSED_DAYS", _number(int, 1, 3_650), "30")
# Requests to the API: so many seconds, within them so many of one key, and of one address without a key; 0: no limit.
API_WINDOW = _read("TRIAGE_API_WINDOW", _number(int, 1, 3_600), "60")
API_PER_WINDOW = _read("TRIAGE_API_PER_WINDOW", _number(int, 0), "6000")
API_KEYLESS_PER_WINDOW = _read("TRIAGE_API_KEYLESS_PER_WINDOW", _number(int, 0), "100")
UNDO_SECONDS = _read("TRIAGE_UNDO_SECONDS", _number(int, 0, 300), "10")  # to take back a reply that was approved
CLOSE_AFTER_DAYS = _read("TRIAGE_CLOSE_AFTER_DAYS", _number(int, 0, 36_500), "7")

# Mail: as files in var/mail/ until EMAIL_URL names a server.
DEFAULT_FROM_EMAIL = env.str("DEFAULT_FROM_EMAIL", default="Support <support@localhost>")
_mail = _read("EMAIL_URL", env.email_url_config, f"filemail://{VAR / 'mail'}")
# Ours know for certain whether a message left; of Django's, one cannot tell.
EMAIL_BACKEND = {
    "django.core.mail.backends.smtp.EmailBackend": "tickets.channels.email.smtp.EmailBackend",
    "django.core.mail.backends.filebased.EmailBackend": "tickets.channels.email.files.EmailBackend",
}.get(_mail["EMAIL_BACKEND"], _mail["EMAIL_BACKEND"])
EMAIL_HOST = _mail["EMAIL_HOST"] or "localhost"
EMAIL_PORT = _mail["EMAIL_PORT"] or 25
EMAIL_HOST_USER = _mail["EMAIL_HOST_USER"] or ""
EMAIL_HOST_PASSWORD = _mail["EMAIL_HOST_PASSWORD"] or ""
EMAIL_USE_TLS = bool(_mail.get("EMAIL_USE_TLS"))
EMAIL_USE_SSL = bool(_mail.get("EMAIL_USE_SSL"))
EMAIL_FILE_PATH = f"/{_mail['EMAIL_FILE_PATH']}"
EMAIL_TIMEOUT = 20

# Requests that one address may send through the public form and the status page; 0 is no limit.
FORM_PER_MINUTE = _read("TRIAGE_FORM_PER_MINUTE", _number(int, 0), "10")
FORM_PER_HOUR = _read("TRIAGE_FORM_PER_HOUR", _number(int, 0), "60")

# So many tickets of one sender by form or mail within so many minutes are a flood: what follows is held as spam.
# 0 tickets: nothing is.
FLOOD_TICKETS = _read("TRIAGE_FLOOD_TICKETS", _number(int, 0, 10_000), "20")
FLOOD_MINUTES = _read("TRIAGE_FLOOD_MINUTES", _number(int, 1, 1_440), "10")

# People
AUTH_USER_MODEL = "triage.User"
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in ("UserAttributeSimilarityValidator", "MinimumLengthValidator", "CommonPasswordValidator")
]
AUTHENTICATION_BACKENDS = ["tickets.entrance.backend.DeskBackend"]
LOGIN_URL = "/sign-in/"
CSRF_FAILURE_VIEW = "tickets.views.errors.csrf_refused"
LOGIN_REDIRECT_URL = "/tickets/"
LOGOUT_REDIRECT_URL = "/sign-in/"

ACCOUNT_DEFAULT_HTTP_PROTOCOL = urlsplit(BASE_URL).scheme or "http"
MFA_WEBAUTHN_ALLOW_INSECURE_ORIGIN = not BASE_URL.startswith("https://")  # browsers allow it on localhost alone

LANGUAGE_CODE = "en-gb"
TIME_ZONE = _read("TIME_ZONE", _time_zone, "UTC")
USE_TZ = True
USE_I18N = False
USE_THOUSAND_SEPARATOR = False

STATIC_URL = "/static/"
STATIC_ROOT = env.str("STATIC_ROOT", default=str(VAR / "static"))
STATICFILES_DIRS = [BASE_DIR / "static"]
WHITENOISE_USE_FINDERS = True
# Attachments: in var/media, or in a bucket (pip install 'django-storages[s3]'; its keys as boto3 reads them).
MEDIA_ROOT = VAR / "media"
MEDIA_URL = ""  # never by address: a view that checks who asks is the only way to them
S3_BUCKET = env.str("TRIAGE_S3_BUCKET", default="")
_s3 = {
    "bucket_name": S3_BUCKET,
    "endpoint_url": env.str("TRIAGE_S3_ENDPOINT", default="") or None,
    "region_name": env.str("TRIAGE_S3_REGION", default="") or None,
    "default_acl": None,
    "file_overwrite": False,
}
ATTACHMENT_BYTES = _read("TRIAGE_ATTACHMENT_BYTES", _number(int, 1, 100_000_000), "10000000")
ATTACHMENT_BYTES_A_TICKET = _read("TRIAGE_ATTACHMENT_BYTES_A_TICKET", _number(int, 1, 10_000_000_000), "100000000")
ATTACHMENTS_A_MESSAGE = _read("TRIAGE_ATTACHMENTS_A_MESSAGE", _number(int, 0, 100), "10")
ATTACHMENT_TYPES = frozenset(env.list("TRIAGE_ATTACHMENT_TYPES", default=TYPES))
STORAGES = {
    "default": {"BACKEND": "triage.bucket.Bucket", "OPTIONS": _s3}
    if S3_BUCKET
    else {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
}

# Security. Cookies are secure as soon as BASE_URL is https.
_https = BASE_URL.startswith("https://")
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = _https
SESSION_COOKIE_SAMESITE = CSRF_COOKIE_SAMESITE = "Lax"
SECURE_HSTS_SECONDS = 31_536_000 if _https else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = SECURE_HSTS_PRELOAD = _https
SECURE_SSL_REDIRECT = _https
SECURE_REDIRECT_EXEMPT = [r"^healthz$", r"^readyz$"]
if TRUSTED_PROXIES:  # ProxyMiddleware takes the header away from everybody else
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
DATA_UPLOAD_MAX_MEMORY_SIZE = 2_500_000
DATA_UPLOAD_MAX_NUMBER_FIELDS = 2000
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": ["'self'"],
        "script-src": ["'self'"],
        "style-src": ["'self'"],
        "img-src": ["'self'", "data:"],
        "connect-src": ["'self'"],
        "font-src": ["'self'"],
        "object-src": ["'none'"],
        "base-uri": ["'none'"],
        # Browsers look at where a form is redirected, too: the way to a provider begins with a form.
        "form-action": ["'self'", *ORIGINS],
        "frame-ancestors": ["'none'"],
    }
}

# Logs: one JSON object a line on standard error, each with the correlation id. No customer text above debug.
LOG_LEVEL = _read("LOG_LEVEL", _log_level, "INFO")
LOGGING = json_logging(LOG_LEVEL)
SILENCED_SYSTEM_CHECKS = ["security.W004", "security.W008", "security.W012", "security.W016"] if not _https else []
