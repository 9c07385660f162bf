"""Which texts of a ``torch.export`` program torch may be given to evaluate."""

import ast
import json
import re

_PLAIN = re.compile(r"[\w.@+-]*", re.ASCII)
_STRING_ARGUMENT = re.compile(r"[\w.@+>, -]*", re.ASCII)
_NAME = re.compile(r"[A-Za-z]\w*", re.ASCII)
_TARGET = re.compile(
    r"torch\.ops\.(aten|prims)\.(?P<operator>[a-z_]\w*)\.\w+|"
    r"torch\.ops\.higher_order\.wrap_with_(set_grad_enabled|autocast)|"
    r"_operator\.(add|sub|mul|neg|truediv|floordiv|mod|pow|getitem|"
    r"eq|ne|lt|le|gt|ge|and_|or_|not_)|"
    r"torch\.sym_(int|float|max|min|not|sum|ite|sqrt)|"
    r"math\.(ceil|floor|trunc|sqrt)",
    re.ASCII,
)
_FILES = ("from_file", "save", "load", "warn")
_LONGEST = 10_000  # characters of an expression
_LARGEST_EXPONENT = 4
_MOST_POWERS = 8
_ARITHMETIC = (
    ast.Expression,
    ast.BinOp,
    ast.UnaryOp,
    ast.BoolOp,
    ast.Compare,
    ast.Constant,
    ast.Name,
    ast.Load,
    ast.operator,
    ast.unaryop,
    ast.boolop,
    ast.cmpop,
)
_FUNCTIONS = frozenset(
    "Symbol Integer Float Rational Add Mul Pow Max Min Mod Abs Eq Ne Lt Le Gt "
    "Ge Equality Unequality StrictLessThan LessThan StrictGreaterThan "
    "GreaterThan And Or Not Piecewise ExprCondPair floor ceiling FloorDiv "
    "ModularIndexing Where PythonMod CleanDiv CeilToInt FloorToInt CeilDiv "
    "LShift RShift PowByNatural FloatPow FloatTrueDiv IntTrueDiv "
    "IsNonOverlappingAndDenseIndicator TruncToFloat TruncToInt RoundToInt "
    "RoundDecimal ToFloat Identity".split()
)
_POWERS = ("Pow", "PowByNatural", "FloatPow", "LShift")
_SIZES = ("size", "stride", "storage_offset")
_CONTAINERS = (None, "builtins.tuple", "builtins.list", "builtins.dict")


def plain(text: str) -> None:
    """Refuses a text that could be more than a name, such as of a node.

    Arguments
    ---------
    text : str
        Any text of a graph; torch writes some into code.

    Example
    -------
    >>> plain("layer.0.weight")
    >>> plain("x=open(0)")
    Traceback (most recent call last):
    ...
    ValueError: the text 'x=open(0)' is more than a name
    """
    if not _PLAIN.fullmatch(text):
        raise ValueError(f"the text {text[:80]!r} is more than a name")


def string_argument(text: str) -> None:
    """Refuses a text that no ATen operator takes; einsum takes an equation.

    Arguments
    ---------
    text : str
        The argument.
    """
    if not _STRING_ARGUMENT.fullmatch(text):
        raise ValueError(f"the text {text[:80]!r} is no operator's argument")


def target(text: str) -> None:
    """Refuses the target of a node that is no operator of a network.

    Arguments
    ---------
    text : str
        Its dotted name.

    Example
    -------
    >>> target("torch.ops.aten.conv1d.default")
    >>> target("torch.os.system")
    Traceback (most recent call last):
    ...
    ValueError: a node calls 'torch.os.system', which is no operator ...
    """
    found = _TARGET.fullmatch(text)
    if found is None or found["operator"] in _FILES:
        raise ValueError(
            f"a node calls {text[:80]!r}, which is no operator of a network"
        )


def expression(text: str) -> None:
    """Refuses a symbolic size that is more than arithmetic.

    Arguments
    ---------
    text : str
        As SymPy is given it, to evaluate.

    Example
    -------
    >>> expression("Add(Symbol('s0', integer=True), Integer(1))")
    >>> expression("__import__('os').system('id')")
    Traceback (most recent call last):
    ...
    ValueError: the size "__import__('os').system('id')" is more than ...
    """
    _check(_parse(text, "size"), text, _is_call_of_function, "size")


def guard(text: str) -> str:
    """Refuses a condition that is more than arithmetic on sizes.

    Arguments
    ---------
    text : str
        As Python evaluates it.

    Returns
    -------
    str
        The same condition, as Python writes it.

    Example
    -------
    >>> guard("L['f'].size()[1]  >= 3")
    "L['f'].size()[1] >= 3"
    """
    tree_ = _parse(text, "condition")
    _check(tree_, text, _is_size_of_input, "condition")
    return ast.unparse(tree_)


def tree(text: str) -> None:
    """Refuses a structure of inputs or outputs that names foreign classes.

    Arguments
    ---------
    text : str
        The structure, as a json.
    """
    try:
        waiting = [json.loads(text)[1]] if text else []
        while waiting:
            spec = waiting.pop()
            keys = json.loads(spec["context"] or "null") or []
            known = spec["type"] in _CONTAINERS and isinstance(keys, list)
            if not known or not all(_NAME.fullmatch(key) for key in keys):
                raise ValueError(f"the structure {text[:200]} is not plain")
            waiting += spec["children_spec"]
    except (TypeError, KeyError, IndexError, RecursionError) as error:
        raise ValueError(f"the structure {text[:200]} is broken") from error


def _parse(text: str, kind: str) -> ast.Expression:
    """Parses a text as Python does."""
    try:
        if not isinstance(text, str) or len(text) > _LONGEST:
            raise ValueError(f"longer than {_LONGEST} characters, or no text")
        if len(re.findall(r"\*\*|<<|Pow|LShift", text)) > _MOST_POWERS:
            raise ValueError(f"it has more than {_MOST_POWERS} powers")
        return ast.parse(text, mode="eval")
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise ValueError(f"a {kind} cannot be read: {error}") from error


def _check(root: ast.Expression, text: str, special: object, kind: str) -> None:
    """Visits a parsed text: all is arithmetic, or what ``special`` allows."""
    waiting: list[ast.AST] = [root]
    while waiting:
        node = waiting.pop()
        parts = special(node)
        if parts is None and isinstance(node, _ARITHMETIC):
            parts = list(ast.iter_child_nodes(node))
            small = not isinstance(node, ast.Constant) or (
                isinstance(node.value, int | float) and abs(node.value) < 2**63
            )
            named = not isinstance(node, ast.Name) or _NAME.fullmatch(node.id)
            power = isinstance(node, ast.BinOp) and isinstance(
                node.op, ast.Pow | ast.LShift
            )
            if not small or not named or (power and not _few(node.right)):
                parts = None
        if parts is None:
            raise ValueError(
                f"the {kind} {text[:80]!r} is more than arithmetic on sizes"
            )
        waiting += parts


def _is_call_of_function(node: ast.AST) -> list[ast.AST] | None:
    """Gives the arguments of a function of symbolic sizes."""
    if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name):
        return None
    name, flags = node.func.id, [one.value for one in node.keywords]
    plain_flags = all(
        isinstance(flag, ast.Constant) and isinstance(flag.value, int | None)
        for flag in flags
    )
    if name not in _FUNCTIONS or not plain_flags:
        return None
    if name in ("Symbol", "Float"):
        texts = [getattr(one, "value", "") for one in node.args]
        words = [one for one in texts if re.fullmatch(r"[\w.+-]+", str(one))]
        bare = isinstance(node.args[0], ast.Constant) if node.args else False
        return [] if bare and len(words) == len(node.args) == 1 else None
    if name in _POWERS and not _few(node.args[-1] if node.args else node):
        return None
    return list(node.args)


def _few(node: ast.AST) -> bool:
    """Says whether an exponent is a small number."""
    if isinstance(node, ast.Call) and len(node.args) == 1:
        node = node.args[0]
    value = getattr(node, "value", None)
    return isinstance(value, int) and abs(value) <= _LARGEST_EXPONENT


def _is_size_of_input(node: ast.AST) -> list[ast.AST] | None:
    """Gives what is left of ``L['name'].size()[1]`` and of ``Max(…)``."""
    if isinstance(node, ast.Subscript):
        key = node.slice
        if not isinstance(key, ast.Constant):
            return None
        if isinstance(key.value, str) and not _NAME.fullmatch(key.value):
            return None
        if not isinstance(key.value, int | str):
            return None
        return [node.value]
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
        bare = not node.args and not node.keywords
        return [node.func.value] if bare and node.func.attr in _SIZES else None
    return _is_call_of_function(node)
