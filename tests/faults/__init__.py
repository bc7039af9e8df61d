"""Fault injection: how a generated application behaves when something around it fails.

The tests generate a bank (`bank.yml`) and serve its API in a separate process (`served.py`, with
custom code that a user would add: transfers). Clients send requests while a scenario breaks
something. Afterwards the tests read the database over their own connection (`stores.py`):

- Acknowledged changes are stored exactly once. Rejected changes are not stored.
- Changes to several records are stored completely or not at all: no money appears or disappears.
- A rejected request returns a problem document with the reason, and no details of the server.
- The next request succeeds.

A scenario is written once for all databases. Each database is a class listed in `stores.py`, which
defines how to start, read and break it.
"""
