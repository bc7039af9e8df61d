"""Faults: what becomes of a generated application when something around it breaks.

A bank is generated (`bank.yml`), its API is served by a process of its own (`served.py`, which adds
what somebody would add: transfers), and clients send it requests while a scenario breaks something.
Afterwards the database is asked over a connection that is not the application's (`stores.py`):

- What was acknowledged is there, once. What was refused is not there.
- Of what changes several rows, all is there or nothing: no money comes or goes.
- Whoever was refused got a problem document that says what went wrong, and nothing of the server.
- The next request works.

A scenario is written once. A database is a class in `stores.py`, which says how it is started, read
and broken.
"""
