"""Mutations: harmful changes of the template, each of which a test must notice.

A suite verifies what its author thought of. Each entry of the tables (`*.yml` in this folder)
breaks one promise on purpose and names the test that must fail. In an entry,

    harm        says what the user would suffer. It is unique;
    file        is the file of the template to edit;
    replace     is text that occurs exactly once in that file;
    with        is what it becomes;
    answers     are those of the generated project whose own tests are run. Without them, the tests
                of this repository are run;
    caught_by   is the test that must fail, without its parameters;
    run         lists the files or tests to run, if not just that of `caught_by`, with every
                parameter.

The tests run in order until one fails. The mutation is caught if that is the test in `caught_by`:
another one that notices it does so by accident, and may stop doing so.

    uv run pytest -n auto tests/mutations                            # this commit's sample
    uv run pytest -n auto tests/mutations --mutations=all
    uv run pytest -n 0 tests/mutations --mutations=all -k owner      # those with "owner" in `harm`
"""
