"""Values as people write them on a command line, in a notebook and in profiles: YAML, with decimal numbers alone."""

import re
from typing import Any

import yaml

from msrn.errors import first_line


class _Decimal(yaml.SafeLoader):
    """Neither 010 nor 0x10 nor 12:30 is a number here: YAML 1.1 takes them for 8, 16 and 750."""


_NUMBERS = {"tag:yaml.org,2002:int", "tag:yaml.org,2002:float"}
_Decimal.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag not in _NUMBERS]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Decimal.add_implicit_resolver("tag:yaml.org,2002:int", re.compile(r"[-+]?(0|[1-9][0-9]*)$"), list("-+0123456789"))
_Decimal.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"([-+]?((0|[1-9][0-9]*)(\.[0-9]*)?|\.[0-9]+)([eE][-+]?[0-9]+)?|[-+]?\.(inf|nan))$"),
    list("-+.0123456789"),
)


def plain_value(text: str) -> Any:
    """What a text says; ``ValueError`` where it is no YAML, or nested without end."""
    try:
        return yaml.load(text, _Decimal)
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        raise ValueError(first_line(error)) from None
