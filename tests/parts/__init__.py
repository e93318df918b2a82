"""The real servers of the tests: how each is installed, started, broken and stopped.

`python -m tests.parts` installs them all into `${MILEPOST_PARTS:-~/.cache/milepost/parts}`; the fixtures of
`tests/conftest.py` start them on free ports of the loopback interface.
"""
