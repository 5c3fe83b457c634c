"""Checks of Python values against the columns they are bound for, before any SQL is sent.

PostgreSQL would round a decimal that is too precise, take NaN for a price and read a naive time in the session's zone;
none of these may happen silently.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from decimal import Context, Decimal, Inexact, InvalidOperation
from typing import Any

from sqlalchemy import BigInteger, Boolean, Column, DateTime, Numeric, Text
from sqlalchemy.types import TypeEngine

from sink.errors import BadValue

SYMBOL_LENGTH = 64
SIDES = ("buy", "sell")
BIGINT_MIN, BIGINT_MAX = -(2**63), 2**63 - 1
NUMERIC_DIGITS = 16_383
"""Digits that an unconstrained ``numeric`` holds on either side of the point, at least."""


def checked_column(column: Column[Any], values: Sequence[Any]) -> list[Any]:
    """Give the values as the column takes them: times in UTC, exact numbers as text (see ``upsert_arrays``).

    None passes where the column is nullable or filled by the database.
    Raises :class:`sink.errors.BadValue` naming the first value that does not fit.
    """
    check = _check_for(column)
    optional = column.nullable or column.server_default is not None
    fitting: list[Any] = []
    for index, value in enumerate(values):
        if value is None and optional:
            fitting.append(None)
            continue
        try:
            fitting.append(check(value))
        except ValueError as error:
            raise BadValue(field=_path(column), index=index, value=value, fault=str(error)) from None
    return fitting


def as_utc(value: datetime) -> datetime:
    """Give the same moment in UTC; a time without a zone is UTC already. Raises ValueError where it is no time."""
    if not isinstance(value, datetime):
        raise ValueError("is not a datetime")  # noqa: TRY004 (one kind of error for every value that does not fit)
    if value.tzinfo is UTC:
        return value
    if value.utcoffset() is None:
        return value.replace(tzinfo=UTC)
    try:
        return value.astimezone(UTC)
    except OverflowError:
        raise ValueError("lies outside the years 1 to 9999 in UTC") from None


def _check_for(column: Column[Any]) -> Callable[[Any], Any]:
    if isinstance(column.type, Numeric):
        precision, scale = column.type.precision, column.type.scale
        return _number if precision is None or scale is None else _exact_numbers(precision, scale)
    return _BY_NAME.get(column.name) or _BY_TYPE[type(column.type)]


def _path(column: Column[Any]) -> str:
    return f"{column.table.name}.{column.name}"


def _decimal(value: object) -> Decimal:
    if isinstance(value, int) and not isinstance(value, bool):
        return Decimal(value)
    if not isinstance(value, Decimal):
        raise ValueError(f"is of type {type(value).__name__}: use Decimal")  # noqa: TRY004 (as in as_utc)
    if not value.is_finite():
        raise ValueError("is not a finite number")
    return value


def _exact_numbers(precision: int, scale: int) -> Callable[[object], str]:
    """Make the check of numeric(precision, scale): no digit may be lost, trailing zeros do not count."""
    exact = Context(prec=precision, traps=[Inexact, InvalidOperation])
    step = Decimal(1).scaleb(-scale)

    def check(value: object) -> str:
        number = _decimal(value)
        try:
            number.quantize(step, context=exact)
        except Inexact:
            raise ValueError(f"has more than {scale} decimal places") from None
        except InvalidOperation:
            raise ValueError(f"has more than {precision - scale} digits before the point") from None
        return str(number)

    return check


def _number(value: object) -> str:
    number = _decimal(value)
    exponent = number.as_tuple().exponent
    if number.adjusted() >= NUMERIC_DIGITS or (isinstance(exponent, int) and exponent < -NUMERIC_DIGITS):
        raise ValueError(f"has more than {NUMERIC_DIGITS} digits on one side of the point")
    return str(number)


def _bigint(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise ValueError("is not an int")  # noqa: TRY004 (as in as_utc)
    if not BIGINT_MIN <= value <= BIGINT_MAX:
        raise ValueError("does not fit 64 bits")
    return value


def _boolean(value: object) -> bool:
    if not isinstance(value, bool):
        raise ValueError("is not a bool")  # noqa: TRY004 (as in as_utc)
    return value


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError("is not a str")  # noqa: TRY004 (as in as_utc)
    if "\0" in value:
        raise ValueError("holds a NUL character, which PostgreSQL cannot store")
    if not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError:
            raise ValueError("holds half a surrogate pair, which is no Unicode text") from None
    return value


def _symbol(value: object) -> str:
    symbol = _text(value)
    if not 1 <= len(symbol) <= SYMBOL_LENGTH:
        raise ValueError(f"is {len(symbol)} characters long: a symbol has 1 to {SYMBOL_LENGTH}")
    return symbol


def _side(value: object) -> str:
    if value not in SIDES:
        raise ValueError("is neither 'buy' nor 'sell'")
    return _text(value)


_BY_NAME: dict[str, Callable[[Any], Any]] = {"symbol": _symbol, "side": _side}
_BY_TYPE: dict[type[TypeEngine[Any]], Callable[[Any], Any]] = {
    DateTime: as_utc,
    BigInteger: _bigint,
    Boolean: _boolean,
    Text: _text,
}
