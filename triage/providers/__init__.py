from triage.providers.anthropic import Anthropic
from triage.providers.base import Provider

PROVIDERS: dict[str, type[Provider]] = {"anthropic": Anthropic}

__all__ = ["PROVIDERS", "Provider"]
