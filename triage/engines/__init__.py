"""Those who judge a text, each in a file of its own."""

import triage.pipeline  # noqa: F401  the two import each other: so it is the same order whoever comes first
