"""What CHAI's Applied Model Card, version 0.2, consists of, and what of a document is not so.

A test of the soak compares ``OUTLINE`` with the schema itself, where it can be fetched.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final
from xml.etree import ElementTree as ET

MANY: Final = 10**9
Child = tuple[str, int, int]
"""The name of an element, and how often it may come: at the least, and at the most."""


def _once(*names: str) -> tuple[Child, ...]:
    """Return each name once; one that ends with a question mark may be absent."""
    return tuple((name.rstrip("?"), int(not name.endswith("?")), 1) for name in names)


_METRIC: Final = _once(
    *("MetricGoal", "Results", "Interpretation", "TestType", "TestingDataDescription"),
    "ValidationProcessAndJustification",
)
OUTLINE: Final[Mapping[str, tuple[Child, ...]]] = {
    "AppliedModelCard": _once(
        *("BasicInfo", "ReleaseInfo", "ModelSummary", "UsesAndDirections", "Warnings"),
        *("TrustIngredients", "KeyMetrics", "Resources", "Bibliography", "Signature?"),
    ),
    "BasicInfo": _once("ModelName", "ModelDeveloper", "DeveloperContact"),
    "ReleaseInfo": _once(
        *("ReleaseStage", "ReleaseDate", "ReleaseVersion", "GlobalAvailability"),
        *("EHRCompatibility?", "RegulatoryApproval?"),
    ),
    "EHRCompatibility": (("EHR", 0, MANY),),
    "ModelSummary": _once("Summary", "Keywords"),
    "Keywords": (("Keyword", 0, MANY),),
    "UsesAndDirections": _once(
        *("IntendedUseAndWorkflow", "PrimaryIntendedUsers", "HowToUse"),
        *("TargetedPatientPopulation", "CautionedOutOfScopeSettings"),
    ),
    "Warnings": _once(
        *("KnownRisksAndLimitations", "KnownBiasesOrEthicalConsiderations", "ClinicalRiskLevel"),
    ),
    "TrustIngredients": _once("AISystemFacts", "TransparencyInformation"),
    "AISystemFacts": _once(
        *("OutcomesAndOutputs", "ModelType", "FoundationModels?", "InputDataSource"),
        *("OutputAndInputDataTypes", "DevelopmentDataCharacterization"),
        *("BiasMitigationApproaches", "OngoingMaintenance", "Security?", "Transparency?"),
    ),
    "TransparencyInformation": _once(
        *("FundingSource", "ThirdPartyInformation?", "StakeholdersConsulted")
    ),
    "KeyMetrics": _once("UsefulnessUsabilityEfficacy", "FairnessEquity", "SafetyReliability"),
    "UsefulnessUsabilityEfficacy": _METRIC,
    "FairnessEquity": _METRIC,
    "SafetyReliability": _METRIC,
    "Results": (("MetricResult", 1, MANY),),
    "MetricResult": _once("Label", "ValueJson"),
    "Resources": _once(
        *("EvaluationReferences?", "ClinicalTrial?", "PeerReviewedPublications"),
        *("ReimbursementStatus?", "PatientConsentOrDisclosure"),
    ),
}
"""The children of each element that has any, in their order. All others hold text."""


def strays(root: ET.Element, namespace: str) -> list[str]:
    """Return what is wrong with a document: what is missing, and what is not of the form."""
    if root.tag != f"{{{namespace}}}AppliedModelCard":
        return [f"{root.tag} is no AppliedModelCard"]
    return [*_strays(root, "AppliedModelCard", namespace)]


def _strays(element: ET.Element, name: str, namespace: str) -> Iterator[str]:
    if element.attrib:
        yield f"{name} has attributes"
    left = list(element)
    for child, least, most in OUTLINE.get(name, ()):
        count = 0
        while left and count < most and left[0].tag == f"{{{namespace}}}{child}":
            yield from _strays(left.pop(0), child, namespace)
            count += 1
        if count < least:
            yield f"{name} lacks {child}"
    yield from (f"{each.tag} is not of {name}" for each in left)
    if name in OUTLINE and (element.text or "").strip():
        yield f"{name} has text"
