"""The one settings file: everything from the environment, and it runs with nothing set."""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import environ
import structlog
from django.core.exceptions import ImproperlyConfigured
from structlog.typing import Processor

from triage.logs import cut_quoted_rows

env = environ.Env()
BASE_DIR = Path(__file__).resolve().parent.parent
if (BASE_DIR / ".env").is_file():
    environ.Env.read_env(BASE_DIR / ".env")

# Variables that hold what cannot be read, and why. Their defaults stand in, and the system checks refuse to go on.
UNREADABLE: dict[str, str] = {}


def _read(name: str, read: Callable[[str], Any], default: str) -> Any:
    try:
        return read(env.str(name, default="") or default)
    except (ValueError, ImproperlyConfigured) as problem:
        UNREADABLE[name] = str(problem)
        return read(default)


def _port(given: str) -> int:
    if not 1 <= (port := int(given)) <= 65535:
        raise ValueError("not between 1 and 65535")
    return port


def _database(url: str) -> dict[str, Any]:
    if url and urlsplit(url).scheme not in ("postgres", "postgresql", "psql", "pgsql"):
        raise ValueError("not an address of a PostgreSQL server")
    return environ.Env.db_url_config(url) if url else {"ENGINE": "django.db.backends.dummy"}


VAR = Path(env.str("TRIAGE_VAR", default=str(BASE_DIR / "var"))).resolve()
# web: a pool, for threads come and go under ASGI. Others: one lasting connection, for a pool does not survive a fork.
ROLE = env.str("TRIAGE_ROLE", default="command")
DEBUG = env.bool("DEBUG", default=False)
TESTING = "PYTEST_VERSION" in os.environ

DATABASE_URL = env.str("DATABASE_URL", default="")
REDIS_URL = env.str("REDIS_URL", default="")
PORT = _read("PORT", _port, "8000")
BASE_URL = _read("BASE_URL", lambda url: urlsplit(url).geturl(), f"http://localhost:{PORT}").rstrip("/")


def _secret_key() -> str:
    """SECRET_KEY of the environment; without DATABASE_URL, one made once and kept in var/. There is no default."""
    given: str = env.str("SECRET_KEY", default="")
    if given or DATABASE_URL:
        return given
    path = VAR / "secret-key"
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
TRUSTED_PROXIES = env.list("TRUSTED_PROXIES", default=[])

INSTALLED_APPS = [
    "daphne",
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
    "csp",
    "django_htmx",
    "django_q",
    "heroicons",
    "ninja",  # serves the API's documentation page from its package, not from a CDN
    "pghistory",
    "pgtrigger",
    "template_partials",
]
MIDDLEWARE = [
    "triage.correlation.CorrelationMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
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
    "workers": _read("TRIAGE_WORKERS", int, str(WORKERS)),
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
    "broker_class": "triage.brokers.PatientRedis" if REDIS_URL else "triage.brokers.PatientORM",
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
TRIAGE_CONCURRENCY = _read("TRIAGE_CONCURRENCY", int, "50")
TRIAGE_MODEL_TIMEOUT = _read("TRIAGE_MODEL_TIMEOUT", float, "30.0")
TRIAGE_MAX_TOKENS = {"classify": 1024, "draft": 1024, "summary": 1024, "repair": 1024}
ESCALATE_BELOW = _read("TRIAGE_ESCALATE_BELOW", float, "0.7")
# How long the verdict on a text serves for the same text of another ticket; 0: every text is read.
TRIAGE_REUSE_DAYS = _read("TRIAGE_REUSE_DAYS", int, "7")
# Similar tickets: how many are shown, and from which cosine on.
TRIAGE_SIMILAR_K = _read("TRIAGE_SIMILAR_K", int, "5")
TRIAGE_SIMILAR_FROM = _read("TRIAGE_SIMILAR_FROM", float, "0.45")
CLOSE_AFTER_DAYS = _read("TRIAGE_CLOSE_AFTER_DAYS", int, "7")

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

# People
AUTH_USER_MODEL = "triage.User"
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in ("UserAttributeSimilarityValidator", "MinimumLengthValidator", "CommonPasswordValidator")
]
LOGIN_URL = "/sign-in/"
CSRF_FAILURE_VIEW = "tickets.views.errors.csrf_refused"
LOGIN_REDIRECT_URL = "/tickets/"
LOGOUT_REDIRECT_URL = "/sign-in/"

LANGUAGE_CODE = "en-gb"
TIME_ZONE = env.str("TIME_ZONE", default="UTC")
USE_TZ = True
USE_I18N = False
USE_THOUSAND_SEPARATOR = False

STATIC_URL = "/static/"
STATIC_ROOT = env.str("STATIC_ROOT", default=str(VAR / "static"))
STATICFILES_DIRS = [BASE_DIR / "static"]
WHITENOISE_USE_FINDERS = True
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
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
if TRUSTED_PROXIES:
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
        "form-action": ["'self'"],
        "frame-ancestors": ["'none'"],
    }
}

# Logs: one JSON object a line on standard error, each with the correlation id. No customer text above debug.
LOG_LEVEL = env.str("LOG_LEVEL", default="INFO").upper()
_shared: list[Processor] = [
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_log_level,
    structlog.stdlib.add_logger_name,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
]
structlog.configure(
    processors=[
        structlog.stdlib.filter_by_level,
        *_shared,
        structlog.processors.format_exc_info,
        structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
    ],
    logger_factory=structlog.stdlib.LoggerFactory(),
    cache_logger_on_first_use=True,
)
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "json": {
            "()": structlog.stdlib.ProcessorFormatter,
            "foreign_pre_chain": [*_shared, structlog.stdlib.ExtraAdder()],
            "processors": [
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.format_exc_info,
                cut_quoted_rows,
                structlog.processors.JSONRenderer(),
            ],
        }
    },
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "json"}},
    "root": {"handlers": ["stderr"], "level": LOG_LEVEL},
    "loggers": {
        "django.server": {"handlers": ["stderr"], "level": "WARNING", "propagate": False},
        "daphne": {"level": "WARNING"},
        "django_q": {"level": "WARNING"},
        "django-q": {"handlers": ["stderr"], "level": "WARNING", "propagate": False},
        "httpx2": {"level": "WARNING"},
    },
}
SILENCED_SYSTEM_CHECKS = ["security.W004", "security.W008", "security.W012", "security.W016"] if not _https else []
