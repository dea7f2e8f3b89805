"""Sipward policy `night-guard`: no foreign calls while nobody watches.

See the README for the threat, the settings and the build.
"""

import json
import re
from dataclasses import dataclass, field, fields

from componentize_py_types import Err
from wit_world import exports
from wit_world.exports.lifecycle import Manifest, SettingsError
from wit_world.imports import clock, counters, log, numbers
from wit_world.imports.outcomes import (
    Alert,
    Annotation,
    Effect_Alert,
    Effect_Annotate,
    Outcome,
    Rejection,
    Severity,
    Verdict_Next,
    Verdict_Reject,
)
from wit_world.imports.types import Dialog, IpAddress_Ipv4, Zone

DAYS = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
MINUTES_OF_A_DAY = 24 * 60
HOUR_MS = 3_600_000
# 1970-01-01 was a Thursday.
FIRST_DAY = DAYS.index("thu")
# Dialled texts up to this length are extensions, whatever they say.
LOCAL_DIGITS = 6
ESCAPE = re.compile("%([0-9a-fA-F]{2})")


# --- Settings ------------------------------------------------------------------


@dataclass
class Settings:
    """What the operator writes; the types are checked by `read`."""

    region: str
    open: int
    close: int
    days: list = field(default_factory=lambda: DAYS[:5])
    utc_offset_minutes: int = 0
    per_hour: int = 0
    status: int = 403


def whole(minimum, maximum, description):
    """The schema of a whole number."""
    return {
        "type": "integer",
        "minimum": minimum,
        "maximum": maximum,
        "description": description,
    }


PROPERTIES = {
    "region": {
        "type": "string",
        "description": "Country that numbers are dialled in, as DE.",
    },
    "open": whole(0, 23, "First hour of the office."),
    "close": whole(1, 24, "First hour after it."),
    "days": {
        "type": "array",
        "items": {"enum": DAYS},
        "description": "Days with office hours.",
    },
    "utc_offset_minutes": whole(-720, 840, "Local time less UTC."),
    "per_hour": whole(
        0, 1000, "Foreign calls that a caller may make in an hour of the night."
    ),
    "status": {"enum": [403, 480, 603], "description": "Answer to the others."},
}
REQUIRED = ["region", "open", "close"]
SCHEMA = {
    "type": "object",
    "additionalProperties": False,
    "required": REQUIRED,
    "properties": PROPERTIES,
}


def wrong(key, message):
    """What `configure` raises: the key and what would be right."""
    return Err(SettingsError(key, message))


def read(text):
    """The settings, every one of them checked."""
    given = json.loads(text)
    for key in given:
        if key not in PROPERTIES:
            names = ", ".join(it.name for it in fields(Settings))
            raise wrong(key, f"is no setting; there are {names}")
    for key in REQUIRED:
        if key not in given:
            raise wrong(key, "must be written")
    settings = Settings(**given)
    for key, schema in PROPERTIES.items():
        if schema.get("type") == "integer":
            value = getattr(settings, key)
            low, high = schema["minimum"], schema["maximum"]
            if type(value) is not int or not low <= value <= high:
                raise wrong(key, f"has to be a whole number from {low} to {high}")
    if settings.open >= settings.close:
        raise wrong("close", "has to be after `open`")
    if not isinstance(settings.days, list):
        raise wrong("days", "has to be a list")
    for index, day in enumerate(settings.days):
        if day not in DAYS:
            raise wrong(f"days[{index}]", f"is none of {', '.join(DAYS)}")
    if settings.status not in (403, 480, 603):
        raise wrong("status", "has to be 403, 480 or 603")
    known = type(settings.region) is str and number("0123456789", settings.region)
    if not known or known == numbers.NumberError.NO_SUCH_REGION:
        raise wrong("region", "is no country; write two letters, as DE")
    return settings


# --- The request ---------------------------------------------------------------


def text(facts, span):
    """The text of a span: offset in the upper half, length in the lower."""
    start = span >> 32
    return facts.text[start : start + (span & 0xFFFF_FFFF)].decode("utf-8", "replace")


def dialled(facts):
    """What was dialled, without escapes."""
    user = facts.request_uri.user
    written = "" if user is None else text(facts, user)
    return ESCAPE.sub(lambda escape: chr(int(escape[1], 16)), written)


def number(digits, region):
    """A number as the host understands it, or what is wrong with it."""
    try:
        return numbers.parse(digits, region)
    except Err as error:
        return error.value


class NightGuard:
    """The configured policy."""

    def __init__(self, settings):
        self.settings = settings

    def is_foreign(self, digits):
        """What has the length of a number is foreign unless it is surely not.

        So is one with parameters, which may lead elsewhere.
        """
        if ";" in digits:
            return True
        if len(digits) <= LOCAL_DIGITS:
            return False
        known = number(digits, self.settings.region)
        if isinstance(known, numbers.NumberError):
            return known != numbers.NumberError.NOT_A_NUMBER
        return known.region != self.settings.region

    def local(self):
        """Whether the office is open, and the local time for people."""
        # Python's own clock stands still at the moment of the build.
        minutes = clock.now_ms() // 60_000 + self.settings.utc_offset_minutes
        days, minute = divmod(minutes, MINUTES_OF_A_DAY)
        day = DAYS[(days + FIRST_DAY) % 7]
        hour = minute // 60
        open = self.settings.open <= hour < self.settings.close
        return day in self.settings.days and open, f"{day} {hour:02}:{minute % 60:02}"

    def has_one_left(self, caller):
        """Whether the caller has a call of this hour left. A full table means no."""
        if self.settings.per_hour == 0:
            return False
        try:
            made = counters.add(
                "night", caller.encode(), 1, HOUR_MS, counters.Durability.VOLATILE
            )
        except Err as error:
            log.write(log.Level.WARN, f"foreign calls cannot be counted: {error.value}")
            return False
        return made <= self.settings.per_hour

    def decide(self, facts):
        """The answer to a request."""
        if facts.dialog != Dialog.NONE:
            return next_plugin("belongs to a call")
        if facts.peer.zone == Zone.OUTSIDE:
            return next_plugin("comes from outside")
        open, shown = self.local()
        if open:
            return next_plugin("within office hours")
        callee = dialled(facts)
        if not self.is_foreign(callee):
            return next_plugin("no foreign number")
        caller = who(facts)
        if self.has_one_left(caller):
            counted = Effect_Annotate(Annotation("night-guard", "counted"))
            return next_plugin(f"{caller} may still call {callee} at {shown}", counted)
        reason = f"{caller} may not call {callee} at {shown}"
        alert = Effect_Alert(Alert(Severity.WARNING, f"night/{caller}", reason))
        refusal = Verdict_Reject(Rejection(self.settings.status, "", 0))
        return Outcome(refusal, [alert], reason)


def who(facts):
    """The caller: identity, else peer, else address."""
    known = facts.identity if facts.identity is not None else facts.peer.name
    if known is not None:
        return text(facts, known)
    address = facts.peer.address
    if isinstance(address, IpAddress_Ipv4):
        return ".".join(str(octet) for octet in address.value)
    return ":".join(f"{group:x}" for group in address.value)


def next_plugin(reason, *effects):
    """No objection."""
    return Outcome(Verdict_Next(), list(effects), reason)


def passed(error):
    """The places that an error passed. `traceback` would open files, and trap."""
    places = []
    step = error.__traceback__
    while step is not None:
        places.append(f"{step.tb_frame.f_code.co_name}:{step.tb_lineno}")
        step = step.tb_next
    return " > ".join(places)


# --- What the host calls -------------------------------------------------------

policy = None


class Lifecycle(exports.Lifecycle):
    """What the policy is, and its settings."""

    def describe(self):
        return Manifest(
            name="night-guard",
            version="1.0.0",
            description="Refuses foreign calls outside office hours",
            methods=["INVITE"],
            capabilities=["counters"],
            settings_schema=json.dumps(SCHEMA),
        )

    def configure(self, settings):
        global policy
        policy = NightGuard(read(settings))


class RequestPolicy(exports.RequestPolicy):
    """The only hook."""

    def on_request(self, facts, message):
        try:
            return policy.decide(facts)
        except Exception as error:
            # The host sees a trap without a word, so it is said before.
            log.write(log.Level.ERROR, f"{error!r} at {passed(error)}")
            raise
