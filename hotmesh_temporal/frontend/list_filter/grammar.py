"""The grammar of queries, for Lark: what may stand behind ``SELECT … WHERE`` in the server's SQL, which is MySQL's.

From loose to tight: ``OR``, ``AND``, ``NOT``, ``IS``, comparisons, arithmetic. Comparisons do not chain. Names that
begin with an underscore leave nothing in the tree. Every text consists of tokens, so that whatever is wrong with one
is wrong with a token: those of the last group may stand nowhere.
"""

_KEYWORDS = """
    and as asc between by case cross default delete desc describe distinct drop else exists explain false for force
    from group having if ignore in index inner insert interval into is join key left like limit lock match natural
    not null on or order outer regexp rename replace right rlike select set show starts_with straight_join table
    then to true union unique update use using values when where xor
"""
KEYWORDS = frozenset(_KEYWORDS.split())
"""Words that are no names, unless in backquotes."""

TERMINALS = {
    word: f"_{word.upper()}"
    for word in ("and", "asc", "between", "by", "desc", "exists", "group", "in", "is", "limit", "or", "order", "select")
} | {word: word.upper() for word in ("not", "null", "true", "false", "like", "rlike", "regexp", "starts_with")}
"""Keywords that stand in the grammar, and their terminals. All others are ``_WORD``."""

GRAMMAR = r"""
start: expression group? order? ";"?
     | group order? ";"?
     | order ";"?
     | (expression group? order? | group order? | order) _LIMIT _anything* -> limited
     | _NEVER (BACKQUOTED | GLUED | HEX | PLACE | OPEN | BAD)

group: _GROUP _BY value ("," value)*
order: _ORDER _BY _ordered ("," _ordered)*
_ordered: value (_ASC | _DESC)?

?expression: conjunction
           | expression (_OR | _EITHER) conjunction -> either
?conjunction: negation
            | conjunction (_AND | _BOTH) negation -> both
?negation: predicate
         | NOT negation -> negated
?predicate: comparison
          | predicate _IS NOT? (NULL | TRUE | FALSE) -> is_state
          | _EXISTS "(" _SELECT _inside -> exists
?comparison: value
           | value COMPARE value -> compared
           | value NOT? (LIKE | RLIKE | REGEXP | STARTS_WITH) value -> compared
           | value NOT? _IN _options -> among
           | value NOT? _BETWEEN value _AND value -> between
_options: "(" row ")" | subquery
row: expression ("," expression)*

?value: signed
      | value (_BINARY | SIGN) signed -> arithmetic
?signed: primary
       | (SIGN | INVERSION) signed -> unary
?primary: STRING -> string
        | INT -> integer
        | FLOAT -> decimal
        | OTHER -> other
        | (TRUE | FALSE) -> truth
        | NULL -> null
        | "(" expression ("," expression)* ")" -> paren
        | subquery
        | NAME ("." NAME ("." NAME)?)? -> column
        | NAME "(" (expression ("," expression)*)? ")" -> function
subquery: "(" _SELECT _inside

_inside: (_other | "(" _inside)* ")"
_anything: _other | "(" | ")"
_other: STRING | INT | FLOAT | OTHER | NAME | COMPARE | _BINARY | SIGN | INVERSION | _BOTH | _EITHER | "," | "." | ";"
      | _WORD | _AND | _ASC | _BETWEEN | _BY | _DESC | _EXISTS | _GROUP | _IN | _IS | _LIMIT | _OR | _ORDER | _SELECT
      | NOT | NULL | TRUE | FALSE | LIKE | RLIKE | REGEXP | STARTS_WITH

_SPACE.9: /(?:\s|--[^\n]*|#[^\n]*|\/\/[^\n]*|\/\*.*?\*\/)+/s
%ignore _SPACE
STRING.8: /'(?:[^'\\]|''|\\.)*'|"(?:[^"\\]|""|\\.)*"/s
NAME.7: /[A-Za-z_@][A-Za-z0-9_@]*/
FLOAT.5: /(?:[0-9]+\.[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]*)?|[0-9]+[eE][+-]?[0-9]*/
INT.4: /[0-9]+/
_BOTH.3: "&&"
_EITHER.3: "||"
_BINARY.2: /<<|>>|->>|->|[*\/%&|^]/
COMPARE.2: /<=>|<=|>=|<>|!=|=|<|>/
SIGN.1: /[+-]/
INVERSION.1: /[~!]/
// No text has the first. The others are what tokens become afterwards: keywords, literals without a value.
%declare _NEVER _WORD OTHER _AND _ASC _BETWEEN _BY _DESC _EXISTS _GROUP _IN _IS _LIMIT _OR _ORDER _SELECT
%declare NOT NULL TRUE FALSE LIKE RLIKE REGEXP STARTS_WITH

// A number may not end in a letter. (What is looked ahead for is not shortened, so that the letter is behind it all.)
GLUED.7: /(?=(?P<number>0x[0-9A-Fa-f]*|([0-9]+\.[0-9]*|\.[0-9]+|[0-9]+)([eE][+-]?[0-9]*)?))(?P=number)(?=[A-Za-z_@])/
BACKQUOTED.8: /`(?:[^`]|``)+`/s
HEX.6: /0x[0-9A-Fa-f]*/
PLACE.4: /::?[A-Za-z_@][A-Za-z0-9_@.]*|\?/
OPEN.4: /(?:\/\*|['"`]).*/s
BAD.0: /./s
"""
