"""What the doctor says of one thing."""

from dataclasses import dataclass
from enum import StrEnum


class Verdict(StrEnum):
    """How bad it is."""

    OK = "ok"
    WARNING = "warning"
    """It works, but perhaps not as meant."""
    FAILURE = "failure"
    """It does not work, or not for long."""


@dataclass(frozen=True)
class Finding:
    """One line. It tells no secret."""

    verdict: Verdict
    subject: str
    said: str
    """What was found and, where it is not well, what to do."""


def ok(subject: str, said: str) -> Finding:
    """All is well."""
    return Finding(Verdict.OK, subject, said)


def warning(subject: str, said: str) -> Finding:
    """Look at it when there is time."""
    return Finding(Verdict.WARNING, subject, said)


def failure(subject: str, said: str) -> Finding:
    """Put it right first."""
    return Finding(Verdict.FAILURE, subject, said)
