from django.apps import AppConfig


class TriageConfig(AppConfig):
    name = "triage"
    verbose_name = "Reading"

    def ready(self) -> None:
        from triage import checks, queue  # noqa: F401 - checks register themselves

        queue.install()
