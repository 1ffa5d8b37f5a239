"""The filterbank under other licences, so that a study has an encoder that its maker binds."""

import dataclasses

from equipoise.encoders import filterbank
from equipoise.encoders.provenance import Terms

BOUND = {
    "derivative_bound": True,
    "clauses": {"derivative_bound": "terms of access, 3: nothing <b>made</b> with it is shared"},
}
WITHIN = {"derivative_bound": False, "share_conditions": "pass on <i>these</i> terms"}


def _under(parameters, scope, **change):
    found = filterbank.load(parameters, scope)
    return dataclasses.replace(found, card=found.card.model_copy(update=change))


def bound(parameters, scope):
    return _under(parameters, scope, licence="its own", terms=Terms.model_validate(BOUND))


def within(parameters, scope):
    return _under(parameters, scope, licence="its own", terms=Terms.model_validate(WITHIN))


def silent(parameters, scope):
    return _under(parameters, scope, licence="of the hospital")
