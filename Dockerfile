# One image for web, worker and commands. Build: docker build -t triage-desk .
FROM python:3.11-slim-bookworm AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
RUN python -m venv /opt/venv
COPY requirements.txt .
RUN /opt/venv/bin/pip install --require-hashes -r requirements.txt

FROM python:3.11-slim-bookworm
ENV PATH=/opt/venv/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    PORT=8000 \
    TRIAGE_ROLE=command \
    TRIAGE_VAR=/data \
    STATIC_ROOT=/app/staticfiles
RUN useradd --system --uid 10001 --user-group --no-create-home triage \
    && install -d -o triage -g triage /data
COPY --from=build /opt/venv /opt/venv
WORKDIR /app
COPY . .
# A key for this one step: collecting files signs nothing, and the key is not kept.
RUN SECRET_KEY=$(python -c 'import secrets; print(secrets.token_urlsafe(50))') python manage.py collectstatic --noinput
USER triage
EXPOSE 8000
HEALTHCHECK --interval=15s --timeout=5s --start-period=30s --retries=3 \
    CMD ["python", "-c", "import os, urllib.request as r; r.urlopen(r.Request('http://127.0.0.1:' + os.environ['PORT'] + '/healthz', headers={'Host': 'localhost'}), timeout=4)"]
ENTRYPOINT ["python"]
# Web. The worker is `manage.py work`, the step before both `manage.py prepare`.
CMD ["-m", "daphne", "-v", "0", "-b", "0.0.0.0", "-p", "8000", "triage.asgi:application"]
