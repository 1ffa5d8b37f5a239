"""Phantoms: chest-like radiographs with a known truth, and biases planted by declaration.

The bench by which everything else is measured: a patient is drawn once, and a bias changes only
what it names, so that two arms of one seed hold the same patients.
"""

from equipoise.phantoms.biases import (
    Bias,
    LabelNoise,
    LookAlikes,
    LowerVisibility,
    PrevalenceShift,
    ScannerDrift,
    Shortcut,
    UnderRepresentation,
)
from equipoise.phantoms.cohorts import FINDING, cohort, truth
from equipoise.phantoms.draws import Scene, scenes
from equipoise.phantoms.lateness import late_labels
from equipoise.phantoms.observer import THRESHOLD, scores
from equipoise.phantoms.options import (
    Age,
    ImagesPerPatient,
    LabelsLate,
    LateGroup,
    Missing,
    Options,
    Site,
)
from equipoise.phantoms.pictures import images
from equipoise.phantoms.population import contrasts, population
from equipoise.phantoms.writing import run

VERSION = 1
NEEDS: tuple[str, ...] = ()
WANTS: tuple[str, ...] = ()
GIVES: tuple[str, ...] = ("dicom", "late_labels")

__all__ = [
    "FINDING",
    "GIVES",
    "NEEDS",
    "THRESHOLD",
    "VERSION",
    "WANTS",
    "Age",
    "Bias",
    "ImagesPerPatient",
    "LabelNoise",
    "LabelsLate",
    "LateGroup",
    "LookAlikes",
    "LowerVisibility",
    "Missing",
    "Options",
    "PrevalenceShift",
    "ScannerDrift",
    "Scene",
    "Shortcut",
    "Site",
    "UnderRepresentation",
    "cohort",
    "contrasts",
    "images",
    "late_labels",
    "population",
    "run",
    "scenes",
    "scores",
    "truth",
]
