"""A small bank in a SQLite file. It stands for the systems that a transfer goes through, which are never yours."""

from __future__ import annotations

import sqlite3
from pathlib import Path


class UnknownAccount(Exception):
    """To ask again will not help."""


class NotEnoughMoney(Exception):
    """To ask again will not help."""


class BankClosed(Exception):
    """To ask again later will."""


class Bank:
    """Accounts, and movements of money. Each has a reference, and is booked once, however often it is asked for."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.closed = False
        with self._open() as database:
            database.execute("CREATE TABLE IF NOT EXISTS accounts (name TEXT PRIMARY KEY, balance INTEGER NOT NULL)")
            database.execute(
                "CREATE TABLE IF NOT EXISTS movements (reference TEXT PRIMARY KEY, account TEXT, amount INTEGER)"
            )

    def open_account(self, name: str, balance: int) -> None:
        with self._open() as database:
            database.execute("INSERT OR REPLACE INTO accounts VALUES (?, ?)", (name, balance))

    def balance(self, name: str) -> int:
        with self._open() as database:
            return self._balance(database, name)

    def move(self, reference: str, name: str, amount: int) -> None:
        """Put an amount on an account, or take it off (if it is negative).

        Raises:
            UnknownAccount: There is no such account.
            NotEnoughMoney: The account would be overdrawn.
            BankClosed: Nothing was booked; try again later.
        """
        if self.closed:
            raise BankClosed("the bank is closed; come back tomorrow")
        with self._open() as database:
            if database.execute("SELECT 1 FROM movements WHERE reference = ?", (reference,)).fetchone():
                return
            if self._balance(database, name) + amount < 0:
                raise NotEnoughMoney(f"{name} has less than {-amount}")
            database.execute("UPDATE accounts SET balance = balance + ? WHERE name = ?", (amount, name))
            database.execute("INSERT INTO movements VALUES (?, ?, ?)", (reference, name, amount))

    def take_back(self, reference: str) -> None:
        """Undo a movement; if it was not booked, see to it that it never will be: it may still be on its way.

        Raises:
            BankClosed: Try again later.
        """
        if self.closed:
            raise BankClosed("the bank is closed; come back tomorrow")
        with self._open() as database:
            row = database.execute("SELECT account, amount FROM movements WHERE reference = ?", (reference,)).fetchone()
            if row is not None:
                database.execute("UPDATE accounts SET balance = balance - ? WHERE name = ?", (row[1], row[0]))
            database.execute("INSERT OR REPLACE INTO movements VALUES (?, NULL, 0)", (reference,))

    @staticmethod
    def _balance(database: sqlite3.Connection, name: str) -> int:
        row = database.execute("SELECT balance FROM accounts WHERE name = ?", (name,)).fetchone()
        if row is None:
            raise UnknownAccount(f"there is no account {name}")
        return int(row[0])

    def _open(self) -> sqlite3.Connection:
        # Used as a context manager, a connection commits, or rolls back on an exception.
        return sqlite3.connect(self._path)
