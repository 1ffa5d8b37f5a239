"""Policies: what must hold, as data; every number in them is the institution's own."""

from equipoise.policies.loading import example, load, parse, validated
from equipoise.policies.schema import Criterion, Floor, Policy

__all__ = ["Criterion", "Floor", "Policy", "example", "load", "parse", "validated"]
