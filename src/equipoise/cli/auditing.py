"""``equipoise audit``: from a table of predictions to estimates and, with a policy, a verdict."""


def audit() -> None:
    """To come."""
