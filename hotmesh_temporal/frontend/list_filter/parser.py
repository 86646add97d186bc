"""The grammar of queries: what may stand behind ``SELECT … WHERE`` in the server's SQL.

From loose to tight: ``OR``, ``AND``, ``NOT``, ``IS``, comparisons, arithmetic. Comparisons do not chain.
"""

from __future__ import annotations

from .lexer import Kind, Token, malformed, tokens
from .nodes import (
    Arithmetic,
    Between,
    Bool,
    Both,
    Column,
    Comparison,
    Either,
    Exists,
    Function,
    Is,
    Negation,
    Node,
    Null,
    Paren,
    Query,
    Row,
    Subquery,
    Unary,
    Value,
    ValueType,
)

_OFFSET, _CLAUSE_OFFSET = 27, 21
"""What the server puts before a query with conditions, and before one that begins with GROUP BY or ORDER BY."""

_COMPARISONS = {"=", "<", ">", "<=", ">=", "!=", "<>", "<=>"}
_WORDS = ("in", "like", "rlike", "regexp", "starts_with", "between")
_ARITHMETIC = {"+", "-", "*", "/", "%", "&", "|", "^", "<<", ">>", "->", "->>"}
_VALUES = {
    Kind.STRING: ValueType.STRING,
    Kind.INT: ValueType.INT,
    Kind.FLOAT: ValueType.FLOAT,
    Kind.OTHER: ValueType.OTHER,
}
_DEEPEST = 40
"""Parentheses, NOTs and signs within one another: far more than any query needs, and no more than the stack holds."""


def parse_query(text: str) -> Query:
    """The tree of a query that is not empty. INVALID_ARGUMENT for what is no query."""
    return _Parser(text).query()


class _Parser:
    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens = tokens(text)
        self._place = 0
        self._depth = 0
        self._offset = _OFFSET

    # -- tokens -----------------------------------------------------------------------------------------------

    @property
    def _next(self) -> Token:
        return self._tokens[self._place]

    def _is(self, kind: Kind, *texts: str) -> bool:
        return self._next.kind is kind and self._next.text in texts

    def _take(self, kind: Kind, *texts: str) -> str:
        """The text of the next token, if it is one of these; empty otherwise."""
        if not self._is(kind, *texts):
            return ""
        self._place += 1
        return self._tokens[self._place - 1].text

    def _word(self, *texts: str) -> str:
        return self._take(Kind.KEYWORD, *texts)

    def _symbol(self, *texts: str) -> str:
        return self._take(Kind.SYMBOL, *texts)

    def _expect(self, kind: Kind, *texts: str) -> None:
        if not self._take(kind, *texts):
            raise malformed(self._next, self._offset)

    # -- clauses ----------------------------------------------------------------------------------------------

    def query(self) -> Query:
        where = None
        if self._is(Kind.KEYWORD, "group", "order") and self._tokens[1].text == "by":
            self._offset = _CLAUSE_OFFSET
        else:
            where = self._expression()
        group_by, order_by = self._clause("group"), self._clause("order")
        limit = bool(self._word("limit"))
        if limit:
            self._place = len(self._tokens) - 1
        self._symbol(";")
        if self._next.kind is not Kind.END:
            raise malformed(self._next, self._offset)
        return Query(where, group_by, order_by, limit)

    def _clause(self, word: str) -> tuple[Node, ...]:
        """The fields behind GROUP BY or ORDER BY."""
        if not self._word(word):
            return ()
        self._expect(Kind.KEYWORD, "by")
        fields: list[Node] = []
        while not fields or self._symbol(","):
            fields.append(self._value())
            if word == "order":
                self._word("asc", "desc")
        return tuple(fields)

    # -- conditions -------------------------------------------------------------------------------------------

    def _expression(self) -> Node:
        left = self._conjunction()
        while self._word("or") or self._symbol("||"):
            left = Either(left, self._conjunction())
        return left

    def _conjunction(self) -> Node:
        left = self._negation()
        while self._word("and") or self._symbol("&&"):
            left = Both(left, self._negation())
        return left

    def _negation(self) -> Node:
        if not self._word("not"):
            return self._predicate()
        self._deeper()
        inner = self._negation()
        self._depth -= 1
        return Negation(inner)

    def _deeper(self) -> None:
        self._depth += 1
        if self._depth > _DEEPEST:
            raise malformed(self._next, self._offset)

    def _predicate(self) -> Node:
        if self._word("exists"):
            self._expect(Kind.SYMBOL, "(")
            self._subquery()
            return Exists()
        found = self._comparison(self._value())
        while self._word("is"):
            found = Is(found, self._state())
        return found

    def _state(self) -> str:
        negated = self._word("not")
        what = self._word("null", "true", "false")
        if not what:
            raise malformed(self._next, self._offset)
        return f"not {what}" if negated else what

    def _comparison(self, left: Node) -> Node:
        operator = self._symbol(*_COMPARISONS)
        if operator:
            return Comparison("!=" if operator == "<>" else operator, left, self._value())
        negated = bool(self._word("not"))
        word = self._word(*_WORDS)
        if not word:
            if negated:
                raise malformed(self._next, self._offset)
            return left
        if word == "between":
            low = self._value()
            self._expect(Kind.KEYWORD, "and")
            return Between(negated, left, low, self._value())
        name = "regexp" if word == "rlike" else word
        right = self._options() if word == "in" else self._value()
        return Comparison(f"not {name}" if negated else name, left, right)

    def _options(self) -> Node:
        """What stands behind IN."""
        self._expect(Kind.SYMBOL, "(")
        if self._is(Kind.KEYWORD, "select"):
            return self._subquery()
        return Row(tuple(self._list()))

    def _list(self) -> list[Node]:
        """Expressions up to the closing parenthesis."""
        self._deeper()
        items = [self._expression()]
        while self._symbol(","):
            items.append(self._expression())
        self._expect(Kind.SYMBOL, ")")
        self._depth -= 1
        return items

    def _subquery(self) -> Subquery:
        """Skip a subquery, whose parenthesis was opened: whatever it says, there are none here."""
        if not self._is(Kind.KEYWORD, "select"):
            raise malformed(self._next, self._offset)
        opened = 1
        while opened:
            if self._next.kind in (Kind.END, Kind.BAD):
                raise malformed(self._next, self._offset)
            opened += self._is(Kind.SYMBOL, "(") - self._is(Kind.SYMBOL, ")")
            self._place += 1
        return Subquery()

    # -- values -----------------------------------------------------------------------------------------------

    def _value(self) -> Node:
        left = self._signed()
        while self._symbol(*_ARITHMETIC):
            self._signed()
            left = Arithmetic()
        return left

    def _signed(self) -> Node:
        start = self._next.start
        operator = self._symbol("-", "+", "~", "!")
        if not operator:
            return self._primary()
        self._deeper()
        operand = self._signed()
        self._depth -= 1
        if operator in "-+" and isinstance(operand, Value) and operand.type is ValueType.INT:
            return Value(ValueType.INT, _signed_text(operator, operand.text))
        text = self._text[start : self._tokens[self._place - 1].end]
        return Unary(operator, operand, text)

    def _primary(self) -> Node:
        token = self._next
        if token.kind in _VALUES:
            self._place += 1
            return Value(_VALUES[token.kind], token.text)
        if token.kind is Kind.NAME:
            return self._named()
        if word := self._word("true", "false", "null"):
            return Null() if word == "null" else Bool(word == "true")
        if not self._symbol("("):
            raise malformed(token, self._offset)
        if self._is(Kind.KEYWORD, "select"):
            return self._subquery()
        items = self._list()
        return Row(tuple(items)) if len(items) > 1 else Paren(items[0])

    def _named(self) -> Node:
        """A column (``name``, ``table.name``), or a function with its arguments."""
        parts = [self._next.text]
        self._place += 1
        while len(parts) < 3 and self._symbol("."):
            if self._next.kind is not Kind.NAME:
                raise malformed(self._next, self._offset)
            parts.append(self._next.text)
            self._place += 1
        if len(parts) == 1 and self._symbol("("):
            if not self._symbol(")"):
                self._list()
            return Function()
        return Column(".".join(parts))


def _signed_text(operator: str, text: str) -> str:
    if operator == "+":
        return text
    return text[1:] if text.startswith("-") else f"-{text}"
