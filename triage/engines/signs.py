"""How a text is built, which cleaning takes away: code, templates, pictures, questions; and the door it came by."""

from __future__ import annotations

import re

from triage.embedding.clean import MAX_RAW, TURN

_fence = re.compile(r"^[ \t]*(?:```|~~~)", re.MULTILINE)
_heading = re.compile(r"^#{1,6}[ \t]*\S", re.MULTILINE)
_comment = re.compile(r"<!--")
_box = re.compile(r"^[ \t]*[-*][ \t]*\[[ xX]\]", re.MULTILINE)
_unanswered = re.compile(r"^[ \t]*_No response_[ \t]*$", re.MULTILINE)
_picture = re.compile(r"!\[|<img\b", re.IGNORECASE)
_address = re.compile(r"https?://")
_version = re.compile(r"\bv?\d+\.\d+(?:\.\d+)?\b")
_failure = re.compile(r"\bTraceback\b|^[ \t]+at [^\s(]+ ?\(|\b[A-Za-z]{3,}(?:Error|Exception)\b", re.MULTILINE)
_asking = re.compile(
    r"\W*(?:how|what|why|where|when|which|who|can|could|does|do|did|is|are|should|would|will)\b", re.IGNORECASE
)
_prefix = re.compile(r"\s*(?:\[([A-Za-z][A-Za-z /-]{1,30})\]|([A-Za-z][A-Za-z /-]{1,20}):)")
_PATTERNS = (
    ("code", _fence),
    ("heading", _heading),
    ("comment", _comment),
    ("box", _box),
    ("unanswered", _unanswered),
    ("picture", _picture),
    ("address", _address),
    ("version", _version),
    ("failure", _failure),
)


def signs(text: str, source: str = "") -> tuple[str, ...]:
    """The signs of a raw text, subject first and parted by `TURN` as `Inquiry.text` is, each once.

    A prefix of the subject ("[Bug]", "Docs:") and the source's name are signs as well; like words, they are learned
    only when enough texts hold them.
    """
    subject, parted, rest = text.partition(TURN)
    body = (rest if parted else text)[:MAX_RAW]
    found = [name for name, pattern in _PATTERNS if pattern.search(body)]
    found.append(f"long {min(len(body).bit_length() // 2, 6)}")
    found.append(f"questions {min(body.count('?'), 3)}")
    if parted:
        found.extend(_of_subject(subject.strip()[:MAX_RAW]))
    if source:
        found.append(f"source:{' '.join(source.split())[:60]}")
    return tuple(found)


def _of_subject(subject: str) -> list[str]:
    found = []
    if "?" in subject:
        found.append("subject asks")
    if _asking.match(subject):
        found.append("subject begins a question")
    prefix = _prefix.match(subject)
    if prefix:
        found.append(f"subject:{(prefix[1] or prefix[2]).strip().lower()}")
    return found
