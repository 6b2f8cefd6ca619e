"""The two digests by which stored results know whether they still hold: one of values, one of the package's own code.

The digest of code covers a module and, through its imports, all code that it can reach inside the package; imports
inside functions count. Docstrings and comments do not enter, and an import enters as the digest of what it imports: a
module that moves changes nothing, one that changes does so for everything above it.
"""

import ast
import hashlib
import json
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
NO_NUMBER = ("msrn.errors", "msrn.paths", "msrn.settings", "msrn.store", "msrn.data")
"""Modules that decide no number, where the digest of code stops: values of settings are in every identity themselves,
and ``msrn.data`` is the list of readers, whose collections have a fingerprint."""

_digests: dict[str, str] = {}  # digest of each module that was read by this process


def digest_of(*parts: object) -> str:
    """A key of 20 hexadecimal digits from bytes and from anything JSON can say."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part if isinstance(part, bytes) else json.dumps(part, sort_keys=True).encode())
        digest.update(b"\0")
    return digest.hexdigest()[:20]


def code_digest(*modules: str) -> str:
    """Twelve hexadecimal digits for the code that ``modules`` (``"msrn.training.loop"``) reach by their imports.

    ImportError where modules import each other in a circle. Each file is read once by a process.
    """
    return digest_of(*sorted(_of_module(name, ()) for name in modules))[:12]


def _of_module(name: str, above: tuple[str, ...]) -> str:
    """The digest of a module that is imported by the last of ``above``, which is imported by the one before it."""
    if name in NO_NUMBER or name.startswith("msrn.store."):
        return "-"
    if name in above:
        raise ImportError(f"modules import each other: {' -> '.join((*above[above.index(name) :], name))}")
    if name not in _digests:
        code = _plain(ast.parse(_file(name).read_text(encoding="utf-8")).body, (*above, name))
        _digests[name] = digest_of(ast.unparse(ast.Module(code, [])))
    return _digests[name]


def _plain(statements: list[ast.stmt], above: tuple[str, ...]) -> list[ast.stmt]:
    """A block without docstrings and imports for type checkers alone. Imports of the package come first, as texts in an
    order of their own, since a module that moves takes another place among its neighbours."""
    imports: list[str] = []
    code: list[ast.stmt] = []
    for statement in statements:
        if _is_text(statement) or (isinstance(statement, ast.If) and ast.unparse(statement.test) == "TYPE_CHECKING"):
            continue
        if isinstance(statement, ast.Import | ast.ImportFrom) and (texts := list(_texts(statement, above))):
            imports += texts
            continue
        for part in (statement, *getattr(statement, "handlers", ()), *getattr(statement, "cases", ())):
            for block in ("body", "orelse", "finalbody"):
                if getattr(part, block, None):
                    setattr(part, block, _plain(getattr(part, block), above))
        code.append(statement)
    return [ast.Expr(ast.Constant(text)) for text in sorted(imports)] + code or [ast.Pass()]


def _texts(statement: ast.Import | ast.ImportFrom, above: tuple[str, ...]) -> Iterator[str]:
    """For each name of this package: the digest of its module, what of that is imported, and as what."""
    if getattr(statement, "level", 0):
        raise ImportError(f"{above[-1]}: an import relative to its place; write the module's whole name")
    source = getattr(statement, "module", "")
    for name in statement.names:
        whole = f"{source}.{name.name}" if source else name.name
        module, inner = (whole, "") if _file(whole).exists() else (source, name.name)
        if whole.startswith("msrn."):
            yield f"{_of_module(module, above)} {inner} as {name.asname or name.name}"


def _file(module: str) -> Path:
    path = ROOT.joinpath(*module.split("."))
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


def _is_text(node: ast.AST) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
