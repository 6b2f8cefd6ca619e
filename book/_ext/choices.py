"""The settings as Markdown, from the fields, docstrings and metadata of ``msrn.settings.Settings``.

A docstring is what the setting means, and after it, where the paper leaves the matter open, a paragraph that begins
with *Choice:* and says what was chosen and why.
"""

import re

from pydantic.fields import FieldInfo

from msrn import profiles, settings

TITLES = {
    "3": "Network (§3, Eqs 1–6)",
    "3.1": "Memory bank (§3.1, Eqs 11–17)",
    "3.2": "Feature compensation (§3.2, Eqs 20–26)",
    "3.3": "Neighbours and projection (§3.3, Eqs 27–38)",
    "3.4": "Losses (§3.4, Eqs 39–45)",
    "4.2": "Evaluation (§4.2, Eqs 46–47)",
    "4.3": "Training (§4.3, Table 1)",
}
GREEK = {"eta": "η", "epsilon": "ε", "delta": "δ"}
PROFILES = ("paper", "laptop", "night", "smoke")


def markdown() -> str:
    """A section for every section of the paper with its choices, then one table of all settings."""
    fields = settings.Settings.model_fields
    values = {name: profiles.resolve(profile=name, device="cpu").settings for name in PROFILES}
    lines = []
    for section in sorted({_section(field) for field in fields.values()}):
        chosen = [name for name, field in fields.items() if _section(field) == section and _parts(field)[1]]
        if chosen:
            lines += [f"## {TITLES.get(section, f'§{section}')}", ""]
        for name in chosen:
            lines += _entry(name, fields[name], values)
    lines += ["## All settings", "", "As the profiles set them; a dash where a profile keeps the paper's value.", ""]
    lines += ["| setting | paper | " + " | ".join(f"profile {name}" for name in PROFILES) + " |"]
    lines += ["|---" * (2 + len(PROFILES)) + "|"]
    lines += [_row(name, field, values) for name, field in fields.items()]
    return "\n".join(lines)


def _entry(name: str, field: FieldInfo, values: dict) -> list[str]:
    meaning, choice = _parts(field)
    first, *rest = [(profile, _plain(getattr(values[profile], name))) for profile in PROFILES]
    other = ", ".join(f"{profile} {value}" for profile, value in rest if value != first[1])
    value = f"Paper: {_paper(field)}. Here: {first[1]}{f' ({other})' if other else ''}."
    return [f"(choice-{name})=", f"### `{name}`", "", meaning, "", "{.values}", value, "", choice, ""]


def _row(name: str, field: FieldInfo, values: dict) -> str:
    shown = [_plain(getattr(values[profile], name)) for profile in PROFILES]
    cells = [shown[0], *("–" if value == shown[0] else value for value in shown[1:])]
    link = f"[`{name}`](#choice-{name})" if _parts(field)[1] else f"`{name}`"
    return f"| {link} | {_paper(field)} | " + " | ".join(cells) + " |"


def _parts(field: FieldInfo) -> tuple[str, str]:
    """Meaning and choice (empty when the paper left nothing open)."""
    meaning, _, choice = (field.description or "").partition("Choice:")
    choice = _text(choice)
    return _text(meaning), choice[:1].upper() + choice[1:]


def _text(paragraphs: str) -> str:
    """Docstring to Markdown: a line per paragraph, and no markup but ``code``."""
    lines = "\n\n".join(" ".join(part.split()) for part in paragraphs.split("\n\n"))
    return _symbols(lines.replace("*", r"\*").strip())


def _symbols(text: str) -> str:
    """Primes of K and P, which quotation marks would become, and Greek letters."""
    text = re.sub(r"\b([KP])('+)", lambda match: match[1] + "′″"[len(match[2]) - 1], text)
    return re.sub(r"\b(eta|epsilon|delta)(?=_| =)", lambda match: GREEK[match[1]], text)


def _section(field: FieldInfo) -> str:
    return field.json_schema_extra["section"]


def _paper(field: FieldInfo) -> str:
    words = field.json_schema_extra["paper"] or "silent"
    return _symbols(words.replace("silent", "not given").replace("absent", "no such term"))


def _plain(value: object) -> str:
    """A setting's value for readers: yes and no, thousands apart, no trailing zeros."""
    if value is None or isinstance(value, bool):
        return {None: "none", True: "yes", False: "no"}[value]
    if isinstance(value, int | float):
        return f"{value:,}" if isinstance(value, int) else f"{value:g}".replace("e-0", "e-")
    return ", ".join(map(_plain, value)) if isinstance(value, tuple) else str(value)
