"""Everything that can go wrong, as facts of the field.

StrokeError
├── InvalidPatient             values that no plausible patient has, by field
├── OutsideSupport             a patient for whom the training data do not speak, where it counts
├── PredictionNotFound         no prediction has this id
├── OutcomeNotFound            the prediction has no outcome
├── InvalidOutcome             an outcome that its prediction cannot have, by field
├── PredictionRejected         the store refuses this one row, whatever is tried
├── IdempotencyKeyTaken        the key already names a stored prediction
├── IdempotencyKeyReused       ... and that one belongs to another request
├── PredictionNotReplayable    ... and that one lacks part of the answer that a replay would repeat
├── SubjectsAlike              a subject without a server, and several servers have such a one
├── NotAuthenticated           a request without credentials that name a caller
├── RequestForged              a browser's request without the token of a page of ours
├── ScopeMissing               a caller that may not do this
├── SiteMissing                a caller that belongs to no site
├── ProviderUnavailable        the keys of an issuer of tokens cannot be read
├── InvalidAccess              a name, site, scope or lifetime that no key can have, by field
├── KeyTaken                   an API key has this id already
├── KeyNotFound                no API key has this id or name
├── ServiceOverloaded          the queue of predictions waiting for a commit is full
├── StoreUnavailable           the database cannot be reached, or does not answer
│   └── StoreRefusesWrites     ... or answers, and stores nothing
├── EndpointUnavailable        an address of the stack does not answer as it should
├── SchemaOutdated             the database's schema is not the one this version needs
│   ├── SchemaNewer            ... but that of a newer version
│   └── SchemaForeign          ... and of no version of stroke
├── ModelError
│   ├── ModelNotFound          no artefact where one was looked for
│   ├── ModelStoreUnavailable  the bucket of models cannot be reached
│   ├── InvalidModel           an artefact that breaks the contract, or was tampered with
│   └── ConversionMismatch     an exported graph does not compute what its original computes
├── DeploymentRefused          a change of what is served that cannot be made
│   └── DeploymentChanged      ... because another change was made meanwhile
├── PipelineError
│   ├── ConnectUnavailable     Kafka Connect cannot be reached, or does not answer
│   ├── ConnectorNotFound      no connector has this name
│   ├── InvalidConnector       a connector's config that must not reach Kafka Connect
│   ├── ConnectorFailed        a connector did not come to run, or to stop
│   ├── BrokerUnavailable      Kafka (or its schema registry) cannot be reached
│   ├── ReplicaUnavailable     a sink database, catalog or bucket cannot be read
│   ├── ReplicaBehind          a replica did not catch up within the time given
│   └── LineageBroken          Kafka was made anew while copies survive: a sink would lose rows
├── InvalidSetting             a setting that cannot be served with
├── AssessmentNotFound         no assessment of a chart has this id
├── AssessmentErased           ... or it was erased
├── InvalidCodes               a file of clinical codes that is not what it should be
├── InvalidChart               a record that cannot be read as that of one patient
├── InvalidData                a file that is not what it should be
└── RowsUnaccounted            a command lost count of a file's rows: a fault of stroke itself

No message carries a patient's value: messages reach logs and HTTP clients.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Final

from stroke.domain.support import Support

_REVISION: Final = re.compile(r"[0-9]{4}")


class StrokeError(Exception):
    """Root of every error that stroke raises on purpose."""


@dataclass(frozen=True, slots=True)
class Violation:
    """One rule that one field breaks. ``reason`` never quotes the value."""

    field: str
    reason: str


class InvalidPatient(StrokeError):
    """Values that no plausible patient has. ``violations`` names every one of them."""

    def __init__(self, violations: tuple[Violation, ...]) -> None:
        self.violations = violations
        super().__init__("; ".join(f"{v.field} {v.reason}" for v in violations))


class OutsideSupport(StrokeError):
    """The training data do not speak for some patients, and whoever asked refuses such answers.

    ``found`` holds the place of each of them among those who were asked for, and their support.
    """

    def __init__(self, found: tuple[tuple[int, Support], ...]) -> None:
        self.found = found
        super().__init__("the training data had no patients like this one")


class PredictionNotFound(StrokeError):
    """No prediction has this id (any more)."""

    def __init__(self, prediction_id: int) -> None:
        self.prediction_id = prediction_id
        super().__init__(f"no prediction has the id {prediction_id}")


class SubjectsAlike(StrokeError):
    """Several servers have a patient of this id, and none was named: they are different people."""


class NothingToErase(StrokeError):
    """The caller may see none of the ids that an erasure was asked for."""


class ErasureJobNotFound(StrokeError):
    """No erasure job has this id, or it is another site's."""


class OutcomeNotFound(StrokeError):
    """The prediction is there; its outcome is not known (any more)."""

    def __init__(self, prediction_id: int) -> None:
        self.prediction_id = prediction_id
        super().__init__(f"the prediction {prediction_id} has no outcome")


class InvalidOutcome(StrokeError):
    """An outcome that its prediction cannot have. ``violations`` names every field."""

    def __init__(self, violations: tuple[Violation, ...]) -> None:
        self.violations = violations
        super().__init__("; ".join(f"{v.field} {v.reason}" for v in violations))


class PredictionRejected(StrokeError):
    """The store refuses a row and would refuse it again. Its cause is chained, not quoted."""


class IdempotencyKeyTaken(StrokeError):
    """A prediction with this idempotency key is stored already."""


class IdempotencyKeyReused(StrokeError):
    """The idempotency key belongs to another request.

    Another measurement, name, country or province makes another request, and so does a batch in
    place of a single patient.
    """


class PredictionNotReplayable(StrokeError):
    """A stored prediction lacks part of its answer, so that it cannot be answered once more.

    A row that was imported or adopted may have no probability, category, explanation or version.
    A prediction of a batch may have been ``erased``.
    """

    def __init__(self, prediction_id: int, *, erased: bool = False) -> None:
        self.prediction_id = prediction_id
        fault = (
            "was stored with this idempotency key and erased since"
            if erased
            else "has this idempotency key and was stored without a complete answer"
        )
        super().__init__(f"prediction {prediction_id} {fault}: send the request with another key")


class NotAuthenticated(StrokeError):
    """The request has no credentials that name a caller; ``presented`` says whether it has any.

    The text says what is wrong with them as far as a stranger may know.
    """

    def __init__(self, message: str, *, presented: bool) -> None:
        self.presented = presented
        super().__init__(message)


class RequestForged(StrokeError):
    """A browser's request that does not have the token of a page of its own session."""

    def __init__(self) -> None:
        super().__init__("the page is too old, or another site made this request: load it again")


class ScopeMissing(StrokeError):
    """The caller is known and lacks ``scope``."""

    def __init__(self, scope: str) -> None:
        self.scope = scope
        super().__init__(f"this needs the scope {scope}")


class SiteMissing(StrokeError):
    """The caller is known, and belongs to no site and may not reach all of them."""

    def __init__(self) -> None:
        super().__init__(
            "this caller belongs to no site: its token must name one site in the claim that "
            "STROKE_OIDC_SITE_CLAIM says, or have a role for the scope all-sites"
        )


class ProviderUnavailable(StrokeError):
    """An issuer's keys cannot be read, so that none of its tokens can be verified."""


class InvalidAccess(StrokeError):
    """What no API key can have. ``violations`` names every field."""

    def __init__(self, violations: tuple[Violation, ...]) -> None:
        self.violations = violations
        super().__init__("; ".join(f"{v.field} {v.reason}" for v in violations))


class KeyTaken(StrokeError):
    """There is an API key with this id already."""


class KeyNotFound(StrokeError):
    """No API key in force has this id or name."""


class ServiceOverloaded(StrokeError):
    """More predictions wait for their commit than the queue may hold: try again later."""


class StoreUnavailable(StrokeError):
    """The database cannot be reached, or went away before it confirmed the commit."""


class StoreRefusesWrites(StoreUnavailable):
    """The database answers and stores nothing: it is read-only, locked, full, or lacks a right."""


class EndpointUnavailable(StrokeError):
    """The service, or metrics, cannot be reached over HTTP, or not as documented."""


class SchemaOutdated(StrokeError):
    """The database's schema is at another revision than this version of stroke needs."""

    def __init__(self, found: str | None, needed: str) -> None:
        self.found = found
        self.needed = needed
        super().__init__(self._words())

    def _words(self) -> str:
        return (
            f"the schema is at {self.found or 'no revision'}, this version needs {self.needed}: "
            "run `stroke db upgrade`"
        )


class SchemaNewer(SchemaOutdated):
    """A newer version of stroke upgraded the schema; this one does not know its revision."""

    def _words(self) -> str:
        return (
            f"the schema is at {self.found}, and this version of stroke knows it only up to "
            f"{self.needed}: a newer version upgraded it. Run the newer version again, or first "
            f"take the schema back with it: `stroke db downgrade {self.needed}`"
        )


class SchemaForeign(SchemaOutdated):
    """The table of stroke's revision holds what is no revision of any version of stroke."""

    def _words(self) -> str:
        return (
            "the table stroke_alembic_version holds no revision of stroke, so the schema is not "
            "known: restore the database from a backup, or drop that table and run `stroke db "
            "upgrade`, which adopts the tables that are there"
        )


def wrong_schema(found: str | None, needed: str) -> SchemaOutdated:
    """Return what is wrong with a schema that is at ``found`` where ``needed`` is not ``found``.

    Revisions of stroke are four digits that count up.
    """
    if found is None:
        return SchemaOutdated(found, needed)
    if not _REVISION.fullmatch(found):
        return SchemaForeign(found, needed)
    return SchemaNewer(found, needed) if found > needed else SchemaOutdated(found, needed)


class ModelError(StrokeError):
    """Root of what can be wrong with a model artefact."""


class ModelNotFound(ModelError):
    """No model artefact where one was looked for."""


class ModelStoreUnavailable(ModelError):
    """The store of models cannot be reached, or refuses to be read."""


class InvalidModel(ModelError):
    """A model artefact that breaks the contract: unknown input, altered graph, bad manifest."""


class ConversionMismatch(ModelError):
    """An exported graph does not compute what the original model computes.

    ``difference`` is the largest one of two probabilities, infinite where there was none.
    """

    def __init__(self, message: str, difference: float = math.inf) -> None:
        self.difference = difference
        super().__init__(message)


class DeploymentRefused(StrokeError):
    """A change of the served models that cannot be made now."""


class DeploymentChanged(DeploymentRefused):
    """Somebody else changed the served models meanwhile."""


class InvalidSetting(StrokeError):
    """A setting, or a combination of settings, that cannot be served with."""


class AssessmentNotFound(StrokeError):
    """No assessment of a chart has this id."""

    def __init__(self) -> None:
        super().__init__("no assessment has this id")


class AssessmentErased(StrokeError):
    """The assessment with this id was erased."""

    def __init__(self) -> None:
        super().__init__("the assessment was erased")


class InvalidCodes(StrokeError):
    """A file of clinical codes that is not what it should be; its text says which part."""


class InvalidChart(StrokeError):
    """A record that cannot be read as that of one patient; its text quotes nothing of it."""


class InvalidData(StrokeError):
    """A file that is not what it should be."""


class ScratchFull(StrokeError):
    """The place for temporary files takes no more."""


class RowsUnaccounted(StrokeError):
    """A row of a file was read and neither kept nor rejected: stroke itself is wrong."""

    def __init__(self, read: int, kept: int, rejected: int) -> None:
        super().__init__(
            f"{read:,} rows were read, {kept:,} kept and {rejected:,} rejected, which does not add "
            "up. This is a fault in stroke: please report it, and do not use the result"
        )


class PipelineError(StrokeError):
    """The change-data pipeline cannot do what was asked."""


class ConnectUnavailable(PipelineError):
    """Kafka Connect cannot be reached, or does not answer (a worker that is rebalancing)."""


class ConnectorNotFound(PipelineError):
    """No connector has this name."""

    def __init__(self, name: str, known: tuple[str, ...] = ()) -> None:
        self.name = name
        there = f"there are {', '.join(known)}" if known else "`stroke connectors apply` makes them"
        super().__init__(f"no connector is called {name}: {there}")


class InvalidConnector(PipelineError):
    """A connector's config breaks rules. ``violations`` names every key, and quotes no secret."""

    def __init__(self, name: str, violations: tuple[Violation, ...]) -> None:
        self.name = name
        self.violations = violations
        super().__init__(f"{name}: " + "; ".join(f"{v.field} {v.reason}" for v in violations))


class ConnectorFailed(PipelineError):
    """A connector did not reach the state that was asked for, or left it again."""


class RowsParked(PipelineError):
    """Dead letters wait: rows of theirs are not in the copies as MySQL has them."""


class BrokerUnavailable(PipelineError):
    """Kafka, or its schema registry, cannot be reached."""


class ReplicaUnavailable(PipelineError):
    """A copy of the predictions (a sink's database, a catalog, a bucket) cannot be read."""


class ReplicaBehind(PipelineError):
    """A replica did not reach the point of comparison within the time given."""


class LineageBroken(PipelineError):
    """Kafka was made anew while copies survive: what is sent now would be lost silently."""
