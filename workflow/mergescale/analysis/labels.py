"""How methods, bases and roles are called in figures, tables and the report."""

METHODS = {
    "averaging": "Averaging",
    "task_arithmetic": "Task Arithmetic",
    "ties": "TIES",
    "dare_ties": "Dare-TIES",
    "multitask": "Multitask",
}
BASES = {"pt": "PT", "it": "IT"}
ROLES = {"held_in": "held-in", "held_out": "held-out"}


def method(name: str) -> str:
    """The title of a method; one without a title of its own gets its name, title-cased."""
    return METHODS.get(name, name.replace("_", " ").replace("-", " ").title())


def base(name: str) -> str:
    """The title of a base kind: PT, IT, or the name in capitals."""
    return BASES.get(name, name.replace("_", " ").upper())


def role(name: str) -> str:
    """held-in or held-out."""
    return ROLES.get(name, name.replace("_", " "))


def plain(name: str) -> str:
    """A snake-case name as words: "topic_classification" becomes "topic classification"."""
    return name.replace("_", " ")
